"""Crowds on real sockets: newest first, room that is made, limits that are found, late loops."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from lb.proxy import lifecycle
from tests.proxy.conftest import Run
from tests.proxy.doubles import Proxy, echo, get, origin, proxy
from tests.proxy.test_limits import ONE, Gate, waiting

LINE = '[queue]\nlimit = 3\ntimeout = "2h"\ninterval = "1h"\ndiscipline = "adaptive"\n'


def make_a_crowd(lb: Proxy) -> None:
    """As if the line had not been empty for an interval."""
    lb.driver.balancer._line._since -= 3600.0


def test_in_a_crowd_the_newest_is_served_first(run: Run) -> None:
    async def test() -> None:
        gate = Gate()
        async with AsyncExitStack() as stack:
            a = await stack.enter_async_context(origin(gate))
            lb = await stack.enter_async_context(proxy(a, toml=LINE, a=ONE))
            clients = [await stack.enter_async_context(lb.client()) for _ in range(4)]
            clients[0].send(get("/0"))
            await a.arrived.get()
            for number in (1, 2, 3):
                clients[number].send(get(f"/{number}"))
                await waiting(lb, number)
            make_a_crowd(lb)
            for number in (0, 3, 2, 1):
                gate.open()
                assert (await clients[number].response()).body == b"/%d" % number

    run(test())


def test_in_a_crowd_the_oldest_is_told_to_come_again_and_makes_room(run: Run) -> None:
    async def test() -> None:
        gate = Gate()
        async with AsyncExitStack() as stack:
            a = await stack.enter_async_context(origin(gate))
            lb = await stack.enter_async_context(proxy(a, toml=LINE, a=ONE))
            clients = [await stack.enter_async_context(lb.client()) for _ in range(5)]
            clients[0].send(get("/0"))
            await a.arrived.get()
            for number in (1, 2, 3):
                clients[number].send(get(f"/{number}"))
                await waiting(lb, number)
            make_a_crowd(lb)
            clients[4].send(get("/4"))
            refused = await clients[1].response()
            assert (refused.status, refused.json["error"]) == (503, "queue_full")
            assert refused["Retry-After"] == "1"
            gate.open()
            await clients[0].response()
            gate.open()
            assert (await clients[4].response()).body == b"/4"
            assert (await lb.get("/lb-stats")).json["refused"]["queue_full"] == 1

    run(test())


def test_in_a_crowd_who_has_left_is_not_served(run: Run) -> None:
    async def test() -> None:
        gate = Gate()
        async with AsyncExitStack() as stack:
            a = await stack.enter_async_context(origin(gate))
            lb = await stack.enter_async_context(proxy(a, toml=LINE, a=ONE))
            clients = [await stack.enter_async_context(lb.client()) for _ in range(3)]
            clients[0].send(get("/0"))
            await a.arrived.get()
            for number in (1, 2):
                clients[number].send(get(f"/{number}"))
                await waiting(lb, number)
            make_a_crowd(lb)
            clients[2].half_close()
            await waiting(lb, 1)
            gate.open()
            await clients[0].response()
            gate.open()
            assert (await clients[1].response()).body == b"/1"
            assert [request.target for request in a.requests] == ["/0", "/1"]
            assert (await lb.get("/lb-stats")).json["left_line"] == 1

    run(test())


def test_an_adaptive_limit_is_found_and_told(run: Run) -> None:
    async def test() -> None:
        async with (
            origin(echo) as a,
            origin(echo) as b,
            proxy(a, b, a='max_in_flight = "adaptive"') as lb,
            lb.client() as client,
        ):
            rows = (await lb.get("/lb-stats")).json["backends"]
            assert [row["max_in_flight"] for row in rows] == [20, None]
            own = lb.driver.balancer.fleet.limits._limits[lb.backends[0]]
            own._value = 2.9  # so that one request at a time is no longer too few
            own._since = 0.0
            while own.unloaded is None:
                client.send(get())
                await client.response()
            rows = (await lb.get("/lb-stats")).json["backends"]
            assert rows[0]["max_in_flight"] == own.limit
            assert own.unloaded > 0

    run(test())


def test_a_loop_that_is_late_refuses_some_and_says_so(run: Run) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a) as lb, lb.client() as client:
            for _ in range(99):
                lb.driver.dispatcher.lagged(9.0)
            answers = []
            for _ in range(10):
                client.send(get("/x"))
                answers.append(await client.response())
            refused = [answer for answer in answers if answer.status == 503]
            assert 1 <= len(refused) <= 9, "the ticks of the proxy end it, some time"
            assert {answer.json["error"] for answer in refused} == {"overloaded"}
            assert {answer["Retry-After"] for answer in refused} == {"1"}
            stats = (await lb.get("/lb-stats")).json
            assert stats["refused"]["overloaded"] == len(refused)
            assert 0 <= stats["shedding"] <= 0.95
            while (await lb.get("/lb-stats")).json["shedding"]:
                await asyncio.sleep(0)
            client.send(get("/x"))
            assert (await client.response()).status == 200

    run(test())


def test_every_tick_measures_how_late_it_is(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        async with origin(echo) as a, proxy(a) as lb:
            told: list[float] = []
            monkeypatch.setattr(lb.driver.dispatcher, "lagged", told.append)
            lb.driver._look_at = lb.driver.context.now() - 7.0
            lb.driver._timer.cancel()
            lb.driver._tick()
            assert told[0] == pytest.approx(7.0, abs=1.0)
            assert (await lb.get("/lb-stats")).json["loop_lag"] == pytest.approx(7.0, abs=1.0)
            lb.driver._look_at = lb.driver.context.now() + lifecycle.TICK
            lb.driver._timer.cancel()
            lb.driver._tick()
            assert told[1] == 0.0, "early is not late"

    run(test())
