"""What may come in between: expectations, early answers, upgrades, reads that end anywhere."""

from __future__ import annotations

import asyncio

import pytest

from lb.strategies import Outcome
from tests.proxy.conftest import Run
from tests.proxy.doubles import (
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
from tests.proxy.test_bodies import BIG, CHUNKED, chunked


@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_expect_100_continue(run: Run, version: str) -> None:
    async def careful(wire: Wire, it: Origin) -> None:
        head = await wire.head()
        assert head is not None
        assert head["Expect"] == "100-continue"
        wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        it.note(await wire.body(head))
        wire.send(ok(b"done"))

    async def test() -> None:
        async with origin(careful) as a, proxy(a) as lb, lb.client() as client:
            client.send(
                get("/", "Content-Length: 4", "Expect: 100-continue", method="PUT", version=version)
            )
            if version == "1.1":
                assert (await client.response()).start == b"HTTP/1.1 100 Continue"
            client.send(b"body")
            assert (await client.response()).body == b"done"
            assert a.requests[0].body == b"body"

    run(test())


def test_expect_100_continue_refused(run: Run) -> None:
    """The client never sends the body, so neither connection can be used again."""
    refused = ok(b"too big", status=b"417 Expectation Failed")

    async def stern(wire: Wire, it: Origin) -> None:
        await wire.head()
        wire.send(refused)
        assert await wire.closed()

    async def test() -> None:
        async with origin(stern) as a, proxy(a) as lb, lb.client() as client:
            client.send(get("/", "Content-Length: 4", "Expect: 100-continue", method="PUT"))
            answer = await client.response()
            assert answer.status == 417
            assert answer["Connection"] == "close"
            assert await client.closed()
            assert lb.outcomes == [("a", Outcome.OK)]

    run(test())


def test_an_early_answer_reaches_a_client_that_is_still_sending(run: Run) -> None:
    async def hasty(wire: Wire, it: Origin) -> None:
        await wire.head()
        wire.send(ok(b"enough", status=b"413 Content Too Large"))
        await wire.sent()
        await wire.reader.read()

    async def test() -> None:
        async with origin(hasty) as a, proxy(a) as lb, lb.client() as client:
            client.send(get("/", f"Content-Length: {len(BIG)}", method="POST"), BIG[: 2**20])
            answer = await client.response()
            assert answer.status == 413
            assert answer.body == b"enough"
            client.send(BIG[2**20 :])  # all of it is read, and thrown away
            await client.sent()
            client.half_close()
            assert await client.closed()
            assert lb.outcomes == [("a", Outcome.OK)]
            assert a.connections == 1

    run(test())


def test_an_answer_and_a_request_may_stream_at_the_same_time(run: Run) -> None:
    async def streaming(wire: Wire, it: Origin) -> None:
        await wire.head()
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n")
        for _ in range(3):
            wire.send(await wire.reader.readexactly(2))

    async def test() -> None:
        async with origin(streaming) as a, proxy(a) as lb, lb.client() as client:
            client.send(get("/", "Content-Length: 6", method="POST"))
            assert await client.head() is not None
            for piece in (b"ab", b"cd", b"ef"):
                client.send(piece)
                assert await client.reader.readexactly(2) == piece
            assert await client.closed()

    run(test())


UPGRADE = ("Connection: Upgrade, X-Settings", "Upgrade: websocket", "X-Settings: AAMAAABk")


@pytest.mark.parametrize("body", [b"", b"hello", b"chunks"])
def test_an_upgrade_that_the_backend_ignores(run: Run, body: bytes) -> None:
    framing = [f"Content-Length: {len(body)}"] if body == b"hello" else []
    sent = body
    if body == b"chunks":
        framing, sent = ["Transfer-Encoding: chunked"], b"".join(chunked(body, 2))

    async def test() -> None:
        async with origin(echo) as a, proxy(a) as lb, lb.client() as client:
            asking = get("/up", *UPGRADE, *framing, method="POST" if body else "GET") + sent
            client.send(asking, get("/next"), asking)
            seen = [(await client.response()).body for _ in range(3)]
            assert b" /next " in seen.pop(1)
            for request in seen:
                assert request.endswith(b"\r\n\r\n" + body)
                assert b"Connection: upgrade\r\nUpgrade: websocket\r\n" in request
                assert b"X-Settings" not in request
            client.send(get("/", "Connection: upgrade, close", "Upgrade: websocket"))
            await client.response()
            assert await client.closed()

    run(test())


def test_many_upgrades_in_one_read(run: Run) -> None:
    async def test() -> None:
        async with origin(answering(ok(b"x"))) as a, proxy(a) as lb, lb.client() as client:
            client.send(*[get("/", *UPGRADE)] * 1500)
            for _ in range(1500):
                assert (await client.response()).body == b"x"
            assert len(a.requests) == 1500

    run(test())


def test_a_switch_that_nobody_asked_for_is_a_failure(run: Run) -> None:
    switching = (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"
    )

    async def test() -> None:
        async with origin(answering(switching)) as a, proxy(a) as lb:
            assert (await lb.get()).status == 502

    run(test())


def test_requests_may_be_split_anywhere(run: Run) -> None:
    requests = (
        post(b"hello", "X-A: 1")
        + get("/up", *UPGRADE)
        + get("/c", "Transfer-Encoding: chunked", method="PUT")
        + b"5;x=y\r\nhello\r\n1\r\n!\r\n0\r\nX-Trailer: 1\r\n\r\n"
        + get("/last")
    )

    async def test() -> None:
        async with origin(echo) as a, proxy(a) as lb, lb.client() as client:
            client.send(requests)
            whole = [(await client.response()).body for _ in range(4)]
            for split in range(1, len(requests)):
                client.send(requests[:split])
                await client.sent()
                await asyncio.sleep(0)
                client.send(requests[split:])
                assert [(await client.response()).body for _ in range(4)] == whole
            assert a.connections == 1

    run(test())


def test_requests_may_come_byte_by_byte(run: Run) -> None:
    requests = post(b"hello", "X-A: 1") + get("/up", *UPGRADE) + get("/last")

    async def test() -> None:
        async with origin(echo) as a, proxy(a) as lb, lb.client() as client:
            client.send(requests)
            wholes = [(await client.response()).body for _ in range(3)]
            for byte in requests:
                client.send(bytes([byte]))
                await client.sent()
                await asyncio.sleep(0)
            assert [(await client.response()).body for _ in range(3)] == wholes
            assert a.connections == 1

    run(test())


def test_answers_may_be_split_anywhere(run: Run) -> None:
    answers = (
        b"HTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 100 Continue\r\n\r\n" + CHUNKED + b"5\r\nhello\r\n0\r\nT: 1\r\n\r\n",
    )

    async def halves(wire: Wire, it: Origin) -> None:
        while (request := await it.take(wire)) is not None:
            number, split = map(int, request.target[1:].split("/"))
            wire.send(answers[number][:split])
            await wire.sent()
            await asyncio.sleep(0)
            wire.send(answers[number][split:])

    async def test() -> None:
        async with origin(halves) as a, proxy(a) as lb, lb.client() as client:
            for number, answer in enumerate(answers):
                for split in range(len(answer)):
                    client.send(get(f"/{number}/{split}"))
                    if number:
                        assert (await client.response()).status == 100
                    got = await client.response()
                    assert got.body == b"hello"
                    assert got["X-A"] == (None if number else "1")
            assert a.connections == 1

    run(test())
