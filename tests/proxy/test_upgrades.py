"""Upgrades that are declined, pending, or not what was asked for."""

from __future__ import annotations

import asyncio

import pytest

from lb.strategies import Outcome
from tests.proxy.conftest import Run
from tests.proxy.doubles import (
    HALF_CLOSE,
    Origin,
    Wire,
    answering,
    echo,
    get,
    ok,
    origin,
    proxy,
    silent,
)
from tests.proxy.test_tunnels import ASK, SWITCH, switching


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ((), SWITCH),
        (ASK, SWITCH.replace(b"websocket", b"h2c")),
        (ASK, b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n"),
        (("Upgrade: websocket",), SWITCH),
    ],
    ids=["not asked", "another", "nameless", "not named by Connection"],
)
def test_a_switch_that_was_not_asked_for(run: Run, asked: tuple[str, ...], answer: bytes) -> None:
    async def test() -> None:
        toml = "[retries]\nmax = 0"
        async with origin(answering(answer)) as a, proxy(a, toml=toml) as lb:
            async with lb.client() as client:
                client.send(get("/", *asked))
                assert (await client.response()).status == 502
            assert lb.outcomes == [("a", Outcome.SERVER_ERROR)]
            await a.left.get()

    run(test())


@pytest.mark.parametrize("status", [b"200 OK", b"426 Upgrade Required", b"400 Bad Request"])
def test_an_upgrade_that_is_declined(run: Run, status: bytes) -> None:
    async def test() -> None:
        declined = ok(b"no", b"Upgrade: websocket", b"Connection: Upgrade", status=status)
        async with origin(answering(declined)) as a, proxy(a) as lb, lb.client() as client:
            client.send(get("/up", *ASK), get("/behind"), get("/up", *ASK))
            for _ in range(3):
                answer = await client.response()
                assert answer.start == b"HTTP/1.1 " + status
                assert answer["Upgrade"] is None
            client.send(get("/later"))
            await client.response()
            targets = [request.target for request in a.requests]
            assert targets == ["/up", "/behind", "/up", "/later"]
            assert a.connections == 1

    run(test())


def test_a_client_that_ends_behind_an_upgrade_that_is_declined(run: Run) -> None:
    async def test() -> None:
        async with (
            origin(echo) as a,
            proxy(a, toml=HALF_CLOSE) as lb,
            lb.client() as client,
        ):
            client.send(get("/up", *ASK))
            client.half_close()
            assert (await client.response()).status == 200
            assert await client.closed()
        assert len(lb.outcomes) == 1

    run(test())


def test_what_follows_an_upgrade_waits_for_its_answer(run: Run) -> None:
    """It may be another protocol, which no backend shall see as a request."""

    async def test() -> None:
        go_on = asyncio.Event()

        async def slow(wire: Wire, it: Origin) -> None:
            await it.take(wire)
            await go_on.wait()
            wire.send(SWITCH)
            assert await wire.reader.readexactly(len(poison)) == poison
            wire.send(b"seen")

        poison = get("/poison")
        async with origin(slow) as a, proxy(a) as lb, lb.client() as client:
            client.send(get("/up", *ASK), poison)
            await a.arrived.get()
            go_on.set()
            assert (await client.response()).status == 101
            assert await client.reader.readexactly(4) == b"seen"
            assert len(lb.leases) == 1

    run(test())


@pytest.mark.parametrize(
    ("fields", "version"),
    [(("Upgrade: websocket",), "1.1"), (ASK, "1.0"), (("Connection: Upgrade",), "1.1")],
)
def test_an_upgrade_that_does_not_count(run: Run, fields: tuple[str, ...], version: str) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a) as lb, lb.client() as client:
            client.send(get("/", *fields, version=version))
            assert (await client.response()).status == 200
            assert a.requests[0]["Upgrade"] is None
            assert a.requests[0]["Connection"] is None

    run(test())


@pytest.mark.parametrize("framing", ["Content-Length: 5", "Transfer-Encoding: chunked"])
def test_a_body_comes_before_the_switch(run: Run, framing: str) -> None:
    body = b"hello" if "Length" in framing else b"5\r\nhello\r\n0\r\n\r\n"

    async def test() -> None:
        async with origin(switching()) as a, proxy(a) as lb, lb.client() as client:
            client.send(get("/up", *ASK, framing, method="POST"), body, b"early")
            assert (await client.response()).status == 101
            assert a.requests[0].body == b"hello"
            assert await client.reader.readexactly(5) == b"early"

    run(test())


def test_a_switch_before_the_body_has_come(run: Run) -> None:
    async def hasty(wire: Wire, it: Origin) -> None:
        await wire.head()
        wire.send(SWITCH)
        await wire.closed()

    async def test() -> None:
        async with origin(hasty) as a, proxy(a) as lb, lb.client() as client:
            client.send(get("/up", *ASK, "Content-Length: 5", method="POST"))
            assert (await client.response()).status == 502
            assert lb.outcomes == [("a", Outcome.SERVER_ERROR)]

    run(test())


def test_a_client_that_leaves_while_its_upgrade_is_pending(run: Run) -> None:
    async def test() -> None:
        async with origin(silent) as a, proxy(a) as lb, lb.client() as client:
            client.send(get("/up", *ASK))
            await a.arrived.get()
            client.reset()
            assert await lb.ended.get() == ("a", Outcome.CLIENT_GONE)
            await a.left.get()

    run(test())
