"""Where descriptors are missing: the idle give theirs, and no backend is blamed."""

from __future__ import annotations

import asyncio
import errno
import socket
from contextlib import AsyncExitStack
from typing import Any

import pytest

from lb.config import Listener
from lb.proxy import lifecycle
from lb.proxy.descriptors import RESERVE, in_use, limit, room_for_clients
from lb.proxy.door import CLOSING, Door
from lb.proxy.exchange.clients import Clients
from lb.proxy.listening import bind
from lb.strategies import Outcome
from tests.proxy.conftest import Run
from tests.proxy.doubles import (
    echo,
    origin,
    proxy,
    refusing,
)
from tests.proxy.test_client_limit import THREE, answered, connected, limits


@pytest.fixture(autouse=True)
def _rested_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "RESTED", 0.0)


class Lacking:
    """A loop's `create_connection` that finds no descriptor for so many times."""

    def __init__(self, real: Any, times: int) -> None:
        self.real = real
        self.times = times
        self.tried = 0

    async def __call__(self, *arguments: Any, **named: Any) -> Any:
        self.tried += 1
        if self.tried <= self.times:
            raise OSError(errno.EMFILE, "Too many open files")
        return await self.real(*arguments, **named)


class Loop:
    """The real loop but for one method."""

    def __init__(self, loop: asyncio.AbstractEventLoop, times: int) -> None:
        self._loop = loop
        self.create_connection = Lacking(loop.create_connection, times)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)


def test_where_descriptors_are_missing_the_idle_give_theirs(run: Run) -> None:
    """Connections to backends and clients alike; then the request is served."""

    async def test() -> None:
        async with (
            origin(echo) as a,
            origin(echo) as b,
            proxy(a, b) as lb,
            AsyncExitStack() as stack,
        ):
            idle, client = await connected(lb, stack, 2)
            assert await answered(client) == 200  # leaves a connection to a
            lb.driver.context.loop = Loop(lb.driver.context.loop, times=1)  # type: ignore[assignment]
            assert await answered(client) == 200
            assert await idle.closed()
            await a.left.get()
            assert len(limits(lb)) == 1
            assert limits(lb)[0]["reason"] == "no descriptors"

    run(test())


def test_when_there_are_none_no_backend_is_blamed(run: Run) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a) as lb, AsyncExitStack() as stack:
            (client,) = await connected(lb, stack, 1)
            loop = lb.driver.context.loop
            lb.driver.context.loop = Loop(loop, times=100)  # type: ignore[assignment]
            assert await answered(client) == 503
            lb.driver.context.loop = loop
            assert {outcome for _, outcome in lb.outcomes} == {Outcome.CANCELLED}
            assert await answered(client) == 200
            assert lb.backends[0].failed == 0

    run(test())


def test_accepting_without_a_descriptor_waits_for_one(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a, toml=THREE) as lb, AsyncExitStack() as stack:
            (idle,) = await connected(lb, stack, 1)
            (bound,) = lb.driver._door._listeners
            tries = 0

            class Lacking:
                def accept(self) -> Any:
                    nonlocal tries
                    tries += 1
                    if tries <= 2:
                        raise OSError(errno.EMFILE, "Too many open files")
                    return bound.accept()

            accept = lb.driver._door._accept
            monkeypatch.setattr(lb.driver._door, "_accept", lambda to, _: accept(to, Lacking()))  # type: ignore[arg-type]
            lb.driver._door._stop_listening()
            lb.driver._door._listen()
            client = await stack.enter_async_context(lb.client())
            assert await answered(client) == 200
            assert await idle.closed()
            assert tries >= 3

    run(test())


def anybody(listener: Listener) -> asyncio.Protocol:
    return asyncio.Protocol()


def door(limit: int = 10) -> Door:
    return Door(
        lambda _: asyncio.Protocol(), Clients(), lambda: False, limit, lambda *_, **__: None
    )


@pytest.fixture
def _short_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the limit of 9 is far away for the first five."""
    monkeypatch.setattr("lb.proxy.door.BACKLOG", 4)


NINE = "[limits]\nclient_connections = 9\n"


@pytest.mark.usefixtures("_short_queue")
def test_far_from_the_limit_the_loop_accepts_and_near_it_we_do(run: Run) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a, toml=NINE) as lb:
            it = lb.driver._door
            async with AsyncExitStack() as stack:
                for _ in range(5):
                    await connected(lb, stack, 1)
                    assert it._servers
                wires = await connected(lb, stack, 15)
                assert not it._servers
                assert await answered(wires[-1]) == 200
                assert len(lb.driver.clients) == 9
            while not it._servers:
                await asyncio.sleep(0)
            assert len(limits(lb)) == 1
            assert (await lb.get()).status == 200

    run(test())


@pytest.mark.usefixtures("_short_queue")
def test_who_has_run_out_of_descriptors_is_careful_from_then_on(run: Run) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a, toml=NINE) as lb:
            it = lb.driver._door
            while not it._servers:
                await asyncio.sleep(0)
            it.make_room()
            assert not it._servers
            for _ in range(3):
                assert (await lb.get()).status == 200
                it.look()
            assert it._serving is None

    run(test())


def test_without_a_descriptor_for_its_server_we_accept_ourselves(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a) as lb:
            it = lb.driver._door

            async def scarce(*_: object, **named: Any) -> None:
                named["sock"].close()
                raise OSError(errno.EMFILE, "Too many open files")

            loop = it._loop
            it._loop = Loop(loop, 0)  # type: ignore[assignment]
            it._loop.create_server = scarce  # type: ignore[assignment]
            it._take_over()
            assert (await lb.get()).status == 200
            assert it._serving is None
            it._loop = loop

    run(test())


@pytest.mark.parametrize("steps", range(4))
def test_a_door_that_is_closed_while_it_opens_stays_closed(run: Run, steps: int) -> None:
    async def test() -> None:
        it = door(10_000)
        for bound in bind(["127.0.0.1", "::1"], 0):
            it.adopt(Listener("localhost:0"), bound)
        place = ("127.0.0.1", int(it.addresses[0].rpartition(":")[2]))
        it.open()
        for _ in range(steps):
            await asyncio.sleep(0)
        it.close()
        for _ in range(5):
            await asyncio.sleep(0)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*place)
        assert not it._servers

    run(test())


# --- how many there is room for


def test_each_client_may_need_a_backend_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lb.proxy.descriptors.limit", lambda: 1024)
    assert room_for_clients(10_000, 10, 12) == (1024 - 12 - RESERVE - 20) // 2
    assert room_for_clients(100, 10, 12) == 100
    assert room_for_clients(100, 1000, 12) == 1, "nobody could be served with less"
    assert CLOSING < RESERVE


def test_what_is_open_is_counted() -> None:
    before = in_use()
    with refusing(), socket.socket():
        assert in_use() == before + 2
    assert limit() > before
