"""Backends that fail, clients that leave: what is tried again, what is seen, what counts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from lb.strategies import Outcome
from tests.proxy.conftest import Run
from tests.proxy.doubles import (
    Origin,
    Script,
    Wire,
    answering,
    closing_after,
    echo,
    get,
    ok,
    origin,
    post,
    proxy,
    refusing,
    resets,
    silent,
)


def connecting(create_connection: Callable[..., Any]) -> Any:
    """The running loop, with another way to connect."""

    class Loop:
        def __getattr__(self, name: str) -> Any:
            return getattr(asyncio.get_running_loop(), name)

    loop = Loop()
    loop.create_connection = create_connection  # type: ignore[attr-defined]
    return loop


PATIENCE = '[timeouts]\nconnect = "400ms"\nresponse = "300ms"\n'


@pytest.mark.parametrize("request_", [get(), post(b"pay"), post(b"")], ids=["GET", "POST", "empty"])
def test_a_refused_connection_is_tried_elsewhere(run: Run, request_: bytes) -> None:
    """Nothing was sent, so even a POST may go to another backend."""

    async def test() -> None:
        with closing(refusing()) as a:
            async with origin(echo) as b, proxy(a, b) as lb, lb.client() as client:
                client.send(request_)
                answer = await client.response()
                assert answer.status == 200
                assert answer["X-Backend-Server"] == b.address
                assert answer.body.endswith(b"\r\n\r\n" + request_.partition(b"\r\n\r\n")[2])
                assert lb.outcomes == [("a", Outcome.CONNECT), ("b", Outcome.OK)]
                client.send(get())
                await client.response()

    run(test())


def test_a_body_still_arriving_goes_to_the_second_backend_whole(run: Run) -> None:
    async def test() -> None:
        with closing(refusing()) as a:
            async with origin(echo) as b, proxy(a, b) as lb, lb.client() as client:
                client.send(post(b"x" * 100_000)[:-1])
                await lb.ended.get()
                client.send(b"y")
                assert (await client.response()).body.endswith(b"x" * 99_999 + b"y")

    run(test())


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_everybody_refuses(run: Run, method: str) -> None:
    async def test() -> None:
        with closing(refusing()) as a, closing(refusing()) as b, closing(refusing()) as c:
            async with proxy(a, b, c) as lb, lb.client() as client:
                for _ in range(2):
                    client.send(get(method=method))
                    answer = await client.response(method)
                    assert answer.status == 502
                    assert answer["Content-Type"] == "application/json"
                    if method != "HEAD":
                        assert answer.json["error"] == "connect"
                assert len(lb.outcomes) == 4  # one retry each
                assert {outcome for _, outcome in lb.outcomes} == {Outcome.CONNECT}

    run(test())


async def cut_head(wire: Wire, it: Origin) -> None:
    await it.take(wire)
    wire.send(b"HTTP/1.1 200 OK\r\nContent-Le")


BROKEN: dict[str, tuple[Script, Outcome, int, str]] = {
    "reset": (resets, Outcome.RESET, 502, "reset"),
    "closed": (closing_after(b""), Outcome.RESET, 502, "reset"),
    "half a head": (cut_head, Outcome.RESET, 502, "reset"),
    "silent": (silent, Outcome.TIMEOUT, 504, "timeout"),
    "garbage": (answering(b"SSH-2.0-OpenSSH_9.2\r\n"), Outcome.SERVER_ERROR, 502, "server_error"),
    "another coding": (
        answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"),
        Outcome.SERVER_ERROR,
        502,
        "server_error",
    ),
    "two framings": (
        answering(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
        Outcome.SERVER_ERROR,
        502,
        "server_error",
    ),
    "no status": (
        answering(b"HTTP/1.1 099 Odd\r\n\r\n"),
        Outcome.SERVER_ERROR,
        502,
        "server_error",
    ),
    "endless head": (
        answering(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 500_000),
        Outcome.SERVER_ERROR,
        502,
        "server_error",
    ),
    "endless fields": (
        answering(b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 300 + b"\r\n"),
        Outcome.SERVER_ERROR,
        502,
        "server_error",
    ),
}


@pytest.mark.parametrize("how", BROKEN)
def test_no_answer_to_a_get_is_tried_once_more(run: Run, how: str) -> None:
    script, outcome, status, code = BROKEN[how]

    async def test() -> None:
        async with (
            origin(script) as a,
            origin(answering(ok(b"b"))) as b,
            proxy(a, b, toml=PATIENCE) as lb,
        ):
            answer = await lb.get()
            assert answer.status == 200
            assert answer.body == b"b"
            assert lb.outcomes == [("a", outcome), ("b", Outcome.OK)]
            assert all(latency >= 0 for latency in lb.latencies)
            assert lb.backends[0].failed == 1
        async with origin(script) as a, origin(script) as b, proxy(a, b, toml=PATIENCE) as lb:
            answer = await lb.get()
            assert answer.status == status
            assert answer.json["error"] == code
            assert lb.outcomes == [("a", outcome), ("b", outcome)]

    run(test())


@pytest.mark.parametrize("how", BROKEN)
def test_no_answer_to_a_post_is_final(run: Run, how: str) -> None:
    script, outcome, status, code = BROKEN[how]

    async def test() -> None:
        async with (
            origin(script) as a,
            origin(echo) as b,
            proxy(a, b, toml=PATIENCE) as lb,
            lb.client() as client,
        ):
            client.send(post(b"pay"))
            answer = await client.response()
            assert answer.status == status
            assert answer.json["error"] == code
            assert answer["Connection"] is None
            assert lb.outcomes == [("a", outcome)]
            assert b.requests == []
            client.send(get())  # on the same connection
            assert (await client.response()).status == 200

    run(test())


def test_a_backend_that_cannot_be_reached_is_given_up(run: Run) -> None:
    """Its line of connections is full: connecting takes for ever."""

    async def test() -> None:
        with closing(refusing()) as full:
            full.listen(0)
            loop = asyncio.get_running_loop()
            fillers = [
                asyncio.ensure_future(loop.create_connection(asyncio.Protocol, *full.getsockname()))
                for _ in range(4)
            ]
            await asyncio.wait(fillers, timeout=0.1)
            async with proxy(full, toml=PATIENCE + "[retries]\nmax = 0") as lb:
                answer = await lb.get()
                assert answer.status == 504
                assert lb.outcomes == [("a", Outcome.TIMEOUT)]
            for filler in fillers:
                if filler.done():
                    filler.result()[0].abort()
                else:
                    filler.cancel()
            await asyncio.wait(fillers)

    run(test())


def test_a_name_that_cannot_be_one(run: Run) -> None:
    async def test() -> None:
        async with proxy("a..b:80") as lb:
            answer = await lb.get()
            assert answer.status == 503
            assert answer.json["error"] == "cancelled"
            assert lb.outcomes == [("a", Outcome.CANCELLED)] * 2
            assert lb.backends[0].failed == 0

    run(test())


LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"
CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"


@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize("half", [LENGTH, CHUNKS], ids=["length", "chunked"])
@pytest.mark.parametrize("how", ["close", "reset", "garbage", "silence"])
def test_half_an_answer_never_looks_whole(run: Run, version: str, half: bytes, how: str) -> None:
    """Not even to HTTP/1.0, where a clean close would be the end of the body."""

    async def breaking(wire: Wire, it: Origin) -> None:
        await it.take(wire)
        wire.send(half)
        await go_on.wait()
        if how == "reset":
            wire.reset()
        elif how == "garbage":
            wire.send(b"zz\r\n" if half is CHUNKS else b"")
        elif how == "silence":
            await wire.closed()

    async def test() -> None:
        # Patient enough for a busy machine: what is tested is the second half, not the first.
        toml = '[timeouts]\nresponse = "700ms"'
        async with origin(breaking) as a, proxy(a, toml=toml) as lb, lb.client() as client:
            client.send(get(version=version))
            head = await client.head()
            assert head is not None
            assert head.status == 200
            go_on.set()
            assert await client.is_reset()
            assert lb.outcomes[0][1].teaches
            assert lb.backends[0].failed == 1

    go_on = asyncio.Event()
    run(test())


def test_an_answer_until_close_that_ends_with_a_reset(run: Run) -> None:
    async def breaking(wire: Wire, it: Origin) -> None:
        await it.take(wire)
        wire.send(b"HTTP/1.1 200 OK\r\n\r\nhalf")
        await go_on.wait()
        wire.reset()

    async def test() -> None:
        async with origin(breaking) as a, proxy(a) as lb, lb.client() as client:
            client.send(get())
            await client.head()
            go_on.set()
            assert await client.is_reset()
            assert lb.outcomes == [("a", Outcome.RESET)]

    go_on = asyncio.Event()
    run(test())


@pytest.mark.parametrize("status", [b"500 Internal Server Error", b"503 Service Unavailable"])
def test_an_error_of_the_backend_is_passed_on_and_counted(run: Run, status: bytes) -> None:
    async def test() -> None:
        async with (
            origin(answering(ok(b"sorry", status=status))) as a,
            proxy(a) as lb,
            lb.client() as client,
        ):
            client.send(get())
            answer = await client.response()
            assert answer.start == b"HTTP/1.1 " + status
            assert answer.body == b"sorry"
            assert lb.outcomes == [("a", Outcome.SERVER_ERROR)]
            client.send(get())
            await client.response()
            assert a.connections == 1

    run(test())


# --- clients that leave


@pytest.mark.parametrize("request_", [get(), post(b"body"), post(b"body")[:-1]])
def test_a_client_that_leaves_while_it_is_served(run: Run, request_: bytes) -> None:
    async def test() -> None:
        async with origin(silent) as a, proxy(a) as lb, lb.client() as client:
            client.send(request_)
            while not a.connections:
                await asyncio.sleep(0)
            client.reset()
            assert await lb.ended.get() == ("a", Outcome.CLIENT_GONE)
            assert lb.backends[0].active == 0
            assert lb.backends[0].failed == 0
            await a.left.get()  # its connection to the backend is gone too
            assert lb.backends[0].site.idle == []

    run(test())


def test_a_client_that_leaves_in_the_middle_of_its_answer(run: Run) -> None:
    async def endless(wire: Wire, it: Origin) -> None:
        await it.take(wire)
        wire.send(CHUNKS)
        while True:
            wire.send(b"4\r\nmore\r\n" * 1000)
            await wire.sent()

    async def test() -> None:
        async with origin(endless) as a, proxy(a) as lb, lb.client() as client:
            client.send(get())
            await client.head()
            client.reset()
            assert await lb.ended.get() == ("a", Outcome.CLIENT_GONE)
            await a.left.get()

    run(test())


def test_a_client_that_leaves_while_its_connection_is_made(run: Run) -> None:
    async def test() -> None:
        opened = asyncio.Event()

        async def never(*_: Any) -> Any:
            opened.set()
            await asyncio.Event().wait()

        async with origin(echo) as a, proxy(a) as lb, lb.client() as client:
            lb.driver.context.loop = connecting(never)
            client.send(get())
            await opened.wait()
            client.reset()
            assert await lb.ended.get() == ("a", Outcome.CLIENT_GONE)
            assert lb.backends[0].site._connecting == {}
            assert a.connections == 0

    run(test())


def test_the_ones_behind_in_a_pipeline_leave_with_it(run: Run) -> None:
    async def test() -> None:
        async with origin(silent) as a, proxy(a) as lb, lb.client() as client:
            client.send(get("/1"), get("/2"), get("/3"))
            await a.arrived.get()
            client.reset()
            assert await lb.ended.get() == ("a", Outcome.CLIENT_GONE)
            assert len(lb.leases) == 1

    run(test())


def test_a_backend_that_breaks_off_as_soon_as_it_has_accepted(run: Run) -> None:
    """Nothing was sent on a connection that is lost before it is used, so a POST goes elsewhere."""

    async def at_once(wire: Wire, it: Origin) -> None:
        wire.reset()

    async def test() -> None:
        connect = asyncio.get_running_loop().create_connection

        async def until_lost(*arguments: Any) -> Any:
            transport, protocol = await connect(*arguments)
            if arguments[2] == port_of_a:
                while not transport.is_closing():
                    await asyncio.sleep(0)
                await asyncio.sleep(0)
            return transport, protocol

        async with origin(at_once) as a, origin(echo) as b, proxy(a, b) as lb:
            port_of_a = int(a.address.rpartition(":")[2])
            async with lb.client() as client:
                for _ in range(10):  # as it comes
                    client.send(get())
                    assert (await client.response()).status == 200
                lb.driver.context.loop = connecting(until_lost)
                client.send(post(b"pay"))
                assert (await client.response()).body.endswith(b"pay")
                assert lb.outcomes[-2:] == [("a", Outcome.RESET), ("b", Outcome.OK)]

    run(test())
