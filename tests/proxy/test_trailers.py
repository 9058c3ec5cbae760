"""Trailers are passed on where they are allowed, and dropped where not."""

from __future__ import annotations

import asyncio

import pytest

from lb.strategies import Outcome
from tests.proxy.conftest import Run
from tests.proxy.doubles import answering, echo, get, origin, proxy

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
BODY = b"5\r\nhello\r\n0\r\n"
FORBIDDEN = (
    *("Content-Length: 3", "Transfer-Encoding: gzip", "Host: evil.test", "Connection: close"),
    *("TE: gzip", "Trailer: X", "Upgrade: x", "Keep-Alive: 1", "Authorization: Basic x"),
    *("Content-Encoding: gzip", "Content-Type: text/html", "Content-Range: bytes 0-1/2"),
    *("Set-Cookie: a=1", "Cookie: a=1", "Cache-Control: no-store", "Expect: 100-continue"),
    *("Max-Forwards: 1", "X-Forwarded-For: 1.2.3.4", "X-Backend-Server: x", "Via: 1.1 x"),
    *("X-Mine: named by Connection", "x-LB-load: in_flight=1, latency_ms=1"),
)


def section(*lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n"


def test_trailers_of_a_request_reach_the_backend(run: Run) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a) as lb, lb.client() as client:
            chunked = get(
                *("/", "Transfer-Encoding: chunked", "Trailer: X-Sum", "Connection: X-Mine"),
                method="POST",
            )
            client.send(chunked, BODY, section("X-Sum:  1 ", *FORBIDDEN, "x-sum: 2"))
            assert (await client.response()).status == 200
            (seen,) = a.requests
            assert seen.body == b"hello"
            assert seen.trailers == [("X-Sum", "1"), ("x-sum", "2")]
            assert seen["Trailer"] == "X-Sum"
            client.send(get("/", "Trailer: X-Sum"))  # and no body for them to follow
            await client.response()
            assert a.requests[1]["Trailer"] is None
            assert a.connections == 1

    run(test())


def test_trailers_of_a_request_may_be_split_anywhere(run: Run) -> None:
    text = get("/", "Transfer-Encoding: chunked", method="POST") + BODY + section("A: 1", "B: 2")

    async def test() -> None:
        async with origin(echo) as a, proxy(a) as lb, lb.client() as client:
            for split in range(len(text) - 30, len(text)):
                client.send(text[:split])
                await client.sent()
                await asyncio.sleep(0)
                client.send(text[split:])
                await client.response()
                assert a.requests[-1].trailers == [("A", "1"), ("B", "2")]

    run(test())


@pytest.mark.parametrize(
    ("fields", "version", "kept"),
    [
        (("TE: trailers",), "1.1", True),
        (("TE: gzip;q=0.5, Trailers", "Connection: TE"), "1.1", True),
        ((), "1.1", False),
        (("TE: gzip",), "1.1", False),
        (("TE: trailers",), "1.0", False),
    ],
)
def test_trailers_of_a_response_reach_who_wants_them(
    run: Run, fields: tuple[str, ...], version: str, kept: bool
) -> None:
    async def test() -> None:
        answer = CHUNKED + BODY + section("X-Sum: 1", *FORBIDDEN[:-2])
        async with origin(answering(answer)) as a, proxy(a) as lb, lb.client() as client:
            client.send(get("/", *fields, version=version))
            got = await client.response()
            assert got.body == b"hello"
            assert got.trailers == ([("X-Sum", "1")] if kept else [])
            assert got["Trailer"] == ("X-Sum" if kept else None)
            assert a.requests[0]["TE"] == ("trailers" if kept else None)
            assert a.requests[0]["Connection"] == ("TE" if kept else None)
            if version == "1.1":
                client.send(get())
                await client.response()
                assert a.connections == 1

    run(test())


@pytest.mark.parametrize(
    ("trailers", "status"),
    [
        (b"X-Sum : 1\r\n\r\n", 400),
        (b"X-Sum\r\n\r\n", 400),
        (b" X-Sum: 1\r\n\r\n", 400),
        (b"X: 1\r\n 2\r\n\r\n", 400),
        (b"X: \0\r\n\r\n", 400),
        (b"X: 1\n\r\n\r\n", 400),
        (b"X: " + b"x" * 70_000 + b"\r\n\r\n", 431),
    ],
)
def test_trailers_that_break_the_rules(run: Run, trailers: bytes, status: int) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a) as lb, lb.client() as client:
            client.send(get("/", "Transfer-Encoding: chunked", method="POST"), BODY, trailers)
            client.send(get("/smuggled"))
            assert (await client.response()).status == status
            assert await client.closed()
            assert a.requests == []
        async with (
            origin(answering(CHUNKED + BODY + trailers)) as b,
            proxy(b, toml="[retries]\nmax = 0") as lb,
            lb.client() as client,
        ):
            client.send(get("/", "TE: trailers"))
            if len(trailers) < 1000:  # all in one read: nothing of the answer has gone out
                assert (await client.response()).status == 502
            else:
                assert await client.is_refused_or_reset()
            assert lb.outcomes == [("a", Outcome.SERVER_ERROR)]

    run(test())
