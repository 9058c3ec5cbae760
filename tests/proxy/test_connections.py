"""Which connections live on, on both sides, and in which order requests are answered."""

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
    closing_after,
    echo,
    get,
    ok,
    origin,
    post,
    proxy,
)

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_one_connection_on_each_side_carries_many_requests(run: Run) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a) as lb, lb.client() as client:
            for i in range(20):
                client.send(get(f"/{i}") if i % 2 else post(b"x" * i, target=f"/{i}"))
                assert b" /%d HTTP" % i in (await client.response()).body
            assert a.connections == 1
            assert [request.target for request in a.requests] == [f"/{i}" for i in range(20)]

    run(test())


def test_clients_share_the_idle_connections_to_a_backend(run: Run) -> None:
    async def test() -> None:
        async with origin(answering(ok(b"x"))) as a, proxy(a) as lb:
            for _ in range(5):
                assert (await lb.get()).body == b"x"
            assert a.connections == 1

    run(test())


def test_connection_close_of_the_client_concerns_only_the_client(run: Run) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a) as lb:
            async with lb.client() as client:
                client.send(get("/", "Connection: close"))
                answer = await client.response()
                assert answer["Connection"] == "close"
                assert b"Connection" not in answer.body
                assert await client.closed()
            await lb.get()
            assert a.connections == 1

    run(test())


@pytest.mark.parametrize("goodbye", [b"Connection: close", b"Connection: Close, X"])
def test_connection_close_of_the_backend_concerns_only_the_backend(
    run: Run, goodbye: bytes
) -> None:
    async def test() -> None:
        async with origin(closing_after(ok(b"x", goodbye))) as a, proxy(a) as lb:
            async with lb.client() as client:
                for _ in range(3):
                    client.send(get())
                    answer = await client.response()
                    assert answer.body == b"x"
                    assert answer["Connection"] is None
            assert a.connections == 3
            assert lb.outcomes == [("a", Outcome.OK)] * 3

    run(test())


def test_http_1_0_closes_unless_asked_not_to(run: Run) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a) as lb:
            async with lb.client() as client:
                client.send(get(version="1.0"))
                answer = await client.response()
                assert answer.start == b"HTTP/1.1 200 OK"
                assert answer["Connection"] == "close"
                via = b"Via: 1.0 " + lb.pseudonym.encode()
                assert via + b"\r\n" in answer.body
                assert answer.body.startswith(b"GET / HTTP/1.1\r\n")
                assert await client.closed()
            async with lb.client() as client:
                for _ in range(2):
                    client.send(get("/", "Connection: keep-alive", version="1.0"))
                    assert (await client.response())["Connection"] == "keep-alive"
                client.send(get("/lb-health", "Connection: keep-alive", version="1.0"))
                assert (await client.response())["Connection"] == "keep-alive"

    run(test())


def test_http_1_0_needs_no_host(run: Run) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a) as lb, lb.client() as client:
            client.send(b"GET / HTTP/1.0\r\n\r\n")
            answer = await client.response()
            assert b"\r\nHost: \r\n" in answer.body
            assert b"X-Forwarded-Host" not in answer.body

    run(test())


@pytest.mark.parametrize(
    "answer",
    [
        CHUNKED + b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabcde",
        b"HTTP/1.0 200 OK\r\n\r\nabcde",
    ],
    ids=["chunked", "until close", "of 1.0"],
)
def test_answers_of_unknown_length(run: Run, answer: bytes) -> None:
    """HTTP/1.1 gets them chunked and keeps its connection; HTTP/1.0 gets them until close."""

    async def test() -> None:
        async with origin(closing_after(answer)) as a, proxy(a) as lb:
            async with lb.client() as client:
                for _ in range(2):
                    client.send(get())
                    got = await client.response()
                    assert got["Transfer-Encoding"] == "chunked"
                    assert got.body == b"abcde"
                    assert got["T"] is None
            async with lb.client() as client:
                client.send(get("/", "Connection: keep-alive", version="1.0"))
                got = await client.response()
                assert got["Transfer-Encoding"] is None
                assert got["Connection"] == "close"
                assert got.body == b"abcde"
            assert {outcome for _, outcome in lb.outcomes} == {Outcome.OK}

    run(test())


