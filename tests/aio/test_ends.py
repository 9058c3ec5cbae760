"""How an attempt may end, and that it does, whatever becomes of its caller."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator

import aiohttp
import pytest

from lb.aio import Refused
from lb.balancing import Outcome
from tests.aio.drivers import calling
from tests.proxy.conftest import Run
from tests.proxy.doubles import (
    Origin,
    closing_after,
    ok,
    origin,
    silent,
)
from tests.proxy.wires import Wire

OK, RESET = Outcome.OK, Outcome.RESET
GONE = Outcome.CLIENT_GONE
ORDERS = "http://orders/"


def test_a_caller_that_leaves_takes_its_attempt_along(run: Run) -> None:
    async def test() -> None:
        async with origin(silent) as a, calling(a) as it:
            task = asyncio.create_task(it.text())
            await a.arrived.get()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert it.outcomes == [("a", GONE)]
            await a.left.get()

    run(test())


def test_a_caller_may_leave_at_any_step(run: Run) -> None:
    """In line, connecting, waiting, reading: nothing stays behind."""

    async def half(wire: Wire, it: Origin) -> None:
        while await it.take(wire) is not None:
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")

    async def test() -> None:
        toml = '[queue]\nlimit = 9\ntimeout = "10s"'
        async with origin(half) as a, calling(a, toml=toml, a="max_in_flight = 1") as it:
            for steps in range(40):
                tasks = [asyncio.create_task(it.text()) for _ in range(3)]
                for _ in range(steps):
                    await asyncio.sleep(0)
                for task in tasks:
                    task.cancel()
                assert not [
                    one
                    for one in await asyncio.gather(*tasks, return_exceptions=True)
                    if not isinstance(one, asyncio.CancelledError)
                ]
                assert it.driver.balancer.pool.backends[0].active == 0
                assert not it.driver.snapshot().waiting

    run(test())


def test_an_answer_that_is_not_read_to_its_end_is_its_callers_doing(run: Run) -> None:
    async def half(wire: Wire, it: Origin) -> None:
        while await it.take(wire) is not None:
            wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")

    async def test() -> None:
        async with origin(half) as a, calling(a) as it:
            released = await it.session.get(ORDERS)
            assert it.leases[-1].open
            released.release()
            closed = await it.session.get(ORDERS)
            closed.close()
            async with it.session.get(ORDERS):
                pass
            assert it.outcomes == [("a", GONE)] * 3

    run(test())


def test_an_answer_that_breaks_off_is_its_backends_doing(run: Run) -> None:
    half = closing_after(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")

    async def test() -> None:
        async with origin(half) as a, calling(a) as it:
            with pytest.raises(aiohttp.ClientPayloadError):
                await it.text()
            assert it.outcomes == [("a", RESET)]

    run(test())


def test_an_answer_that_is_not_http_is_an_error_of_its_backend(run: Run) -> None:
    async def test() -> None:
        async with origin(closing_after(b"SSH-2.0-x\r\n\r\n")) as a, calling(a) as it:
            with pytest.raises(Refused) as strange:
                await it.text("POST")
            assert strange.value.code == "server_error"

    run(test())


def test_a_body_that_cannot_be_made_is_its_callers_fault(run: Run) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"some"
        raise ValueError("no more")

    async def test() -> None:
        async with origin(silent) as a, calling(a) as it:
            with pytest.raises(aiohttp.ClientConnectionError, match="no more"):
                await it.text("POST", data=pieces())
            assert it.outcomes == [("a", GONE)]

    run(test())


def test_a_session_may_be_closed_in_the_middle(run: Run) -> None:
    async def half(wire: Wire, it: Origin) -> None:
        while await it.take(wire) is not None:
            if len(it.requests) > 1:
                wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")

    async def test() -> None:
        async with origin(half) as a, calling(a) as it:
            waiting = asyncio.create_task(it.text())
            await a.arrived.get()
            reading = await it.session.get(ORDERS)
            await it.session.close()
            with pytest.raises(aiohttp.ClientError):
                await waiting
            with pytest.raises((aiohttp.ClientError, RuntimeError)):
                await reading.read()
            assert it.outcomes == [("a", GONE)] * 2

    run(test())


def test_a_balancer_may_be_closed_in_the_middle(run: Run) -> None:
    async def test() -> None:
        async with origin(silent) as a, calling(a) as it:
            waiting = asyncio.create_task(it.text())
            await a.arrived.get()
            await it.balance.close()
            with pytest.raises(aiohttp.ClientConnectionError):
                await waiting

    run(test())


def test_bodies_are_intact_both_ways(run: Run) -> None:
    async def hashed(wire: Wire, it: Origin) -> None:
        while (request := await it.take(wire)) is not None:
            wire.send(ok(request.body[::-1]))
            await wire.sent()

    sent = bytes(range(256)) * 4096

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(sent), 50_000):
            yield sent[at : at + 50_000]

    async def test() -> None:
        async with (
            origin(hashed) as a,
            calling(a) as it,
            it.session.post(ORDERS, data=pieces()) as answer,
        ):
            digest = hashlib.sha256()
            async for piece in answer.content.iter_any():
                digest.update(piece)
            assert digest.digest() == hashlib.sha256(sent[::-1]).digest()
            assert it.outcomes == [("a", OK)]

    run(test())


def test_the_sessions_own_line_is_no_backends_fault(run: Run) -> None:
    async def test() -> None:
        tries: asyncio.Queue[None] = asyncio.Queue()

        async def counted(
            request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
        ) -> aiohttp.ClientResponse:
            tries.put_nowait(None)
            return await handler(request)

        async with origin(silent) as a, calling(a) as it:
            connector = aiohttp.TCPConnector(limit=1)
            async with aiohttp.ClientSession(
                connector=connector, middlewares=[it.balance, counted]
            ) as narrow:

                async def said() -> str:
                    async with narrow.post(ORDERS) as answer:
                        return await answer.text()

                first = asyncio.create_task(said())
                await a.arrived.get()
                timeouts = it.driver.context.timeouts
                it.driver.context.timeouts = timeouts.model_copy(update={"connect": 0.01})
                second = asyncio.create_task(said())
                for _ in range(4):
                    await tries.get()  # the first one's, and of the second one three
                it.driver.context.timeouts = timeouts
                a.wires[0].send(ok(b"first"))
                assert await first == "first"
                await a.arrived.get()
                a.wires[0].send(ok(b"second"))
                assert await second == "second"
                assert it.outcomes == [("a", OK)] * 2

    run(test())
