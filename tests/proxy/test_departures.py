"""Clients that leave before they have their answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from lb.strategies import Outcome
from tests.proxy.conftest import Run
from tests.proxy.doubles import (
    Origin,
    Wire,
    echo,
    get,
    origin,
    post,
    proxy,
    silent,
)
from tests.proxy.test_failures import CHUNKS


def connecting(create_connection: Callable[..., Any]) -> Any:
    """The running loop, with another way to connect."""

    class Loop:
        def __getattr__(self, name: str) -> Any:
            return getattr(asyncio.get_running_loop(), name)

    loop = Loop()
    loop.create_connection = create_connection  # type: ignore[attr-defined]
    return loop


# --- clients that leave


@pytest.mark.parametrize("request_", [get(), post(b"body"), post(b"body")[:-1]])
def test_a_client_that_leaves_while_it_is_served(run: Run, request_: bytes) -> None:
    async def test() -> None:
        async with origin(silent) as a, proxy(a) as lb, lb.client() as client:
            client.send(request_)
            while not a.connections:
                await asyncio.sleep(0)
            client.reset()
            assert await lb.ended.get() == ("a", Outcome.CLIENT_GONE)
            assert lb.backends[0].active == 0
            assert lb.backends[0].failed == 0
            await a.left.get()  # its connection to the backend is gone too
            assert lb.backends[0].site.idle == []

    run(test())


def test_a_client_that_leaves_in_the_middle_of_its_answer(run: Run) -> None:
    async def endless(wire: Wire, it: Origin) -> None:
        await it.take(wire)
        wire.send(CHUNKS)
        while True:
            wire.send(b"4\r\nmore\r\n" * 1000)
            await wire.sent()

    async def test() -> None:
        async with origin(endless) as a, proxy(a) as lb, lb.client() as client:
            client.send(get())
            await client.head()
            client.reset()
            assert await lb.ended.get() == ("a", Outcome.CLIENT_GONE)
            await a.left.get()

    run(test())


def test_a_client_that_leaves_while_its_connection_is_made(run: Run) -> None:
    async def test() -> None:
        opened = asyncio.Event()

        async def never(*_: Any) -> Any:
            opened.set()
            await asyncio.Event().wait()

        async with origin(echo) as a, proxy(a) as lb, lb.client() as client:
            lb.driver.context.loop = connecting(never)
            client.send(get())
            await opened.wait()
            client.reset()
            assert await lb.ended.get() == ("a", Outcome.CLIENT_GONE)
            assert lb.backends[0].site._connecting == {}
            assert a.connections == 0

    run(test())


def test_the_ones_behind_in_a_pipeline_leave_with_it(run: Run) -> None:
    async def test() -> None:
        async with origin(silent) as a, proxy(a) as lb, lb.client() as client:
            client.send(get("/1"), get("/2"), get("/3"))
            await a.arrived.get()
            client.reset()
            assert await lb.ended.get() == ("a", Outcome.CLIENT_GONE)
            assert len(lb.leases) == 1

    run(test())


def test_a_backend_that_breaks_off_as_soon_as_it_has_accepted(run: Run) -> None:
    """Nothing was sent on a connection that is lost before it is used, so a POST goes elsewhere."""

    async def at_once(wire: Wire, it: Origin) -> None:
        wire.reset()

    async def test() -> None:
        connect = asyncio.get_running_loop().create_connection

        async def until_lost(*arguments: Any) -> Any:
            transport, protocol = await connect(*arguments)
            if arguments[2] == port_of_a:
                while not transport.is_closing():
                    await asyncio.sleep(0)
                await asyncio.sleep(0)
            return transport, protocol

        async with (
            origin(at_once) as a,
            origin(echo) as b,
            proxy(a, b, toml="[outliers]\nenabled = false\n") as lb,
        ):
            port_of_a = int(a.address.rpartition(":")[2])
            async with lb.client() as client:
                for _ in range(10):  # as it comes
                    client.send(get())
                    assert (await client.response()).status == 200
                lb.driver.context.loop = connecting(until_lost)
                client.send(post(b"pay"))
                assert (await client.response()).body.endswith(b"pay")
                assert lb.outcomes[-2:] == [("a", Outcome.RESET), ("b", Outcome.OK)]

    run(test())
