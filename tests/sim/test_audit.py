"""What must add up does, in systems of every kind; and a cooked record is noticed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from lb.config import Scenario
from sim import simulate
from sim.analysis.audit import Unbalanced, audit
from sim.analysis.record import Lost, Record, occupancy
from sim.engine.world import World
from sim.model.arrivals import Schedule
from tests.sim.scenarios import CONSTANT, EXPONENTIAL, scenario, serves

RUN = "requests = 3000\nreplications = 1"
TWO = [serves(EXPONENTIAL)] * 2
SYSTEMS = {
    "fifo": scenario(*TWO, rate=1.6, run=RUN),
    "several workers": scenario(*[serves(EXPONENTIAL, workers=3)] * 2, rate=5.0, run=RUN),
    "shared": scenario(*[serves(EXPONENTIAL, discipline="ps")] * 2, rate=1.6, run=RUN),
    "unequal": scenario(serves(EXPONENTIAL), serves(CONSTANT, workers=2), rate=1.6, run=RUN),
    "full": scenario(*[serves(EXPONENTIAL, queue=1)] * 2, rate=3.0, run=RUN),
    "impatient": scenario(
        *TWO, rate=2.5, run=RUN, traffic='patience = { law = "exponential", mean = "3s" }'
    ),
    "far": scenario(
        *TWO, rate=1.6, run=RUN, traffic='network = { law = "exponential", mean = "100ms" }'
    ),
    "faulty": scenario(
        *TWO,
        rate=1.0,
        run=RUN,
        more='[[fault]]\nbackend = "b:0"\nkind = "errors"\nrate = 0.3\nfrom = "100s"\nto = "900s"',
    ),
}


def simulated(file: Scenario, algorithm: str = "p2c") -> tuple[Schedule, Record]:
    schedule = Schedule.draw(file)
    return schedule, World(file, schedule, algorithm).replicate()


@pytest.mark.parametrize("algorithm", ["round_robin", "random", "least_connections", "p2c"])
@pytest.mark.parametrize("system", SYSTEMS)
def test_it_adds_up(system: str, algorithm: str) -> None:
    schedule, record = simulated(SYSTEMS[system], algorithm)
    audit(SYSTEMS[system], schedule, record)


def later(record: Record, column: str, by: float, row: int = 1500) -> Record:
    times = getattr(record, column).copy()
    times[row] += by
    return replace(record, **{column: times})


COOKED: dict[str, tuple[Callable[[Record], Record], str]] = {
    "a request too many": (
        lambda record: replace(record, requests=record.requests + 1),
        "3001 requests came and 3000 ended",
    ),
    "a failure without a reason": (
        lambda record: replace(record, requests=record.requests + 1, failed=1),
        "1 requests failed, for 0 reasons",
    ),
    "an answer before its request": (
        lambda record: replace(record, ended=record.ended - 5000),
        "requests ended before they left",
    ),
    "one that began before it came": (
        lambda record: later(record, "started", -0.5),
        "1 requests started before they arrived",
    ),
    "work that nobody did": (
        lambda record: replace(record, left=record.left - 1e-3, reached=record.reached - 1e-3),
        "requests reached before they started",
    ),
}


@pytest.mark.parametrize("how", COOKED)
def test_a_cooked_record_is_noticed(how: str) -> None:
    file = SYSTEMS["fifo"]
    schedule, record = simulated(file)
    cook, words = COOKED[how]
    with pytest.raises(Unbalanced, match=words):
        audit(file, schedule, cook(record))


@pytest.mark.parametrize("system", ["fifo", "several workers", "shared"])
def test_work_that_was_not_sent_is_noticed(system: str) -> None:
    file = SYSTEMS[system]
    schedule, record = simulated(file)
    heavier = replace(schedule, sizes=schedule.sizes * (1 + 1e-6))
    with pytest.raises(Unbalanced, match=r"b:0 was busy for .* s with .* s of work"):
        audit(file, heavier, record)
    audit(file, heavier, record, whole=False)


def test_an_attempt_that_ends_before_it_began_is_noticed() -> None:
    file = SYSTEMS["fifo"]
    schedule, record = simulated(file)
    at = record.started[1600]
    with pytest.raises(Unbalanced, match="1 attempts without an answer ended before they began"):
        audit(file, schedule, replace(record, lost=Lost.of([(0, at + 1, at, at, at)])))


def test_numbers_that_are_not_what_stays_make_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which would be a mistake of whoever counts them."""
    file = SYSTEMS["fifo"]
    schedule, record = simulated(file)
    monkeypatch.setattr(
        "sim.analysis.audit.occupancy",
        lambda entered, left: occupancy(entered[1:], left[1:]),
    )
    with pytest.raises(Unbalanced, match="were in flight, and attempts stayed as long as"):
        audit(file, schedule, record)


def test_every_run_is_audited(monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(world: World) -> Record:
        record = replicate(world)
        return replace(record, requests=record.requests + 1)

    replicate = World.replicate
    monkeypatch.setattr(World, "replicate", lose)
    with pytest.raises(Unbalanced, match="3001 requests came"):
        simulate(SYSTEMS["fifo"])
