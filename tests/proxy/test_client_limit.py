"""As many clients as there is room for: the idle make way, others wait; no backend is blamed."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import AsyncExitStack

import pytest

from lb.proxy import lifecycle
from lb.strategies import Outcome
from tests.proxy.conftest import Run
from tests.proxy.doubles import (
    Origin,
    Proxy,
    Wire,
    echo,
    get,
    ok,
    origin,
    post,
    proxy,
    silent,
)

THREE = "[limits]\nclient_connections = 3\n"


@pytest.fixture(autouse=True)
def _rested_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "RESTED", 0.0)


async def connected(lb: Proxy, stack: AsyncExitStack, number: int) -> list[Wire]:
    """So many clients, one after the other, each of them let in."""
    wires = []
    for _ in range(number):
        before = {*lb.driver.clients}
        wires.append(await stack.enter_async_context(lb.client()))
        while not {*lb.driver.clients} - before:
            await asyncio.sleep(0)
    return wires


async def working(lb: Proxy, stack: AsyncExitStack, a: Origin, number: int) -> list[Wire]:
    """The same, each with a request that is at `a` before the next one comes."""
    wires = []
    for _ in range(number):
        wires += await connected(lb, stack, 1)
        wires[-1].send(get())
        await a.arrived.get()
    return wires


async def answered(client: Wire) -> int:
    client.send(get())
    return (await client.response()).status


def limits(lb: Proxy) -> list[dict[str, object]]:
    return [fields for _, event, fields in lb.log if event == "client limit"]


def test_a_newcomer_takes_the_place_of_the_client_that_has_been_idle_longest(run: Run) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a, toml=THREE) as lb, AsyncExitStack() as stack:
            one, two, three = await connected(lb, stack, 3)
            for client in (two, one, three):
                assert await answered(client) == 200
            (four,) = await connected(lb, stack, 1)
            assert await answered(four) == 200
            assert await two.closed()
            (five,) = await connected(lb, stack, 1)
            assert await answered(five) == 200
            assert await one.closed()
            assert await answered(three) == 200
            assert limits(lb) == [
                {"limit": 3, "connections": 4, "reason": "as many clients as there may be"}
            ], "once an episode"
            assert {outcome for _, outcome in lb.outcomes} == {Outcome.OK}

    run(test())


def test_clients_that_never_said_anything_make_way_too(run: Run) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a, toml=THREE) as lb, AsyncExitStack() as stack:
            wires = await connected(lb, stack, 20)
            assert await answered(wires[-1]) == 200
            for wire in wires[:-3]:
                assert await wire.closed()
            assert len(lb.driver.clients) == 3

    run(test())


def test_whoever_comes_while_all_are_busy_waits_and_is_served(run: Run) -> None:
    async def test() -> None:
        go_on = asyncio.Event()

        async def held(wire: Wire, it: Origin) -> None:
            while await it.take(wire) is not None:
                await go_on.wait()
                wire.send(ok())

        async with origin(held) as a, proxy(a, toml=THREE) as lb, AsyncExitStack() as stack:
            busy = await working(lb, stack, a, 4)  # the last is the one too many
            late = [await stack.enter_async_context(lb.client()) for _ in range(5)]
            for client in late:
                client.send(get())
            for _ in range(100):
                await asyncio.sleep(0)
            assert len(lb.driver.clients) == 4
            assert len(a.requests) == 4
            go_on.set()
            for client in busy + late:
                assert (await client.response()).status == 200
            assert len(lb.leases) == 9

    run(test())


def test_a_client_that_has_spoken_is_not_idle_though_we_have_not_heard_yet(run: Run) -> None:
    """A late event loop: what has come is still in the kernel."""

    async def test() -> None:
        async with origin(echo) as a, proxy(a) as lb, AsyncExitStack() as stack:
            spoken, mute = await connected(lb, stack, 2)
            with socket.socket(
                fileno=os.dup(spoken.writer.get_extra_info("socket").fileno())
            ) as it:
                it.send(get())  # nothing runs in between
                assert lb.driver._spare()
                assert not lb.driver._spare()
            assert (await spoken.response()).status == 200
            assert await mute.closed()

    run(test())


def test_a_client_that_leaves_makes_room(run: Run) -> None:
    async def test() -> None:
        async with origin(silent) as a, proxy(a, toml=THREE) as lb, AsyncExitStack() as stack:
            busy = await working(lb, stack, a, 4)
            late = await stack.enter_async_context(lb.client())
            late.send(get())
            for client in busy[:2]:
                client.reset()
            await a.arrived.get()

    run(test())


@pytest.mark.parametrize("half", [get()[:-2], post(b"body")[:-2]], ids=["head", "body"])
def test_a_client_in_the_middle_of_a_request_is_not_idle(run: Run, half: bytes) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a, toml=THREE) as lb, AsyncExitStack() as stack:
            (half_way,) = await connected(lb, stack, 1)
            half_way.send(half)
            for _ in range(20):
                await asyncio.sleep(0)
            wires = await connected(lb, stack, 6)
            assert await answered(wires[-1]) == 200
            half_way.send(b"\r\n" if half.startswith(b"GET") else b"dy")
            assert (await half_way.response()).status == 200

    run(test())


@pytest.mark.parametrize(("quiet", "told"), [(0.0, 2), (60.0, 1)])
def test_an_episode_is_told_again_when_there_has_been_room_in_between(
    run: Run, monkeypatch: pytest.MonkeyPatch, quiet: float, told: int
) -> None:
    """Unless that was only just now."""
    monkeypatch.setattr("lb.proxy.door.QUIET", quiet)

    async def test() -> None:
        toml = "[limits]\nclient_connections = 4\n"
        async with origin(echo) as a, proxy(a, toml=toml) as lb:
            for episodes in (1, 2):
                async with AsyncExitStack() as stack:
                    await connected(lb, stack, 7)
                    assert len(limits(lb)) == min(episodes, told)
                while lb.driver.clients:
                    await asyncio.sleep(0)
                async with AsyncExitStack() as stack:
                    await connected(lb, stack, 1)
                while lb.driver.clients:
                    await asyncio.sleep(0)

    run(test())


def test_who_waits_for_room_when_the_proxy_stops_is_answered(run: Run) -> None:
    async def test() -> None:
        go_on = asyncio.Event()

        async def held(wire: Wire, it: Origin) -> None:
            while await it.take(wire) is not None:
                await go_on.wait()
                wire.send(ok())

        async with origin(held) as a, proxy(a, toml=THREE) as lb, AsyncExitStack() as stack:
            busy = await working(lb, stack, a, 4)
            late = await stack.enter_async_context(lb.client())
            late.send(get())
            stopping = asyncio.ensure_future(lb.driver.stop())
            await a.arrived.get()
            go_on.set()
            for client in [*busy, late]:
                assert (await client.response()).status == 200
            assert await stopping is True

    run(test())
