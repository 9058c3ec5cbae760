"""Clients that close their side: they have gone, unless `half_close` says that they still wait."""

from __future__ import annotations

import asyncio
from pathlib import Path
from unittest import mock

import pytest

from lb.proxy import timers
from lb.strategies import Outcome
from tests.proxy.conftest import Run
from tests.proxy.doubles import (
    HALF_CLOSE,
    Origin,
    Proxy,
    Wire,
    answering,
    echo,
    get,
    ok,
    origin,
    post,
    proxy,
    silent,
)

LINE = '[queue]\nlimit = 5\ntimeout = "1h"\n'
ONE = "max_in_flight = 1"


async def in_line(lb: Proxy, count: int) -> None:
    while lb.driver.balancer.snapshot(0.0).waiting != count:
        await asyncio.sleep(0)


@pytest.mark.parametrize("request_", [get("/2"), post(b"body"), get("/2") * 3])
def test_a_client_that_closes_its_side_in_line_leaves_the_line(run: Run, request_: bytes) -> None:
    async def test() -> None:
        async with (
            origin(silent) as a,
            proxy(a, toml=LINE, a=ONE) as lb,
            lb.client() as first,
            lb.client() as second,
        ):
            first.send(get("/1"))
            await a.arrived.get()
            second.send(request_)
            await in_line(lb, 1)
            second.half_close()
            await in_line(lb, 0)
            assert await second.closed()
            assert len(lb.leases) == 1
            assert lb.driver.balancer.snapshot(0.0).left_line == 1
            assert len(lb.driver.clients) == 1

    run(test())


def test_with_half_close_it_stays_in_line_and_gets_its_answer(run: Run) -> None:
    async def test() -> None:
        go_on = asyncio.Event()

        async def held(wire: Wire, it: Origin) -> None:
            while await it.take(wire) is not None:
                await go_on.wait()
                wire.send(ok(b"held"))

        async with (
            origin(held) as a,
            proxy(a, toml=HALF_CLOSE + LINE, a=ONE) as lb,
            lb.client() as first,
            lb.client() as second,
        ):
            first.send(get())
            await a.arrived.get()
            second.send(get())
            second.half_close()
            while not any(client.half_closed for client in lb.driver.clients):
                await asyncio.sleep(0)
            await in_line(lb, 1)
            go_on.set()
            assert (await second.response()).body == b"held"
            assert await second.closed()
            assert lb.outcomes == [("a", Outcome.OK)] * 2

    run(test())


@pytest.mark.parametrize("count", [1, 3])
def test_a_client_that_closes_its_side_ends_its_attempt_and_none_follows(
    run: Run, count: int
) -> None:
    async def test() -> None:
        async with (
            origin(silent) as a,
            origin(echo) as b,
            proxy(a, b) as lb,
            lb.client() as client,
        ):
            client.send(get() * count)
            await a.arrived.get()
            client.half_close()
            assert await lb.ended.get() == ("a", Outcome.CLIENT_GONE)
            assert await client.closed()
            await a.left.get()  # the connection to the backend has gone as well
            assert len(lb.leases) == 1
            snapshot = lb.driver.balancer.snapshot(0.0)
            assert [view.gone for view in snapshot.backends] == [1, 0]
            assert snapshot.retried == 0

    run(test())


def test_a_client_that_closes_its_side_right_behind_its_request_has_gone(run: Run) -> None:
    async def test() -> None:
        async with origin(silent) as a, proxy(a) as lb, lb.client() as client:
            client.send(get())
            client.half_close()
            assert await client.closed()
            assert not lb.driver.clients
            assert all(outcome is Outcome.CLIENT_GONE for _, outcome in lb.outcomes)

    run(test())


@pytest.mark.skipif(not hasattr(__import__("socket"), "TCP_INFO"), reason="only Linux can tell")
@pytest.mark.parametrize("count", [100, 20_000])
def test_a_client_that_closes_its_side_behind_what_is_not_read_has_gone(
    run: Run, count: int
) -> None:
    """Its end stands in the kernel, behind requests that have no place in the pipeline yet."""

    async def test() -> None:
        with mock.patch.object(timers, "LOOK", 0.05):
            async with origin(silent) as a, proxy(a) as lb, lb.client() as client:
                client.send(get() * count)
                await a.arrived.get()
                while not any(it._paused for it in lb.driver.clients):
                    await asyncio.sleep(0)
                client.half_close()
                if count > 1000:  # more than the kernel holds for the proxy
                    client.close()
                    client.reset()
                assert await lb.ended.get() == ("a", Outcome.CLIENT_GONE)
                assert len(lb.leases) == 1

    run(test())


