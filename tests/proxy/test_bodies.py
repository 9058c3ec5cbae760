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