def test_pipelined_requests_are_answered_in_order(run: Run) -> None:
    async def test() -> None:
        async with origin(echo) as a, origin(echo) as b, proxy(a, b) as lb, lb.client() as client:
            client.send(*(get(f"/{i}") for i in range(100)), post(b"end", "Connection: close"))
            for i in range(100):
                assert (await client.response()).body.startswith(b"GET /%d " % i)
            assert (await client.response()).body.endswith(b"end")
            assert await client.closed()
            assert a.connections == b.connections == 1
            assert len(a.requests) == 51
            assert max(backend.picked for backend in lb.backends) == 51

    run(test())


def test_one_request_at_a_time_is_with_a_backend(run: Run) -> None:
    """Pipelined requests wait for their turn: a backend never has two of one client."""

    async def test() -> None:
        go_on = asyncio.Event()

        async def waiting(wire: Wire, it: Origin) -> None:
            while await it.take(wire) is not None:
                await go_on.wait()
                wire.send(ok())

        async with origin(waiting) as a, proxy(a) as lb, lb.client() as client:
            client.send(get("/1"), get("/2"))
            await a.arrived.get()
            assert lb.backends[0].active == 1
            assert lb.backends[0].picked == 1
            go_on.set()
            await client.response()
            await client.response()
            assert lb.backends[0].picked == 2

    run(test())


def test_nothing_is_sent_behind_an_answer_that_says_close(run: Run) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a) as lb, lb.client() as client:
            client.send(get("/1", "Connection: close"), get("/2"), b"garbage")
            assert (await client.response())["Connection"] == "close"
            assert await client.closed()
            assert [request.target for request in a.requests] == ["/1"]

    run(test())


@pytest.mark.parametrize("count", [1, 3])
def test_a_client_that_closes_its_side_gets_all_its_answers(run: Run, count: int) -> None:
    async def test() -> None:
        async with (
            origin(echo) as a,
            proxy(a, toml=HALF_CLOSE) as lb,
            lb.client() as client,
        ):
            client.send(*(get(f"/{i}") for i in range(count)))
            client.half_close()
            for i in range(count):
                answer = await client.response()
                assert answer.body.startswith(b"GET /%d " % i)
                assert (answer["Connection"] == "close") == (i == count - 1)
            assert await client.closed()
            assert lb.outcomes == [("a", Outcome.OK)] * count

    run(test())


def test_a_client_that_closes_its_side_while_it_is_answered(run: Run) -> None:
    """The head said nothing of closing; the connection ends all the same."""

    async def test() -> None:
        go_on = asyncio.Event()

        async def halting(wire: Wire, it: Origin) -> None:
            await it.take(wire)
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na")
            await go_on.wait()
            wire.send(b"b")
            await it.take(wire)

        async with (
            origin(halting) as a,
            proxy(a, toml=HALF_CLOSE) as lb,
            lb.client() as client,
        ):
            client.send(get())
            head = await client.head()
            assert head is not None
            client.half_close()
            await client.reader.readexactly(1)
            go_on.set()
            assert await client.reader.read() == b"b"
            await a.arrived.get()

    run(test())


def test_a_client_that_says_nothing_more_is_let_go(run: Run) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a) as lb, lb.client() as client:
            client.half_close()
            assert await client.closed()
            assert lb.leases == []

    run(test())


def test_unused_connections_are_closed(run: Run) -> None:
    async def test() -> None:
        toml = '[timeouts]\nidle = "50ms"\nclient_idle = "100ms"\n'
        async with origin(echo) as a, proxy(a, toml=toml) as lb, lb.client() as client:
            client.send(get())
            await client.response()
            await a.left.get()
            assert lb.backends[0].site.idle == []
            assert await client.closed()

    run(test())


@pytest.mark.parametrize("text", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\nX: "])
def test_a_head_must_come_in_time(run: Run, text: bytes) -> None:
    toml = '[timeouts]\nheader = "100ms"\n'

    async def test() -> None:
        async with origin(echo) as a, proxy(a, toml=toml) as lb:
            async with lb.client() as client:
                client.send(text)
                if text:
                    assert (await client.response()).status == 408
                assert await client.closed()
            async with lb.client() as client:  # and so must the second head of a connection
                client.send(get())
                await client.response()
                if text:
                    client.send(text)
                    assert (await client.response()).status == 408

    run(test())


def test_a_body_must_keep_coming(run: Run) -> None:
    toml = '[timeouts]\nclient_idle = "100ms"\n'

    async def test() -> None:
        async with origin(echo) as a, proxy(a, toml=toml) as lb, lb.client() as client:
            client.send(post(b"body")[:-1])
            assert (await client.response()).status == 408
            assert await client.closed()
            assert await lb.ended.get() == ("a", Outcome.CLIENT_GONE)
            assert lb.backends[0].failed == 0

    run(test())
