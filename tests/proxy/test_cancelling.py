"""An attempt that the balancer ends: its connection goes, its lease ends as cancelled."""

from __future__ import annotations

import asyncio

from lb.balancing import Cancel, Outcome, Refuse, Start
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
    proxy,
    silent,
)


def cancelled(lb: Proxy, *then: object) -> None:
    """As a hedge that has lost will be, one day."""
    balancer = lb.driver.balancer
    balancer.out.append(Cancel(lb.leases[0]))
    balancer.out.extend(then)  # type: ignore[arg-type]
    lb.driver.dispatcher.drain()


def test_a_cancelled_attempt_ends_and_a_refusal_may_follow(run: Run) -> None:
    async def test() -> None:
        async with origin(silent) as a, proxy(a) as lb, lb.client() as client:
            client.send(get())
            await a.arrived.get()
            cancelled(lb, Refuse(lb.leases[0].call, Outcome.CANCELLED))
            assert (await client.response()).status == 503
            assert lb.outcomes == [("a", Outcome.CANCELLED)]
            await a.left.get()
            assert lb.backends[0].cancelled == 1

    run(test())


def test_a_cancelled_attempt_ends_and_another_may_follow(run: Run) -> None:
    async def test() -> None:
        async with (
            origin(silent) as a,
            origin(answering(ok(b"other"))) as b,
            proxy(a, b) as lb,
            lb.client() as client,
        ):
            client.send(get())
            await a.arrived.get()
            balancer, call = lb.driver.balancer, lb.leases[0].call
            other = balancer._start(call, lb.backends[1], lb.driver.context.now())
            cancelled(lb, Start(other))
            assert (await client.response()).body == b"other"
            assert lb.outcomes == [("a", Outcome.CANCELLED), ("b", Outcome.OK)]

    run(test())


def test_an_answer_that_has_begun_is_cut_off_when_it_is_cancelled(run: Run) -> None:
    async def half(wire: Wire, it: Origin) -> None:
        await it.take(wire)
        wire.send(b"HTTP/1.1 200 OK\r\n\r\nhalf")
        await it.take(wire)

    async def test() -> None:
        async with origin(half) as a, proxy(a) as lb, lb.client() as client:
            client.send(get())
            assert await client.head() is not None
            cancelled(lb)
            assert await client.is_reset()
            assert lb.outcomes == [("a", Outcome.CANCELLED)]

    run(test())


def test_a_tunnel_is_closed_when_it_is_cancelled(run: Run) -> None:
    async def switching(wire: Wire, it: Origin) -> None:
        await it.take(wire)
        wire.send(b"HTTP/1.1 101 Fine\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        await wire.reader.read()

    async def test() -> None:
        async with origin(switching) as a, proxy(a) as lb, lb.client() as client:
            client.send(get("/", "Connection: upgrade", "Upgrade: websocket"))
            assert (await client.response()).status == 101
            cancelled(lb)
            await client.is_reset()
            await a.left.get()
            while lb.driver.clients:
                await asyncio.sleep(0)
            assert lb.outcomes == [("a", Outcome.CANCELLED)]

    run(test())


def test_an_attempt_that_is_over_cannot_be_cancelled(run: Run) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a) as lb, lb.client() as client:
            client.send(get())
            await client.response()
            cancelled(lb)
            client.send(get())
            assert (await client.response()).status == 200
            assert lb.outcomes == [("a", Outcome.OK)] * 2

    run(test())
