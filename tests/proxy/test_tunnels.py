"""Upgrades: two connections become one stream of bytes, and the lease lasts as long as it does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

import aiohttp
import pytest
from aiohttp import web

from lb.strategies import Outcome
from tests.proxy.conftest import Run
from tests.proxy.doubles import (
    Message,
    Origin,
    Proxy,
    Script,
    Wire,
    get,
    origin,
    proxy,
)

ASK = ("Connection: Upgrade", "Upgrade: websocket")
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"


def switching(answer: bytes = SWITCH) -> Script:
    """Switches, then sends everything back until the other side has ended."""

    async def script(wire: Wire, it: Origin) -> None:
        await it.take(wire)
        wire.send(answer)
        while data := await wire.reader.read(2**16):
            wire.send(data)
            await wire.sent()

    return script


@asynccontextmanager
async def tunnel(lb: Proxy) -> AsyncIterator[tuple[Wire, Message]]:
    """A client whose upgrade was taken, and the head of the answer."""
    async with lb.client() as client:
        client.send(get("/up", *ASK))
        head = await client.head()
        assert head is not None
        assert head.status == 101
        yield client, head


def test_bytes_flow_both_ways_and_the_lease_lasts(run: Run) -> None:
    async def test() -> None:
        extra = SWITCH[:-2] + b"Set-Cookie: a=1\r\nSec-WebSocket-Accept: x\r\n\r\n"
        async with origin(switching(extra)) as a, proxy(a) as lb:
            async with tunnel(lb) as (client, head):
                assert a.requests[0]["Connection"] == "upgrade"
                assert a.requests[0]["Upgrade"] == "websocket"
                assert a.requests[0]["X-Forwarded-For"] == "127.0.0.1"
                assert head.start == b"HTTP/1.1 101 Switching Protocols"
                assert head["Connection"] == "upgrade"
                assert head["Upgrade"] == "websocket"
                assert head["Set-Cookie"] == "a=1"
                assert head["Sec-WebSocket-Accept"] == "x"
                assert head["Via"] == "1.1 lb"
                assert head["X-Backend-Server"] == a.address
                for data in (b"\0\xff\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"x" * 100_000):
                    client.send(data)
                    assert await client.reader.readexactly(len(data)) == data
                assert lb.backends[0].active == 1
                assert lb.outcomes == []
                client.half_close()
                assert await client.closed()
            assert await lb.ended.get() == ("a", Outcome.OK)
            assert lb.backends[0].active == 0
            await a.left.get()
            assert lb.backends[0].site.idle == []

    run(test())


def test_bytes_that_came_along_are_not_lost(run: Run) -> None:
    """Behind the request, and behind the 101 in the same read."""

    async def test() -> None:
        async with origin(switching(SWITCH + b"hello")) as a, proxy(a) as lb, lb.client() as client:
            client.send(get("/up", *ASK), b"early")
            assert (await client.response()).status == 101
            assert await client.reader.readexactly(10) == b"helloearly"

    run(test())


def test_half_closes_pass(run: Run) -> None:
    async def test() -> None:
        ended = asyncio.Event()

        async def talking(wire: Wire, it: Origin) -> None:
            await it.take(wire)
            wire.send(SWITCH)
            assert await wire.reader.read() == b"bye"
            ended.set()
            wire.send(b"still here")

        async with origin(talking) as a, proxy(a) as lb:
            async with tunnel(lb) as (client, _):
                client.send(b"bye")
                client.half_close()
                await ended.wait()
                assert await client.reader.read() == b"still here"
            assert await lb.ended.get() == ("a", Outcome.OK)

    run(test())


def test_the_backend_ends_first(run: Run) -> None:
    async def test() -> None:
        heard = asyncio.Event()

        async def leaving(wire: Wire, it: Origin) -> None:
            await it.take(wire)
            wire.send(SWITCH + b"bye")
            wire.half_close()
            assert await wire.reader.read() == b"one more"
            heard.set()

        async with origin(leaving) as a, proxy(a) as lb:
            async with tunnel(lb) as (client, _):
                assert await client.reader.read() == b"bye"
                assert lb.backends[0].active == 1
                client.send(b"one more")
                client.half_close()
                await heard.wait()
            assert await lb.ended.get() == ("a", Outcome.OK)

    run(test())


@pytest.mark.parametrize("who", ["client", "backend"])
def test_a_reset_ends_both_sides(run: Run, who: str) -> None:
    async def test() -> None:
        async def resetting(wire: Wire, it: Origin) -> None:
            await it.take(wire)
            wire.send(SWITCH)
            assert await wire.reader.readexactly(1) == b"x"
            if who == "backend":
                wire.reset()
            else:
                await wire.is_reset()

        async with origin(resetting) as a, proxy(a) as lb:
            async with tunnel(lb) as (client, _):
                client.send(b"x")
                if who == "backend":
                    await client.is_reset()
                else:
                    client.reset()
            await a.left.get()
            assert (await lb.ended.get())[0] == "a"
            assert lb.backends[0].active == 0

    run(test())


def test_a_slow_reader_holds_the_backend_back(run: Run) -> None:
    big = Random(1).randbytes(2**20) * 24

    async def test() -> None:
        all_sent = asyncio.Event()

        async def pouring(wire: Wire, it: Origin) -> None:
            await it.take(wire)
            wire.send(SWITCH)
            await wire.reader.readexactly(1)
            wire.send(big)
            await wire.sent()
            all_sent.set()

        async with origin(pouring) as a, proxy(a) as lb, tunnel(lb) as (client, _):
            (connection,) = lb.driver.clients
            client.pause_reading()
            client.send(b"x")
            with pytest.raises(TimeoutError):  # shows that it waits, not how long
                await asyncio.wait_for(all_sent.wait(), 0.3)
            assert 0 < connection.transport.get_write_buffer_size() < 2**20
            client.resume_reading()
            assert await client.reader.readexactly(len(big)) == big

    run(test())


def test_a_silent_tunnel_is_closed(run: Run) -> None:
    async def test() -> None:
        toml = '[timeouts]\ntunnel = "300ms"'
        async with origin(switching()) as a, proxy(a, toml=toml) as lb:
            async with tunnel(lb) as (client, _):
                client.send(b"x")
                assert await client.reader.readexactly(1) == b"x"
                assert await client.reader.read() == b""
            assert await lb.ended.get() == ("a", Outcome.OK)
            await a.left.get()

    run(test())


def test_a_tunnel_is_given_the_time_to_drain_and_then_cut(run: Run) -> None:
    async def test() -> None:
        toml = '[timeouts]\ndrain = "300ms"'
        async with origin(switching()) as a, proxy(a, toml=toml) as lb, tunnel(lb) as (client, _):
            stopping = asyncio.create_task(lb.driver.stop())
            client.send(b"x")
            assert await client.reader.readexactly(1) == b"x"
            assert await client.is_reset()
            assert await stopping is False
            assert len(lb.outcomes) == 1

    run(test())


def test_websockets(run: Run) -> None:
    async def served(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(max_msg_size=2**24)
        await socket.prepare(request)
        async for message in socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                await socket.send_str(message.data)
            else:
                await socket.send_bytes(message.data)
        return socket

    async def test() -> None:
        app = web.Application()
        app.router.add_get("/chat", served)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        try:
            async with proxy(f"127.0.0.1:{port}") as lb:
                host, own = lb.address
                async with (
                    aiohttp.ClientSession() as session,
                    session.ws_connect(f"http://{host}:{own}/chat", max_msg_size=2**24) as socket,
                ):
                    await socket.send_str("hello")
                    assert await socket.receive_str() == "hello"
                    large = Random(2).randbytes(2**22)
                    await socket.send_bytes(large)
                    assert await socket.receive_bytes() == large
                    assert lb.backends[0].active == 1
                assert await lb.ended.get() == ("a", Outcome.OK)
        finally:
            await runner.cleanup()

    run(test())


@pytest.mark.parametrize("patience", [0.0, 0.01])
def test_a_tunnel_that_is_cut_by_a_stop_was_not_finished(run: Run, patience: float) -> None:
    async def test() -> None:
        toml = '[timeouts]\ndrain = "100ms"\n'
        async with origin(switching()) as a, proxy(a, toml=toml) as lb, tunnel(lb) as (client, _):
            client.send(b"before")
            assert await client.reader.readexactly(6) == b"before"
            assert await lb.driver.stop(patience=patience) is False
            assert await client.is_reset()

    run(test())


def test_a_tunnel_goes_on_when_patience_with_the_idle_is_over(run: Run) -> None:
    async def test() -> None:
        async with origin(switching()) as a, proxy(a) as lb, lb.client() as idle:
            async with tunnel(lb) as (client, _):
                idle.send(get("/lb-health"))
                await idle.response()
                stopping = asyncio.ensure_future(lb.driver.stop(patience=0.01))
                assert await idle.closed()
                client.send(b"after")
                assert await client.reader.readexactly(5) == b"after"
                assert not stopping.done()
            assert await stopping is True, "it ended by itself"

    run(test())
