"""What is not understood is refused in plain words, and the connection with it."""

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
    post,
    proxy,
)

GET = "GET / HTTP/1.1\r\nHost: x\r\n"
POST = "POST / HTTP/1.1\r\nHost: x\r\n"

REFUSED = [
    (400, "two framings", POST + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc"),
    (400, "framings turned", POST + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc"),
    (400, "two lengths", POST + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc"),
    (400, "one length twice", POST + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc"),
    (400, "length list", POST + "Content-Length: 3, 3\r\n\r\nabc"),
    (400, "length with a sign", POST + "Content-Length: +3\r\n\r\nabc"),
    (400, "length below zero", POST + "Content-Length: -1\r\n\r\n"),
    (400, "length in hex", POST + "Content-Length: 0x3\r\n\r\nabc"),
    (400, "length too long", POST + f"Content-Length: {10**30}\r\n\r\n"),
    (400, "no length", POST + "Content-Length: \r\n\r\n"),
    (400, "space before colon", GET + "X : 1\r\n\r\n"),
    (400, "space in a name", GET + "X Y: 1\r\n\r\n"),
    (400, "no colon", GET + "X\r\n\r\n"),
    (400, "folded field", GET + "X: 1\r\n 2\r\n\r\n"),
    (400, "null in a value", GET + "X: a\0b\r\n\r\n"),
    (400, "bare line feeds", "GET / HTTP/1.1\nHost: x\n\n"),
    (400, "bare carriage return", GET + "X: a\rY: b\r\n\r\n"),
    (400, "no host", "GET / HTTP/1.1\r\n\r\n"),
    (400, "two hosts", GET + "Host: y\r\n\r\n"),
    (400, "no target", "GET HTTP/1.1\r\nHost: x\r\n\r\n"),
    (400, "space in the target", "GET /a b HTTP/1.1\r\nHost: x\r\n\r\n"),
    (400, "chunked is not last", POST + "Transfer-Encoding: chunked, gzip\r\n\r\n"),
    (400, "not chunked", POST + "Transfer-Encoding: identity\r\n\r\n"),
    (400, "almost chunked", POST + "Transfer-Encoding: xchunked\r\n\r\n"),
    (400, "chunked by 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    (400, "chunked twice", POST + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
    (501, "another coding", POST + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    (501, "connect", "CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\n"),
    (505, "HTTP/2", "GET / HTTP/2.0\r\nHost: x\r\n\r\n"),
    (400, "the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    (400, "HTTP/0.9", "GET /\r\n\r\n"),
    (431, "long field", GET + f"X: {'a' * 70_000}\r\n\r\n"),
    (414, "long target", f"GET /{'a' * 70_000} HTTP/1.1\r\nHost: x\r\n\r\n"),
    (431, "many fields", GET + "X: a\r\n" * 300 + "\r\n"),
]


@pytest.mark.parametrize(
    ("status", "text"), [row[::2] for row in REFUSED], ids=[row[1] for row in REFUSED]
)
def test_refused(run: Run, status: int, text: str) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a) as lb, lb.client() as client:
            client.send(text.encode("latin-1"), get("/smuggled"))
            answer = await client.response()
            assert answer.status == status
            assert answer["Connection"] == "close"
            assert set(answer.json) == {"error", "message"}
            assert await client.closed()
            assert a.requests == []
            assert lb.leases == []

    run(test())


@pytest.mark.parametrize("text", ["X: aaaa", "X: a\r\nY: ", "\r\n"])
def test_a_head_that_never_ends(run: Run, text: str) -> None:
    """Refused while it comes: what the proxy would keep of it is bounded."""
    more = text.encode() * 10_000 if text == "\r\n" else b"a" * 20_000

    async def test() -> None:
        async with origin(echo) as a, proxy(a) as lb, lb.client() as client:
            client.send((GET + text).encode())
            for _ in range(50):
                client.send(more)
            assert (await client.response()).status == (431 if text != "\r\n" else 200)

    run(test())


BAD_BODIES = [b"zz\r\n", b"3\r\nabcd\r\n", b"3;" + b"x" * 100_000, b"0\r\nX: " + b"x" * 100_000]


@pytest.mark.parametrize("more", BAD_BODIES, ids=["size", "end", "extension", "trailer"])
def test_a_body_that_breaks_the_rules(run: Run, more: bytes) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a) as lb, lb.client() as client:
            client.send((POST + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n").encode())
            while lb.backends[0].active == 0:
                await asyncio.sleep(0)
            client.send(more)
            answer = await client.response()
            assert answer.status in (400, 431)
            assert await client.closed()
            assert lb.outcomes == [("a", Outcome.CLIENT_GONE)]
            assert lb.backends[0].failed == 0
            await a.left.get()
            assert a.requests == []

    run(test())


def test_the_answers_to_what_came_before_come_first(run: Run) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a) as lb, lb.client() as client:
            client.send(get("/1"), get("/2"), get("/3"), b"CONNECT a:80 HTTP/1.1\r\n\r\n")
            for i in (1, 2, 3):
                answer = await client.response()
                assert answer.body.startswith(b"GET /%d " % i)
                assert answer["Connection"] is None
            answer = await client.response()
            assert answer.status == 501
            assert answer["Connection"] == "close"
            assert await client.closed()

    run(test())


def test_a_body_that_breaks_the_rules_behind_another_request(run: Run) -> None:
    async def test() -> None:
        go_on = asyncio.Event()

        async def waiting(wire: Wire, it: Origin) -> None:
            while await it.take(wire) is not None:
                await go_on.wait()
                wire.send(ok())

        async with origin(waiting) as a, proxy(a) as lb, lb.client() as client:
            client.send(get(), (POST + "Transfer-Encoding: chunked\r\n\r\n").encode())
            await a.arrived.get()
            client.send(b"zz\r\n")
            while not any(it._rejection for it in lb.driver.clients):
                await asyncio.sleep(0)
            go_on.set()
            assert (await client.response()).status == 200
            assert (await client.response()).status == 400
            assert await client.closed()
            assert len(a.requests) == 1

    run(test())


def test_a_body_that_breaks_the_rules_after_its_answer_began(run: Run) -> None:
    async def early(wire: Wire, it: Origin) -> None:
        await wire.head()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
        await wire.closed()

    async def test() -> None:
        async with origin(early) as a, proxy(a) as lb, lb.client() as client:
            client.send((POST + "Transfer-Encoding: chunked\r\n\r\n").encode())
            assert await client.head() is not None
            client.send(b"zz\r\n")
            with pytest.raises(ConnectionError):
                await client.reader.readexactly(9)
            assert await lb.ended.get() == ("a", Outcome.CLIENT_GONE)

    run(test())


@pytest.mark.parametrize("text", [POST + "Content-Length: 9\r\n\r\nhalf", GET + "X: "])
def test_a_request_that_ends_early(run: Run, text: str) -> None:
    async def test() -> None:
        async with (
            origin(echo) as a,
            proxy(a, toml=HALF_CLOSE) as lb,
            lb.client() as client,
        ):
            client.send(get("/whole"), text.encode())
            client.half_close()
            assert b"/whole" in (await client.response()).body
            if "half" in text:
                assert (await client.response()).status == 400
            assert await client.closed()
            assert [request.target for request in a.requests] == ["/whole"]

    run(test())


def test_a_refusal_reaches_a_client_that_is_still_sending(run: Run) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a) as lb, lb.client() as client:
            client.send(b"CONNECT a:80 HTTP/1.1\r\n", b"x" * 2**22)
            await client.sent()
            assert (await client.response()).status == 501
            assert await client.closed()

    run(test())


def test_an_answer_to_head_has_no_body_even_when_it_is_our_own(run: Run) -> None:
    async def test() -> None:
        async with (
            origin(answering(b"nonsense\r\n\r\n")) as a,
            proxy(a) as lb,
            lb.client() as client,
        ):
            for target in ("/", "/lb-health"):
                client.send(get(target, method="HEAD"))
                answer = await client.response("HEAD")
                assert int(answer["Content-Length"] or 0) > 0
            client.send(get("/lb-health"))
            assert (await client.response()).json["status"] == "ok"

    run(test())


LIMITS = """
[limits]
request_line = "100B"
header_bytes = "1KiB"
header_count = 10
body = "1kB"
"""
CHUNKED = (POST + "Transfer-Encoding: chunked\r\n\r\n").encode()


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (200, get("/" + "a" * 86)),
        (414, get("/" + "a" * 87)),
        (414, b"GET /" + b"a" * 200),
        (431, get("/", "X: " + "a" * 1100)),
        (431, get("/", *["X: a"] * 10)),
        (200, post(b"a" * 1000)),
        (413, post(b"a" * 1001)),
        (413, get("/", "Content-Length: 1001", "Expect: 100-continue", method="POST")),
        (200, CHUNKED + b"3e8\r\n" + b"a" * 1000 + b"\r\n0\r\n\r\n"),
        (413, CHUNKED + b"3e8\r\n" + b"a" * 1000 + b"\r\n1\r\na\r\n0\r\n\r\n"),
        (431, CHUNKED + b"1\r\na\r\n0\r\nX: " + b"a" * 2000 + b"\r\n\r\n"),
        (431, CHUNKED + b"1;" + b"a" * 2000 + b"\r\na\r\n0\r\n\r\n"),
    ],
)
def test_limits_are_those_of_the_file(run: Run, status: int, text: bytes) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a, toml=LIMITS) as lb, lb.client() as client:
            client.send(text)
            answer = await client.response()
            assert answer.status == status
            if status != 200:
                assert await client.closed()
                assert a.requests == []
                assert all(outcome is Outcome.CLIENT_GONE for _, outcome in lb.outcomes)

    run(test())


def test_a_body_that_outgrows_its_limit_gives_its_backend_back(run: Run) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a, toml=LIMITS) as lb, lb.client() as client:
            client.send(CHUNKED, b"3e8\r\n" + b"a" * 1000 + b"\r\n")
            while lb.backends[0].active == 0:
                await asyncio.sleep(0)
            client.send(b"1\r\na\r\n")
            assert (await client.response()).status == 413
            assert lb.outcomes == [("a", Outcome.CLIENT_GONE)]
            assert lb.backends[0].active == 0
            await a.left.get()

    run(test())


@pytest.mark.parametrize("lines", [b"X: " + b"a" * 1100, b"\r\n".join([b"X: a"] * 10)])
def test_limits_hold_for_backends_too(run: Run, lines: bytes) -> None:
    async def test() -> None:
        async with origin(answering(ok(b"", lines))) as a, proxy(a, toml=LIMITS) as lb:
            assert (await lb.get()).status == 502

    run(test())


@pytest.mark.parametrize("cut", [0, 9])
def test_a_body_of_which_nothing_comes_is_408(run: Run, cut: int) -> None:
    """Its head may come at once or in pieces."""

    async def test() -> None:
        toml = '[timeouts]\nclient_idle = "150ms"\n'
        async with origin(echo) as a, proxy(a, toml=toml) as lb, lb.client() as client:
            head = get("/", "Content-Length: 4", method="POST")
            if cut:
                client.send(head[:cut])
                await client.sent()
                await asyncio.sleep(0)
            client.send(head[cut:])
            assert (await client.response()).status == 408
            assert await client.closed()

    run(test())
