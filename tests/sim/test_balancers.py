"""Worlds of several balancers before the same sites, of other sources, of SimPy's own processes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import simpy

from lb.config import Scenario
from lb.strategies import REGISTRY
from sim.analysis.record import Record
from sim.engine.dispatcher import Dispatcher
from sim.engine.journal import Journal
from sim.engine.request import Request
from sim.engine.timeline import Alarm, Timeline
from sim.engine.world import World
from sim.model.arrivals import Schedule
from tests.sim.scenarios import CONSTANT, EXPONENTIAL, scenario, serves

THREE = [serves(EXPONENTIAL)] * 3


def world(file: Scenario, algorithm: str, balancers: int) -> World:
    return World(file, Schedule.draw(file), algorithm, balancers=balancers)


# --- several balancers


def test_two_balancers_share_the_sites_and_nothing_else() -> None:
    file = scenario(*THREE, rate=2.4, run="requests = 900")
    shared = world(file, "round_robin", 2)
    record = shared.replicate()
    assert record.completed == record.requests == 900
    seen = []
    for dispatcher in shared.dispatchers:
        backends = dispatcher.balancer.pool.backends
        picked = [backend.picked for backend in backends]
        assert max(picked) - min(picked) <= 1  # each takes turns on its own
        assert [backend.active for backend in backends] == [0, 0, 0]
        seen.append(sum(picked))
    assert sum(seen) == 900
    assert min(seen) > 350  # drawn at random
    in_all = Counter(record.backend.tolist())
    assert sum(in_all.values()) == 900
    assert len(shared.sites) == 3


def test_one_queue_is_one_queue_whoever_sends_to_it() -> None:
    """A single server: its requests wait for each other across balancers, to the last bit."""
    file = scenario(serves(EXPONENTIAL))
    alone, shared = world(file, "random", 1).replicate(), world(file, "random", 3).replicate()
    np.testing.assert_array_equal(alone.latency, shared.latency)


def test_each_balancer_counts_its_own_requests_only() -> None:
    """Two that see everything between them spread worse than one that sees it all."""
    file = scenario(*[serves(EXPONENTIAL)] * 10, rate=9, run="requests = 20000")
    one, five = (world(file, "least_connections", k).replicate() for k in (1, 5))
    assert one.latency.mean() < five.latency.mean()


def test_balancers_draw_from_randomness_of_their_own() -> None:
    shared = world(scenario(*THREE), "random", 2)
    first, second = (dispatcher.balancer for dispatcher in shared.dispatchers)
    picks = [[lb.admit(Request(), 0.0).backend.order for _ in range(50)] for lb in (first, second)]  # type: ignore[arg-type, union-attr]
    assert picks[0] != picks[1]


@pytest.mark.parametrize("algorithm", REGISTRY)
def test_several_balancers_serve_every_request_and_a_seed_settles_it(algorithm: str) -> None:
    file = scenario(
        *THREE,
        rate=3,
        traffic=f"network = {EXPONENTIAL}",
        run="requests = 300",
        backend=["max_in_flight = 3"] * 3,
        more='[queue]\nlimit = 2\ntimeout = "1s"\n[timeouts]\nresponse = "4s"',
    )
    one, again = (world(file, algorithm, 3).replicate() for _ in range(2))
    assert one.completed + one.failed == 300
    np.testing.assert_array_equal(one.latency, again.latency)
    np.testing.assert_array_equal(one.backend, again.backend)


# --- other sources


class Users:
    """A closed loop: each user thinks for a second, sends, waits for the end, thinks again."""

    def __init__(self, users: int, requests: int) -> None:
        self.sizes = {"deterministic": [1.0] * requests}
        self.users, self.requests = users, requests
        self.sent = 0

    def __len__(self) -> int:
        return self.requests

    def start(
        self,
        timeline: Timeline,
        journal: Journal,
        dispatchers: Sequence[Dispatcher],
        routes: Sequence[int],
    ) -> None:
        self.timeline, self.journal, self.dispatcher = timeline, journal, dispatchers[0]
        journal.expect([math.nan] * self.requests)
        journal.ended_with = self.think
        for _ in range(self.users):
            timeline.set(Alarm(self.send), 1.0)

    def think(self, request: Request, now: float) -> None:
        self.timeline.set(Alarm(self.send), now + 1.0)

    def send(self, now: float) -> None:
        if self.sent < self.requests:
            request = Request()
            request.index, request.home = self.sent, self.dispatcher
            self.journal.arrived[self.sent] = now
            self.sent += 1
            self.dispatcher.arrive(request, now)


def closed(users: int, model: str, requests: int, **more: str) -> Record:
    file = scenario(model, **more)  # type: ignore[arg-type]
    return World(file, Users(users, requests), "round_robin").replicate()


def test_a_closed_loop_is_one_more_source() -> None:
    """One user: a second of thought, a second of service, and so on."""
    record = closed(1, serves(CONSTANT), 4)
    assert record.arrived.tolist() == [1.0, 3.0, 5.0, 7.0]
    np.testing.assert_array_equal(record.latency, 1.0)
    assert (record.requests, record.until) == (4, 7.0)


def test_users_wait_for_each_other_and_are_told_of_refusals() -> None:
    """Three users and one server that never varies: it is busy from the first request on."""
    record = closed(3, serves(CONSTANT), 9)
    assert np.sort(record.ended).tolist() == [float(n) for n in range(2, 11)]
    refused = closed(2, serves(CONSTANT, queue=0), 6)
    assert refused.completed + refused.failed == 6
    assert refused.failed == 1  # the second of the first moment; from then on they take turns


# --- SimPy


def test_users_processes_may_join_the_world() -> None:
    file = scenario(serves(CONSTANT), rate=2, process="deterministic", run="requests = 6")
    joined = world(file, "round_robin", 1)
    found = []

    def look(env: simpy.Environment) -> Iterator[simpy.Event]:
        while True:
            yield env.timeout(0.7)
            found.append(len(joined.sites["b:0"].station))

    joined.process(look(joined))
    joined.replicate()
    assert found[:4] == [1, 2, 3, 3]  # at 0.7, 1.4, 2.1 and 2.8
