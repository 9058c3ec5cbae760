"""Bodies pass in both directions, whole and in bounded memory."""

from __future__ import annotations

import asyncio
import hashlib
from random import Random

import pytest

from lb.proxy.exchange.client import ClientConnection
from lb.proxy.timers import Waiting
from lb.proxy.upstream.connection import UpstreamConnection
from lb.strategies import Outcome
from tests.proxy.conftest import Run
from tests.proxy.doubles import (
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
)

BIG = Random(1).randbytes(2**20) * 24
"""More than the kernel's socket buffers hold, so a reader that stops is felt."""
BOUND = 2**20
"""What one connection may have waiting in the proxy: a read of 256 KiB and the marks around it."""


@pytest.fixture
def buffered(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Bytes waiting in the proxy for either side, after every write."""
    sizes: list[int] = []
    for side in (ClientConnection, UpstreamConnection):
        connected = side.connection_made

        def connection_made(self, transport, connected=connected) -> None:  # type: ignore[no-untyped-def]
            connected(self, transport)

            def noting(data: bytes) -> None:
                transport.write(data)
                sizes.append(transport.get_write_buffer_size())

            self.write = noting

        monkeypatch.setattr(side, "connection_made", connection_made)
    return sizes


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunked(data: bytes, size: int) -> list[bytes]:
    pieces = [data[i : i + size] for i in range(0, len(data), size)]
    return [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces] + [b"0\r\n\r\n"]


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_a_large_answer_arrives_whole(run: Run, framing: str, buffered: list[int]) -> None:
    async def large(wire: Wire, it: Origin) -> None:
        await it.take(wire)
        if framing == "length":
            wire.send(ok(BIG))
        elif framing == "chunked":
            wire.send(CHUNKED)
            wire.send(*chunked(BIG, 300_007))
        else:
            wire.send(b"HTTP/1.1 200 OK\r\n\r\n", BIG)
        await wire.sent()

    async def test() -> None:
        async with origin(large) as a, proxy(a) as lb, lb.client() as client:
            client.send(get())
            answer = await client.response()
            assert hashlib.sha256(answer.body).digest() == hashlib.sha256(BIG).digest()
            assert max(buffered) < BOUND

    run(test())


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_large_request_arrives_whole(run: Run, framing: str, buffered: list[int]) -> None:
    async def test() -> None:
        async with origin(answering(ok())) as a, proxy(a) as lb, lb.client() as client:
            if framing == "length":
                client.send(post(BIG))
            else:
                client.send(get("/", "Transfer-Encoding: chunked", method="PUT"))
                client.send(*chunked(BIG, 300_007))
            await client.sent()
            assert (await client.response()).status == 200
            assert a.requests[0].body == BIG
            assert max(buffered) < BOUND
            client.send(get())
            assert (await client.response()).status == 200
            assert a.connections == 1

    run(test())


def first_stall(lb: Proxy) -> asyncio.Event:
    """Set when the proxy first notices that a client does not read."""
    noticed = asyncio.Event()
    stalled = lb.driver.timers.stalled
    start = stalled.start

    def noting(exchange: Waiting, now: float) -> None:
        noticed.set()
        start(exchange, now)

    stalled.start = noting  # type: ignore[method-assign]
    return noticed


def somebody_is_full(lb: Proxy) -> bool:
    """A client does not read what has been written to it."""
    return any(client.full for client in lb.driver.clients)


def test_a_client_that_does_not_read_stalls_the_backend(run: Run, buffered: list[int]) -> None:
    async def test() -> None:
        all_sent = asyncio.Event()

        async def large(wire: Wire, it: Origin) -> None:
            while await it.take(wire) is not None:
                wire.send(ok(BIG))
                await wire.sent()
                all_sent.set()

        async with origin(large) as a, proxy(a) as lb, lb.client() as client:
            noticed = first_stall(lb)
            client.pause_reading()
            client.send(get())
            await noticed.wait()
            assert not all_sent.is_set()
            client.resume_reading()
            assert (await client.response()).body == BIG
            client.send(get())
            assert (await client.response()).body == BIG
            assert a.connections == 1
            assert max(buffered) < BOUND

    run(test())


def test_a_connection_goes_back_to_the_pool_reading(run: Run) -> None:
    """The last bytes of an answer fill the client's buffer; the next answer must still be read."""
    size = 200_000  # one read of the proxy, and above its high-water mark

    async def test() -> None:
        async with (
            origin(answering(ok(b"x" * size))) as a,
            proxy(a) as lb,
            lb.client() as slow,
            lb.client() as other,
        ):
            slow.pause_reading()
            while not somebody_is_full(lb):  # until the kernel's buffers are full as well
                slow.send(get())
                await lb.ended.get()
            other.send(get())
            assert len((await other.response()).body) == size
            assert a.connections == 1

    run(test())


def test_pipelining_does_not_get_around_back_pressure(run: Run, buffered: list[int]) -> None:
    """Each answer is one write, over before the client could hold its backend back."""
    size, count = 200_000, 200

    async def test() -> None:
        async with origin(answering(ok(b"x" * size))) as a, proxy(a) as lb, lb.client() as client:
            client.pause_reading()
            client.send(*[get()] * count)
            while not somebody_is_full(lb):
                await asyncio.sleep(0)

            async def all_arrived() -> None:
                while len(a.requests) < count:
                    await a.arrived.get()

            with pytest.raises(TimeoutError):  # shows that it waits, not how long
                await asyncio.wait_for(all_arrived(), 0.1)
            client.resume_reading()
            for _ in range(count):
                assert len((await client.response()).body) == size
            assert max(buffered) < BOUND
            assert a.connections == 1

    run(test())


def test_a_client_that_never_reads_is_cut_off(run: Run) -> None:
    async def large(wire: Wire, it: Origin) -> None:
        await it.take(wire)
        wire.send(ok(BIG))
        await wire.sent()

    async def test() -> None:
        toml = '[timeouts]\nclient_idle = "100ms"\nresponse = "50ms"\n'
        async with origin(large) as a, proxy(a, toml=toml) as lb, lb.client() as client:
            client.pause_reading()
            client.send(get())
            assert await lb.ended.get() == ("a", Outcome.CLIENT_GONE)
            assert lb.backends[0].failed == 0
            await a.left.get()
            client.resume_reading()
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await client.response()

    run(test())


def test_the_end_of_an_answer_is_not_kept_for_ever(run: Run) -> None:
    """The exchange is over, the client has asked to close, and does not read what is left."""

    async def test() -> None:
        toml = '[timeouts]\nclient_idle = "100ms"\n'
        async with origin(answering(ok(b"x" * 200_000))) as a, proxy(a, toml=toml) as lb:
            async with lb.client() as client:
                client.pause_reading()
                while not somebody_is_full(lb):
                    client.send(get())
                    await lb.ended.get()
                client.half_close()
                gone = asyncio.Event()
                clients = lb.driver.clients
                left = clients.left
                clients.left = lambda it: (left(it), gone.set())[0]  # type: ignore[method-assign]
                await gone.wait()
            assert not lb.driver.clients

    run(test())


def test_a_backend_that_does_not_read_stalls_the_client(run: Run, buffered: list[int]) -> None:
    async def test() -> None:
        go_on = asyncio.Event()

        async def late(wire: Wire, it: Origin) -> None:
            wire.pause_reading()
            await go_on.wait()
            wire.resume_reading()
            await it.take(wire)
            wire.send(ok())

        async with origin(late) as a, proxy(a) as lb, lb.client() as client:
            client.send(post(BIG))
            with pytest.raises(TimeoutError):  # shows that it waits, not how long
                async with asyncio.timeout(0.2):
                    await client.sent()
            go_on.set()
            await client.sent()
            assert (await client.response()).status == 200
            assert a.requests[0].body == BIG
            assert max(buffered) < BOUND

    run(test())


def test_a_backend_that_never_reads_is_to_blame_not_the_client(run: Run) -> None:
    async def unread(wire: Wire, it: Origin) -> None:
        wire.pause_reading()
        await it.left.get()

    async def test() -> None:
        toml = '[timeouts]\nresponse = "100ms"\nclient_idle = "100ms"\n'
        async with origin(unread) as a, proxy(a, toml=toml) as lb, lb.client() as client:
            client.send(post(BIG))
            assert (await client.response()).status == 504
            assert lb.outcomes == [("a", Outcome.TIMEOUT)]

    run(test())


def test_a_body_that_waits_for_a_backend_is_not_read_on(run: Run, buffered: list[int]) -> None:
    """Behind another request, a body has nowhere to go: reading stops, memory is bounded."""

    async def test() -> None:
        go_on = asyncio.Event()

        async def waiting(wire: Wire, it: Origin) -> None:
            while await it.take(wire) is not None:
                await go_on.wait()
                wire.send(ok())

        async with origin(waiting) as a, proxy(a) as lb, lb.client() as client:
            client.send(get(), post(BIG))
            await a.arrived.get()
            with pytest.raises(TimeoutError):  # shows that it waits, not how long
                async with asyncio.timeout(0.2):
                    await client.sent()
            go_on.set()
            assert (await client.response()).status == 200
            assert (await client.response()).status == 200
            assert a.requests[1].body == BIG
            assert max(buffered) < BOUND

    run(test())


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
