"""Connections to backends that ended while nobody used them."""

from __future__ import annotations

import asyncio

from lb.strategies import Outcome
from tests.proxy.conftest import Run
from tests.proxy.doubles import (
    Origin,
    Wire,
    answering,
    closing_after,
    get,
    ok,
    origin,
    post,
    proxy,
)


def test_a_stale_connection_is_replaced_without_anybody_noticing(run: Run) -> None:
    """The backend closes at the moment of reuse: on one connection it answers but once."""

    async def once(wire: Wire, it: Origin) -> None:
        await it.take(wire)
        wire.send(ok(b"x"))
        await it.take(wire)
        wire.reset()

    async def test() -> None:
        async with origin(once) as a, proxy(a) as lb, lb.client() as client:
            for _ in range(3):
                client.send(get())
                assert (await client.response()).body == b"x"
            assert a.connections == 3
            assert lb.outcomes == [("a", Outcome.OK)] * 3
            assert lb.backends[0].failed == 0
            assert lb.backends[0].picked == 3

    run(test())


def test_a_stale_connection_does_not_repeat_a_post(run: Run) -> None:
    async def once(wire: Wire, it: Origin) -> None:
        await it.take(wire)
        wire.send(ok(b"x"))
        await it.take(wire)
        wire.reset()

    async def test() -> None:
        async with origin(once) as a, proxy(a) as lb, lb.client() as client:
            client.send(get())
            await client.response()
            client.send(post(b"pay"))
            assert (await client.response()).status == 502
            assert len(a.requests) == 2

    run(test())


def test_a_backend_that_only_hinted_before_it_broke_off_is_not_stale(run: Run) -> None:
    async def hints(wire: Wire, it: Origin) -> None:
        await it.take(wire)
        wire.send(ok(b"x"))
        await it.take(wire)
        wire.send(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        await wire.sent()
        wire.close()

    async def test() -> None:
        async with origin(hints) as a, proxy(a, toml="[retries]\nmax = 0") as lb:
            await lb.get()
            async with lb.client() as client:
                client.send(get())
                assert (await client.response()).status == 103
                assert (await client.response()).status == 502
            assert lb.outcomes[1:] == [("a", Outcome.RESET)]

    run(test())


def test_a_connection_that_the_backend_has_closed_is_not_used(run: Run) -> None:
    """Even a POST goes through: the closing is seen before anything is sent."""

    async def test() -> None:
        async with origin(closing_after(ok(b"x"))) as a, proxy(a) as lb, lb.client() as client:
            for _ in range(3):
                client.send(post(b"pay"))
                assert (await client.response()).body == b"x"
                await a.left.get()
                pool = lb.backends[0].site
                while pool.idle:  # until the proxy has seen it too
                    await asyncio.sleep(0)
            assert a.connections == 3

    run(test())


def test_bytes_that_nobody_asked_for_end_a_connection(run: Run) -> None:
    async def test() -> None:
        async with (
            origin(answering(ok(b"x") + ok(b"poison"))) as a,
            proxy(a) as lb,
            lb.client() as client,
        ):
            for _ in range(3):
                client.send(get())
                assert (await client.response()).body == b"x"
            assert a.connections == 3

    run(test())
