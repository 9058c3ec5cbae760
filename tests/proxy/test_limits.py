"""Backends at their limits: who waits, for how long, and who is served first."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from lb.strategies import Outcome
from tests.proxy.conftest import Run
from tests.proxy.doubles import Origin, Proxy, Wire, get, ok, origin, proxy, resets

ONE = "max_in_flight = 1\n"


class Gate:
    """A backend that answers one request for every `open`."""

    def __init__(self) -> None:
        self.permits = asyncio.Semaphore(0)

    async def __call__(self, wire: Wire, it: Origin) -> None:
        while (request := await it.take(wire)) is not None:
            await self.permits.acquire()
            wire.send(ok(request.target.encode()))

    def open(self) -> None:
        self.permits.release()


async def waiting(lb: Proxy, count: int) -> None:
    while len(lb.driver.balancer._line) != count:
        await asyncio.sleep(0)


def test_first_come_first_served(run: Run) -> None:
    async def test() -> None:
        gate = Gate()
        queue = '[queue]\nlimit = 3\ntimeout = "5s"\n'
        async with AsyncExitStack() as stack:
            a = await stack.enter_async_context(origin(gate))
            lb = await stack.enter_async_context(proxy(a, toml=queue, a=ONE))
            clients = [await stack.enter_async_context(lb.client()) for _ in range(5)]
            clients[0].send(get("/0"))
            await a.arrived.get()
            for number in (1, 2, 3):
                clients[number].send(get(f"/{number}"))
                await waiting(lb, number)
            clients[4].send(get("/4"))
            refused = await clients[4].response()
            assert refused.status == 503
            assert refused.json["error"] == "queue_full"
            assert lb.backends[0].active == 1
            for number in range(4):
                gate.open()
                assert (await clients[number].response()).body == b"/%d" % number
            assert [request.target for request in a.requests] == ["/0", "/1", "/2", "/3"]
            assert a.connections == 1

    run(test())


def test_waiting_has_an_end(run: Run) -> None:
    async def test() -> None:
        gate = Gate()
        queue = '[queue]\nlimit = 3\ntimeout = "60ms"\n'
        async with (
            origin(gate) as a,
            proxy(a, toml=queue, a=ONE) as lb,
            lb.client() as served,
            lb.client() as client,
        ):
            served.send(get("/0"))
            await a.arrived.get()
            client.send(get("/1"))
            answer = await client.response()
            assert answer.status == 503
            assert answer.json["error"] == "queue_timeout"
            gate.open()
            assert (await served.response()).status == 200
            gate.open()
            client.send(get("/2"))
            assert (await client.response()).status == 200
            assert [request.target for request in a.requests] == ["/0", "/2"]

    run(test())


def test_one_that_leaves_the_line_does_not_hold_it_up(run: Run) -> None:
    async def test() -> None:
        gate = Gate()
        queue = '[queue]\nlimit = 3\ntimeout = "5s"\n'
        async with (
            origin(gate) as a,
            proxy(a, toml=queue, a=ONE) as lb,
            lb.client() as first,
            lb.client() as second,
            lb.client() as third,
        ):
            first.send(get("/0"))
            await a.arrived.get()
            second.send(get("/1"))
            await waiting(lb, 1)
            third.send(get("/2"))
            await waiting(lb, 2)
            second.reset()
            await waiting(lb, 1)
            gate.open()
            await first.response()
            gate.open()
            assert (await third.response()).body == b"/2"
            assert [request.target for request in a.requests] == ["/0", "/2"]

    run(test())


def test_a_failure_makes_room_for_the_next(run: Run) -> None:
    async def test() -> None:
        queue = '[queue]\nlimit = 3\ntimeout = "5s"\n[retries]\nmax = 0\n'
        go_on = asyncio.Event()

        async def resetting(wire: Wire, it: Origin) -> None:
            await it.take(wire)
            await go_on.wait()
            wire.reset()

        async with (
            origin(resetting) as a,
            proxy(a, toml=queue, a=ONE) as lb,
            lb.client() as first,
            lb.client() as second,
        ):
            first.send(get())
            await a.arrived.get()
            second.send(get())
            await waiting(lb, 1)
            go_on.set()
            assert (await first.response()).status == 502
            assert (await second.response()).status == 502
            assert lb.outcomes == [("a", Outcome.RESET)] * 2

    run(test())


def test_a_client_that_is_gone_makes_room_for_the_next(run: Run) -> None:
    async def test() -> None:
        gate = Gate()
        queue = '[queue]\nlimit = 3\ntimeout = "5s"\n'
        async with (
            origin(gate) as a,
            proxy(a, toml=queue, a=ONE) as lb,
            lb.client() as first,
            lb.client() as second,
        ):
            first.send(get("/0"))
            await a.arrived.get()
            second.send(get("/1"))
            await waiting(lb, 1)
            first.reset()
            await a.arrived.get()
            gate.open()
            gate.open()  # the first one's turn is still to come at the backend
            assert (await second.response()).body == b"/1"

    run(test())


def test_without_a_line_nobody_waits(run: Run) -> None:
    async def test() -> None:
        gate = Gate()
        async with (
            origin(gate) as a,
            origin(resets) as b,
            proxy(a, b, a=ONE, b=ONE) as lb,
            lb.client() as first,
            lb.client() as second,
            lb.client() as third,
        ):
            first.send(get("/0"))
            await a.arrived.get()
            b.script = gate
            second.send(get("/1"))
            await b.arrived.get()
            third.send(get("/2"))
            assert (await third.response()).json["error"] == "queue_full"
            gate.open()
            gate.open()
            assert {(await first.response()).status, (await second.response()).status} == {200}

    run(test())