def test_a_client_that_closes_its_side_in_the_middle_of_its_answer_is_cut_off(run: Run) -> None:
    """It must not take for whole what it has."""

    async def halting(wire: Wire, it: Origin) -> None:
        await it.take(wire)
        wire.send(b"HTTP/1.1 200 OK\r\n\r\nhalf")
        await it.take(wire)

    async def test() -> None:
        async with origin(halting) as a, proxy(a) as lb, lb.client() as client:
            client.send(get(version="1.0"))
            assert await client.head() is not None
            client.half_close()
            assert await client.is_reset()
            assert await lb.ended.get() == ("a", Outcome.CLIENT_GONE)

    run(test())


def test_what_was_answered_before_its_client_closed_its_side_arrives(run: Run) -> None:
    """Also what the proxy itself has to say, and what it refuses."""

    async def test() -> None:
        body = b"x" * 1_000_000
        async with origin(answering(ok(body))) as a, proxy(a) as lb:
            async with lb.client() as client:
                client.send(get())
                await lb.ended.get()
                client.half_close()
                assert len((await client.response()).body) == len(body)
                assert await client.closed()
            async with lb.client() as client:
                client.send(get("/lb-health"))
                client.half_close()
                assert (await client.response()).status == 200
                assert await client.closed()
            async with lb.client() as client:
                client.send(b"GET\r\n\r\n")
                client.half_close()
                assert (await client.response()).status == 400
                assert await client.closed()

    run(test())


def test_an_upgrade_that_is_not_answered_has_no_half_to_close(run: Run) -> None:
    async def test() -> None:
        async with origin(silent) as a, proxy(a) as lb, lb.client() as client:
            client.send(get("/", "Connection: upgrade", "Upgrade: websocket"))
            await a.arrived.get()
            client.half_close()
            assert await lb.ended.get() == ("a", Outcome.CLIENT_GONE)
            assert await client.closed()

    run(test())


def test_a_body_that_waits_in_line_holds_its_client_only_until_it_is_whole(run: Run) -> None:
    async def test() -> None:
        async with (
            origin(silent) as a,
            proxy(a, toml=LINE, a=ONE) as lb,
            lb.client() as first,
            lb.client() as second,
        ):
            first.send(get("/1"))
            await a.arrived.get()
            second.send(post(b"body")[:-2])
            await in_line(lb, 1)
            (client,) = [it for it in lb.driver.clients if it._reading is not None]
            assert client._paused
            second.send(b"dy")
            first.reset()  # so that there is room, and the half that waits goes on its way
            await lb.ended.get()
            while client._paused or client._reading:
                await asyncio.sleep(0)
            assert (await a.arrived.get()).body == b"body"

    run(test())


def test_a_client_that_is_read_again_after_its_back_pressure_is_noticed_too(run: Run) -> None:
    async def slow(wire: Wire, it: Origin) -> None:
        head = await wire.head()
        assert head is not None
        await wire.body(head)
        it.note(head)
        await wire.reader.read()

    async def test() -> None:
        async with origin(slow) as a, proxy(a) as lb, lb.client() as client:
            client.send(post(b"x" * 5_000_000))
            await a.arrived.get()
            client.half_close()
            assert await lb.ended.get() == ("a", Outcome.CLIENT_GONE)
            assert await client.closed()

    run(test())


def test_who_comes_after_one_that_has_gone_is_served(run: Run) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a, a=ONE) as lb:
            for _ in range(50):
                async with lb.client() as client:
                    client.send(get(), get())
                    client.half_close()
                    await client.is_reset()
            assert (await lb.get()).status == 200
            (view,) = lb.driver.balancer.snapshot(0.0).backends
            assert view.picked == view.succeeded + view.gone

    run(test())


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("framing", ["Content-Length: 9", "Transfer-Encoding: chunked"])
def test_one_that_goes_in_the_middle_of_its_body_has_gone(
    run: Run, tmp_path: Path, framing: str, reset: bool
) -> None:
    file = tmp_path / "log"

    async def test() -> None:
        toml = f'[access_log]\nfile = "{file}"\nformat = "{{status}} {{outcome}} {{termination}}"\n'
        go_on = asyncio.Event()

        async def begins(wire: Wire, it: Origin) -> None:
            await wire.head()
            go_on.set()
            await wire.reader.read()

        async with origin(begins) as a, proxy(a, toml=toml) as lb, lb.client() as client:
            client.send(get("/", framing, method="POST") + b"4\r\n")
            await go_on.wait()
            if reset:
                client.reset()
            else:
                client.half_close()
                assert await client.reader.read() == b""  # it is told nothing
            assert await lb.ended.get() == ("a", Outcome.CLIENT_GONE)
            assert [key[1:] for key in lb.driver.context.measured.server] == [(0, "client_gone")]
            (view,) = lb.driver.balancer.snapshot(0.0).backends
            assert (view.gone, view.failed) == (1, 0)

    run(test())
    assert file.read_text() == "- client_gone CR\n"
