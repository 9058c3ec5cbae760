"""Backends that fail, clients that leave: what is tried again, what is seen, what counts."""

from __future__ import annotations

import asyncio
from contextlib import closing

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
