"""Nothing that a proxy does all the time needs a garbage collector, and the collector knows it."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any
from weakref import ref

import pytest

from lb.proxy import garbage, lifecycle
from lb.proxy.garbage import LOOKS, PAUSE, in_small_portions
from tests.proxy.conftest import Run
from tests.proxy.doubles import (
    Wire,
    answering,
    closing_after,
    echo,
    get,
    ok,
    origin,
    post,
    refusing,
    resets,
    scenario,
)

MANY = 20

Talk = Callable[[tuple[str, int]], Awaitable[None]]


async def connect(address: tuple[str, int]) -> Wire:
    return Wire(*await asyncio.open_connection(*address))


def leave(wire: Wire) -> None:
    wire.writer.transport.abort()


async def one_after_another(address: tuple[str, int]) -> None:
    wire = await connect(address)
    for _ in range(MANY):
        wire.send(get())
        assert (await wire.response()).status == 200
    leave(wire)


async def pipelined(address: tuple[str, int]) -> None:
    wire = await connect(address)
    wire.send(get() * MANY)
    for _ in range(MANY):
        assert (await wire.response()).status == 200
    leave(wire)


async def with_bodies(address: tuple[str, int]) -> None:
    wire = await connect(address)
    for _ in range(MANY):
        wire.send(post(b"x" * 100_000))
        assert len((await wire.response()).body) > 100_000
    leave(wire)


async def on_connections_of_their_own(address: tuple[str, int]) -> None:
    for _ in range(MANY):
        wire = await connect(address)
        wire.send(get("/", "Connection: close"))
        assert (await wire.response()).status == 200
        assert await wire.closed()
        leave(wire)


async def by_clients_who_leave(address: tuple[str, int]) -> None:
    for _ in range(MANY):
        wire = await connect(address)
        wire.send(get())
        await wire.writer.drain()
        leave(wire)


async def that_are_none(address: tuple[str, int]) -> None:
    for _ in range(MANY):
        wire = await connect(address)
        wire.send(b"GET / HTTP/9.1\r\n\r\n")
        assert (await wire.response()).status >= 400
        leave(wire)


async def that_fail(address: tuple[str, int]) -> None:
    wire = await connect(address)
    for _ in range(MANY):
        wire.send(get())
        assert (await wire.response()).status >= 500
    leave(wire)


def ours() -> Counter[str]:
    """How many objects there are, by our types."""
    return Counter(
        type(it).__qualname__
        for it in gc.get_objects()
        if str(type(it).__module__).startswith("lb.")
    )


async def left_behind(address: tuple[str, int], talk: Talk, of: lifecycle.Proxy) -> Counter[str]:
    """Objects of ours, by type, that `talk` leaves to the collector."""
    gc.collect()
    gc.disable()
    try:
        await talk(address)
        while of.clients:
            await asyncio.sleep(0)
        found = ours()
        gc.collect()
        return found - ours()
    finally:
        gc.enable()


@asynccontextmanager
async def started(*backends: Any) -> AsyncIterator[tuple[lifecycle.Proxy, tuple[str, int]]]:
    """A proxy of which nobody keeps notes."""
    it = lifecycle.Proxy(scenario(*backends), lambda *_, **__: None)
    try:
        await it.start()
        host, _, port = it.addresses[0].rpartition(":")
        yield it, (host, int(port))
    finally:
        await it.stop()


@pytest.mark.parametrize(
    "talk",
    [
        one_after_another,
        pipelined,
        with_bodies,
        on_connections_of_their_own,
        by_clients_who_leave,
        that_are_none,
    ],
)
def test_requests_leave_no_garbage(run: Run, talk: Talk) -> None:
    async def test() -> None:
        async with origin(echo) as a, started(a) as (lb, address):
            assert not await left_behind(address, talk, lb)

    run(test())


@pytest.mark.parametrize("script", [resets, closing_after(b"HTTP/1.1 200 OK\r\nA: ")])
def test_failures_leave_no_garbage(run: Run, script: Any) -> None:
    async def test() -> None:
        async with origin(script) as a, started(a) as (lb, address):
            assert not await left_behind(address, that_fail, lb)

    run(test())


def test_backends_that_refuse_leave_no_garbage(run: Run) -> None:
    async def test() -> None:
        with refusing() as nobody:
            async with started(nobody) as (lb, address):
                assert not await left_behind(address, that_fail, lb)

    run(test())


def test_connections_to_backends_that_are_not_kept_leave_no_garbage(run: Run) -> None:
    async def test() -> None:
        async with (
            origin(answering(ok(b"", b"Connection: close"))) as a,
            started(a) as (lb, address),
        ):
            assert not await left_behind(address, one_after_another, lb)

    run(test())


# --- the collector


class Thing:
    """Garbage that only a collector finds."""

    def __init__(self) -> None:
        self.itself: Thing | None = self


class Loop:
    """Its timers go off when a test says so."""

    def __init__(self) -> None:
        self.timers: list[tuple[float, Callable[[], None]]] = []

    def call_later(self, seconds: float, act: Callable[[], None]) -> Loop:
        self.timers.append((seconds, act))
        return self

    def cancel(self) -> None:
        self.timers.clear()

    def turn(self, times: int = 1) -> None:
        for _ in range(times):
            ((seconds, act),) = self.timers
            self.timers.clear()
            assert seconds == PAUSE
            act()


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loop]:
    it = Loop()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: it)
    thresholds = gc.get_threshold()
    with in_small_portions():
        yield it
    assert not it.timers
    assert gc.get_threshold() == thresholds
    assert gc.get_freeze_count() == 0


def test_what_is_new_is_looked_through_at_once(loop: Loop) -> None:
    thing = ref(Thing())
    assert thing() is not None
    loop.turn()
    assert thing() is None


def test_what_outlives_a_look_is_looked_through_once_more(loop: Loop) -> None:
    kept = Thing()
    thing = ref(kept)
    loop.turn()
    del kept
    loop.turn()
    assert thing() is not None
    loop.turn(LOOKS - 2)
    assert thing() is None


def test_what_grows_old_is_left_alone_until_memory_has_grown(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Thing()
    thing = ref(kept)
    before = gc.get_freeze_count()
    loop.turn(LOOKS)
    assert gc.get_freeze_count() > before
    assert not [it for it in gc.get_objects() if it is kept]
    del kept
    loop.turn(2 * LOOKS)
    assert thing() is not None
    blocks = garbage.sys.getallocatedblocks()
    monkeypatch.setattr(garbage.sys, "getallocatedblocks", lambda: 2 * blocks + garbage.ROOM)
    loop.turn(LOOKS)
    assert thing() is None
    assert gc.get_freeze_count() > before // 2  # and what is in use is left alone again


def test_the_collector_does_not_look_at_what_is_old_by_itself(loop: Loop) -> None:
    looks = gc.get_stats()[2]["collections"]
    things = [[] for _ in range(200_000)]  # type: ignore[var-annotated]
    assert gc.get_stats()[2]["collections"] == looks
    assert len(things) == 200_000
