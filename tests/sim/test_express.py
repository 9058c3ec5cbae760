"""The express lane and the general way: two ways through one world, and one record."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
import simpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lb.balancing import Settings, State
from lb.config import Scenario
from lb.strategies import REGISTRY
from sim.analysis.record import Record
from sim.engine.express import Express
from sim.engine.world import World
from sim.model.arrivals import Schedule
from tests.sim.scenarios import CONSTANT, EXPONENTIAL, scenario, serves

ALGORITHMS = [
    *REGISTRY,
    "p2c:choices=3",
    "weighted_round_robin:sequence=edf",
    "weighted_round_robin:sequence=fwrr",
    "consistent_hash:balance_factor=1.25",
    "sticky:inner=p2c",
    "sticky:inner=prequal",
    "prequal:probes=0.5,pool=2",
    "weighted_feedback:blackout=0s,smoothing=0s,update=0s",
]
KEYS = 'keys = { law = "zipf", count = 20, s = 1.1 }'


def plain(value: object) -> object:
    """What can be compared, NaN included."""
    if isinstance(value, np.ndarray):
        return [repr(it) for it in value.ravel().tolist()]
    if isinstance(value, float):
        return repr(value)
    if hasattr(value, "__dataclass_fields__"):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    return value


def same(file: Scenario, algorithm: str, events: Any = None) -> Record:
    """Both ways give the same record, and leave balancers that know the same."""
    seen: list[Any] = []
    for express in (True, False):
        world = World(file, Schedule.draw(file), algorithm, watched=True, express=express)
        assert isinstance(world.lane, Express) is express
        if events is not None:
            world.process(events(world))
        record = world.replicate()
        balancers = [dispatcher.balancer for dispatcher in world.dispatchers]
        accounts = [plain(balancer.snapshot(world.now)) for balancer in balancers]
        draws = [balancer.fleet.rng.random() for balancer in balancers]
        seen.append((record, plain(record), accounts, draws, world.now))
    assert seen[0][1:] == seen[1][1:]
    record, *_ = seen[0]
    assert record.completed + record.failed == record.requests
    return record


@st.composite
def files(draw: st.DrawFn) -> Scenario:
    """Whatever the lane takes."""
    count = draw(st.integers(1, 4))
    models, rows = [], []
    for _ in range(count):
        more: dict[str, object] = {}
        if (queue := draw(st.sampled_from([None, None, 0, 2]))) is not None:
            more["queue"] = queue
        discipline = draw(st.sampled_from(["fifo", "fifo", "ps"]))
        law = draw(st.sampled_from([EXPONENTIAL, CONSTANT]))
        models.append(serves(law, discipline=discipline, workers=draw(st.integers(1, 3)), **more))
        limit = draw(st.sampled_from(["", "", "max_in_flight = 2", 'max_in_flight = "adaptive"']))
        rows.append(f"weight = {draw(st.integers(1, 3))}\n{limit}")
    network = draw(
        st.sampled_from(
            [
                "",
                "",
                'network = { law = "deterministic", mean = "0.5s" }',
                'network = { law = "exponential", mean = "0.1s" }',
            ]
        )
    )
    limits = draw(
        st.sampled_from(["", "", '[timeouts]\nresponse = "3s"', '[timeouts]\nattempt = "2s"'])
    )
    line = '[queue]\nlimit = 3\ntimeout = "2s"' if any("max" in row for row in rows) else ""
    process = draw(st.sampled_from(["poisson", "deterministic"]))
    rate = draw(st.sampled_from([0.5, 1.0, 2.0, 4.0]))
    balancers = draw(st.integers(1, 3))
    return scenario(
        *models,
        rate=rate,
        process=process,
        traffic=f"{KEYS}\n{network}",
        run=f"requests = 150\nbalancers = {balancers}",
        backend=rows,
        more=f"{limits}\n{line}",
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(files(), st.sampled_from(ALGORITHMS))
def test_the_lane_and_the_general_way_give_the_same_record(file: Scenario, algorithm: str) -> None:
    same(file, algorithm)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_at_length(algorithm: str) -> None:
    file = scenario(
        *[serves(EXPONENTIAL)] * 5,
        rate=4.5,
        traffic=KEYS,
        run="requests = 1500",
        more='[health]\ninterval = "20s"',
    )
    record = same(file, algorithm)
    assert record.completed > 250


def changes(world: World) -> Iterator[simpy.Event]:
    """An operator, as a process of SimPy's, and at the instant of an arrival too."""
    balancer = world.dispatchers[0].balancer
    yield world.timeout(10)
    balancer.set_state(balancer.pool.backends[0], State.DRAIN, world.now)
    yield world.timeout(10)
    balancer.swap("prequal", {}, world.now)
    yield world.timeout(10.5)
    balancer.swap("least_connections", {}, world.now)
    balancer.set_state(balancer.pool.backends[0], State.UP, world.now)
    yield world.timeout(10)
    balancer.add(Settings("b:2", name="again"), world.now)
    world.dispatchers[0].drain(world.now)
    yield world.timeout(10)
    for backend in balancer.pool.backends:
        balancer.set_state(backend, State.DOWN, world.now)
    yield world.timeout(5)
    for backend in balancer.pool.backends:
        balancer.set_state(backend, State.UP, world.now)


