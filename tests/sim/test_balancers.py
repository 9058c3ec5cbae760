"""Worlds of several balancers before the same sites, of other sources, of SimPy's own processes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import simpy

from lb.config import Run, Scenario, Trace
from lb.errors import ConfigError
from lb.strategies import REGISTRY
from sim import simulate
from sim.analysis.record import Record, occupancy
from sim.engine.alarms import Alarm
from sim.engine.dispatcher import Dispatcher
from sim.engine.journal import Journal
from sim.engine.request import Request
from sim.engine.timeline import Timeline
from sim.engine.world import World
from sim.model.arrivals import Schedule
from sim.model.traced import traced
from sim.output.words import offered
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


def test_requests_come_to_the_balancer_that_the_schedule_says() -> None:
    file = scenario(*THREE, rate=2.4, run="requests = 300")
    routes = np.arange(300) // 30 % 2  # thirty here, thirty there
    told = replace(Schedule.draw(file), balancers=routes)
    record = World(file, told, "round_robin", balancers=2).replicate()
    order = np.argsort(record.arrived)
    for balancer in (0, 1):
        picks = record.backend[order][routes == balancer]
        assert sorted(picks[:3]) == [0, 1, 2]
        assert (picks[3:] == picks[:-3]).all()  # it takes turns among its own
    of_three = World(file, told, "round_robin", balancers=3)
    of_three.replicate()
    shares = [sum(it.picked for it in one.balancer.pool.backends) for one in of_three.dispatchers]
    assert shares == [150, 150, 0]
    of_four = replace(told, balancers=np.arange(300) % 4)
    drawn = World(file, of_four, "round_robin", balancers=3)
    drawn.replicate()
    shares = [sum(it.picked for it in one.balancer.pool.backends) for one in drawn.dispatchers]
    assert min(shares) > 60  # drawn, where it knows more


def test_a_trace_tells_of_no_more_balancers_than_there_are(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("time,balancer\n0.1,1\n0.2,3\n")
    trace = Trace(process="trace", file=str(path))
    luck = np.random.default_rng(0)
    for balancers in (1, 3, 4):
        told = traced(trace, "client_ip", Run(balancers=balancers), luck).balancers
        assert told is not None
        assert told.tolist() == [0, 2]
    with pytest.raises(ConfigError, match=r"tells of balancer 3, and run\.balancers = 2; give 3"):
        traced(trace, "client_ip", Run(balancers=2), luck)


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


# --- as a file has them


def many(n: int, balancers: int, rate: float, requests: int, more: str = "") -> Scenario:
    run = f"requests = {requests}\nreplications = 1\nbalancers = {balancers}"
    return scenario(*[serves(EXPONENTIAL)] * n, rate=rate, run=run, more=more)


def test_the_file_says_how_many_balancers_there_are() -> None:
    file = many(4, 3, rate=3, requests=100)
    shared = World(file, Schedule.draw(file), "random")
    assert len(shared.dispatchers) == 3
    (run,) = simulate(file, "random").runs
    np.testing.assert_array_equal(run.records[0].latency, shared.replicate().latency)
    assert "3 balancers, each of which sees its own requests only." in offered(file, ["random"])
    assert not any("balancer" in line for line in offered(many(4, 1, 3, 100), ["random"]))


def test_what_many_balancers_do_is_counted_together() -> None:
    """Little's law over all of them; each has its own limits, so a backend takes two at a time."""
    file = many(4, 4, rate=3.2, requests=20_000)
    (run,) = simulate(file, "p2c").runs
    held = sum(use.mean_in_flight for use in run.backends)
    assert held == pytest.approx(3.2 * run.latency["mean"].value, rel=0.03)
    full = many(1, 2, rate=50, requests=200)
    row = full.backends[0].model_copy(update={"max_in_flight": 1})
    full = full.model_copy(update={"backends": (row,)})
    (record,) = simulate(full, "random").runs[0].records
    _, inside = occupancy(*record.in_flight())
    assert inside.max() == 2


@pytest.mark.no_cover
def test_what_is_best_of_one_balancer_is_not_of_fifty() -> None:
    """Fifty balancers see next to nothing of the load of ten backends in their own requests.

    The shortest of all queues is then hardly better than that of two, and no better than one that
    is idle; going by latencies one's own answers had, long ago, is worse than taking turns.
    """
    names = ["least_connections", "join_idle_queue", "p2c", "round_robin", "peak_ewma"]
    one, fifty = (
        {run.algorithm: run.latency["mean"].value for run in simulate(file, names).runs}
        for file in (many(10, balancers, 9, 40_000) for balancers in (1, 50))
    )
    assert one["least_connections"] < 0.75 * one["p2c"]
    assert one["least_connections"] < 0.9 * one["join_idle_queue"]
    assert one["peak_ewma"] < 0.75 * one["round_robin"]
    assert fifty["least_connections"] > 2.5 * one["least_connections"]
    assert fifty["p2c"] == pytest.approx(fifty["least_connections"], rel=0.1)
    assert fifty["join_idle_queue"] == pytest.approx(fifty["least_connections"], rel=0.02)
    assert fifty["peak_ewma"] > 1.15 * fifty["round_robin"]


def test_each_balancer_takes_its_turns_from_a_place_of_its_own() -> None:
    file = many(8, 20, rate=1, requests=1)
    shared = World(file, Schedule.draw(file), "round_robin")
    shared.replicate()
    first = {lb.balancer.admit(Request(), 9.0).backend.order for lb in shared.dispatchers}  # type: ignore[arg-type, union-attr]
    assert len(first) > 4


def test_each_balancer_has_its_own_subset() -> None:
    """Three backends of twelve each: the first four balancers share them all out."""
    file = many(12, 4, rate=6, requests=400, more="[subset]\nsize = 3")
    shared = World(file, Schedule.draw(file), "random", watched=True)
    record = shared.replicate()
    picked = [
        {backend.site.place for backend in dispatcher.balancer.pool.backends if backend.picked}
        for dispatcher in shared.dispatchers
    ]
    assert [len(own) for own in picked] == [3, 3, 3, 3]
    assert set.union(*picked) == set(range(12))
    assert record.rotation is not None
    assert record.rotation.min() == record.rotation.max() == 1.0  # with those who may use it
    assert not any("subset" in line for line in offered(file, ["random"]))
    lonely = many(12, 2, rate=3, requests=400, more="[subset]\nsize = 3")
    (told,) = (line for line in offered(lonely, ["random"]) if "subset" in line)
    assert told.startswith("In no balancer's subset, so without work: b:")
    assert told.count("b:") == 6


def test_nobody_can_have_no_balancer() -> None:
    with pytest.raises(
        ConfigError,
        match=r"scenario:10 run\.balancers: should be greater than or equal to 1, not 0",
    ):
        many(1, 0, 1, 1)


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
