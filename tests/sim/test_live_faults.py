"""Faults of live backends, on real sockets: what a client sees of each kind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import aiohttp
import numpy as np
import pytest

from lb import wire
from lb.config import (
    BackendTable,
    BlackHole,
    ColdStart,
    Down,
    Errors,
    FailFast,
    FaultTable,
    HealthLost,
    Pause,
    Reset,
)
from sim.live.backend import LiveBackend, application
from sim.live.station import Beginning
from sim.model.door import Door, Fate
from tests.sim.test_live_backend import FIFO, model

LIMIT = 20.0
"""Seconds that nothing here may take."""
ROW = BackendTable(address="127.0.0.1:3001", name="one")
LONG = 60.0
BROKEN = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)
"""A connection that was reset: what aiohttp makes of that depends on when it hears of it."""


class Client:
    def __init__(
        self, live: LiveBackend, session: aiohttp.ClientSession, beginning: Beginning
    ) -> None:
        self.live = live
        self.begun = asyncio.Event()
        beginning.then(lambda _: self.begun.set())
        self._session = session
        host, port = live.port.addresses[0]
        self.url = f"http://{host}:{port}"

    async def ask(self, path: str = "/", size: str = "1") -> tuple[int, Any]:
        async with self._session.get(self.url + path, headers={wire.SIZE: size}) as answer:
            return answer.status, await answer.json()

    async def health(self) -> tuple[int, Any]:
        return await self.ask("/health")


def struck(kind: Callable[..., FaultTable], name: str, **fields: Any) -> FaultTable:
    return kind(kind=name, backends=("one",), **{"until": LONG, **fields})


@asynccontextmanager
async def client(*faults: FaultTable, luck: Random | None = None) -> AsyncIterator[Client]:
    beginning = Beginning()
    app = application(ROW, model(FIFO), np.random.default_rng(1), faults, beginning, luck)
    live = LiveBackend(app, beginning)
    await live.listen("127.0.0.1", 0)
    try:
        async with (
            asyncio.timeout(LIMIT),
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
        ):
            yield Client(live, session, beginning)
            await live.close()  # while clients still wait for their answers
    finally:
        await live.close()


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(test())  # type: ignore[arg-type]


async def recovered(live: LiveBackend) -> None:
    assert live.suffering is not None
    await live.suffering


def test_who_is_down_refuses_connections_and_comes_back_at_the_same_port() -> None:
    async def test() -> None:
        async with client(struck(Down, "down", until=0.2)) as it:
            with pytest.raises(BROKEN):
                await it.ask()  # the first: it goes down with it
            assert not it.live.port.addresses
            with pytest.raises(aiohttp.ClientConnectorError):
                await it.ask()
            with pytest.raises(aiohttp.ClientConnectorError):
                await it.health()
            await recovered(it.live)
            assert (await it.ask())[0] == 200
            assert (await it.health())[0] == 200

    run(test)


def test_a_crash_takes_along_what_is_in_flight_and_every_kept_connection() -> None:
    async def test() -> None:
        async with client(struck(Down, "down", since=0.1, until=0.11)) as it:
            host, port = it.live.port.addresses[0]
            reader, writer = await asyncio.open_connection(host, port)
            with pytest.raises(BROKEN):
                await it.ask(size="1000")  # twenty seconds
            with pytest.raises(ConnectionError):
                await reader.read()
            writer.close()
            await recovered(it.live)
            status, answer = await it.ask()
            assert (status, answer["sojourn_ms"]) == (200, pytest.approx(20))

    run(test)


def test_a_black_hole_answers_neither_requests_nor_checks_that_come_in_it() -> None:
    async def test() -> None:
        async with client(struck(BlackHole, "black_hole", until=0.1)) as it:
            swallowed = [asyncio.create_task(it.ask())]
            for _ in range(100):
                swallowed.append(asyncio.create_task(it.health()))
                done, _ = await asyncio.wait(swallowed, timeout=0.05)
                if done:
                    break
            assert [task.result()[0] for task in done] == [200], "the last one, when it was over"
            assert (await it.ask())[0] == 200
            assert len(swallowed) > 1
            assert not any(task.done() for task in swallowed[:-1])
            await it.live.close()
            for task in swallowed[:-1]:
                with pytest.raises(BROKEN):
                    await task

    run(test)


def test_who_fails_fast_does_no_work_and_is_in_good_health() -> None:
    async def test() -> None:
        async with client(struck(FailFast, "fail_fast")) as it:
            assert await it.ask(size="1000") == (503, {"error": "fail_fast", "server": "one"})
            assert (await it.health())[0] == 200

    run(test)


def test_an_error_comes_after_its_work_and_health_is_good() -> None:
    async def test() -> None:
        async with client(struck(Errors, "errors", rate=1)) as it:
            began = asyncio.get_running_loop().time()
            assert await it.ask() == (500, {"error": "errors", "server": "one"})
            assert asyncio.get_running_loop().time() - began >= 0.02
            assert (await it.health())[0] == 200

    run(test)


def test_a_reset_ends_a_connection_without_an_answer_and_health_is_good() -> None:
    async def test() -> None:
        async with client(struck(Reset, "reset", rate=1)) as it:
            for _ in range(3):
                with pytest.raises(BROKEN):
                    await it.ask()
            assert (await it.health())[0] == 200

    run(test)


def test_whom_a_share_strikes_is_the_same_live_and_simulated() -> None:
    fault = struck(Errors, "errors", rate=0.4)
    door = Door([fault], Random("luck"))
    expected = [500 if door.fate(1.0) is Fate.SPOILED else 200 for _ in range(30)]

    async def test() -> None:
        async with client(fault, luck=Random("luck")) as it:
            assert [(await it.ask(size="0"))[0] for _ in range(30)] == expected

    run(test)
    assert set(expected) == {200, 500}


def test_lost_health_answers_concern_nobody_else() -> None:
    async def test() -> None:
        async with client(struck(HealthLost, "health_lost")) as it:
            assert (await it.health())[0] == 200, "no request has begun the schedule"
            assert (await it.ask())[0] == 200
            lost = asyncio.create_task(it.health())
            assert (await it.ask())[0] == 200
            assert not lost.done()
            await it.live.close()
            with pytest.raises(BROKEN):
                await lost

    run(test)


def test_in_a_pause_nothing_is_answered_before_its_end() -> None:
    async def test() -> None:
        async with client(struck(Pause, "pause", until=0.2)) as it:
            loop = asyncio.get_running_loop()
            began = loop.time()
            work = asyncio.create_task(it.ask(size="0"))
            await it.begun.wait()
            assert (await it.health())[0] == 200
            assert loop.time() - began >= 0.2
            assert (await work)[0] == 200

    run(test)


def test_a_cold_backend_gets_warm_with_work() -> None:
    async def test() -> None:
        async with client(struck(ColdStart, "cold_start", factor=5, requests=2)) as it:
            sojourns = [(await it.ask())[1]["sojourn_ms"] for _ in range(4)]
            assert sojourns == pytest.approx([100, 60, 20, 20])

    run(test)


def test_a_name_that_has_two_addresses_is_shut_and_opened_at_both() -> None:
    async def test() -> None:
        beginning = Beginning()
        app = application(ROW, model(FIFO), np.random.default_rng(1), (), beginning)
        live = LiveBackend(app, beginning)
        await live.listen("localhost", 0)
        try:
            places = live.port.addresses
            live.port.shut()
            for place in places:
                with pytest.raises(ConnectionRefusedError):
                    await asyncio.open_connection(*place)
            await live.port.reopen()
            assert live.port.addresses == places
            for place in places:
                _, writer = await asyncio.open_connection(*place)
                writer.close()
        finally:
            await live.close()

    run(test)