@pytest.mark.parametrize("process", ["poisson", "deterministic"])
@pytest.mark.parametrize("algorithm", ["round_robin", "ip_hash", "weighted_feedback"])
def test_processes_of_simpy_join_either_way(process: str, algorithm: str) -> None:
    file = scenario(
        *[serves(CONSTANT)] * 3, rate=2.0, process=process, run="requests = 200", traffic=KEYS
    )
    record = same(file, algorithm, changes)
    assert record.rejected  # while nobody was up


@pytest.mark.parametrize("law", [CONSTANT, EXPONENTIAL])
def test_who_begins_to_ask_finds_what_is_there(law: str) -> None:
    """By keys one backend of five holds many more than the others when it is first asked."""
    file = scenario(*[serves(law)] * 5, rate=4.5, traffic=KEYS, run="requests = 400")
    same(file, "ip_hash", changes)


def test_who_takes_too_long_is_timed_out_at_the_same_instant() -> None:
    file = scenario(
        *[serves(EXPONENTIAL)] * 2,
        rate=2.5,
        run="requests = 900",
        more='[timeouts]\nresponse = "20s"',
    )
    record = same(file, "p2c")
    assert record.timed_out > 10
    assert record.retried > 10


def test_a_time_can_be_simulated_to() -> None:
    file = scenario(serves(EXPONENTIAL))
    clocks = []

    def look(world: World) -> Iterator[simpy.Event]:
        while True:
            yield world.timeout(7)
            clocks.append((world.now, world.dispatchers[0].balancer.admitted))

    for express in (True, False):
        world = World(file, Schedule.draw(file), "random", express=express)
        world.process(look(world))
        world.replicate()
    half = len(clocks) // 2
    assert clocks[:half] == clocks[half:]
    assert [now for now, _ in clocks[:3]] == [7, 14, 21]


@pytest.mark.parametrize("algorithm", ["round_robin", "least_connections", "p2c", "prequal"])
@pytest.mark.parametrize("law", [CONSTANT, '"bimodal:0s,2s,weights=1,1"'])
@pytest.mark.parametrize(
    "arrivals",
    [
        '{ process = "batch", rate = 2, size = { law = "geometric", mean = 4 } }',
        '{ process = "renewal", law = "bimodal:0s,1s,weights=1,1" }',
    ],
)
def test_many_arrivals_and_departures_at_one_instant(
    algorithm: str, law: str, arrivals: str
) -> None:
    backends = [f'[[backend]]\naddress = "b:{i}"\n[backend.model]\n{serves(law)}' for i in range(3)]
    lines = [f"[traffic]\narrivals = {arrivals}", "[run]\nrequests = 1000", *backends]
    record = same(Scenario.parse("\n".join(lines)), algorithm)
    assert np.unique(record.arrived).size < 600
