"""Stations whose jobs slow each other down: beside a fluid kept by hand, and beside theory."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.config import Model, Scenario, Usl
from lb.errors import ConfigError
from sim import simulate
from sim.model.making import make
from sim.model.reneging import RenegingFifo, RenegingSharing
from sim.model.slowing import SlowingFifo, SlowingSharing
from sim.model.stations import INFINITY
from sim.output.words import offered
from tests.sim.scenarios import EXPONENTIAL, scenario, serves
from tests.sim.test_reneging import LEAVE, played
from tests.sim.test_stations import JOBS, REAL_JOBS, served

USL = Usl(contention=0.125, coherency=0.0625)
PACES = st.lists(st.floats(0.1, 1), min_size=1, max_size=4).map(lambda some: [1.0, *some])
KINDS = pytest.mark.parametrize("shared", [False, True], ids=["fifo", "ps"])
Jobs = list[tuple[float, float]]


def test_capacity_is_that_of_the_universal_scalability_law() -> None:
    """C(4) = 4 / (1 + 0.125 * 3 + 0.0625 * 4 * 3)."""
    assert USL.capacity(1) == 1
    assert USL.capacity(4) == 4 / 2.125
    model = Model(service="exponential:500ms", workers=4, usl=USL)
    assert model.capacity == pytest.approx(2 * 4 / 2.125)
    assert model.best == (model.capacity, 4)
    assert not model.plain


def fluid(jobs: Jobs, paces: list[float], shared: bool) -> dict[int, float]:
    """Everyone's remaining work, from event to event."""
    now, coming = 0.0, list(enumerate(jobs))
    inside: dict[int, float] = {}  # in the order they came
    left: dict[int, float] = {}
    workers = len(paces) - 1
    while coming or inside:
        n = min(len(inside), workers)
        at_work = list(inside) if shared else list(inside)[:workers]
        pace = paces[n] * (n / len(at_work)) if at_work else 0.0
        done_in = min(inside[job] for job in at_work) / pace if at_work else INFINITY
        next_in = coming[0][1][0] - now if coming else INFINITY
        step = min(done_in, next_in)
        for job in at_work:
            inside[job] -= step * pace
        now += step
        if done_in <= next_in:
            job = min(at_work, key=lambda job: inside[job])
            del inside[job]
            left[job] = now
        else:
            job, (_, service) = coming.pop(0)
            inside[job] = service
    return left


@KINDS
@given(jobs=REAL_JOBS, paces=PACES)
def test_work_goes_on_as_fast_as_those_at_it_let_each_other(
    shared: bool, jobs: Jobs, paces: list[float]
) -> None:
    kind: Any = SlowingSharing if shared else SlowingFifo
    assert served(lambda: kind(paces), jobs) == pytest.approx(
        fluid(jobs, paces, shared), rel=1e-9, abs=1e-9
    )


@KINDS
@given(
    jobs=JOBS,
    leave=st.dictionaries(st.integers(0, 39), LEAVE),
    workers=st.integers(1, 3),
    queue=st.none() | st.integers(0, 2),
    stops=st.booleans(),
)
def test_without_a_slow_down_it_is_any_other_station(
    shared: bool, jobs: Jobs, leave: dict[int, float], workers: int, queue: int | None, stops: bool
) -> None:
    kind: Any = SlowingSharing if shared else SlowingFifo
    other: Any = RenegingSharing if shared else RenegingFifo
    at = {job: jobs[job][0] + after for job, after in leave.items() if job < len(jobs)}
    same = played(kind([1.0] * (workers + 1), queue), jobs, at, stops)
    left, gone = played(other(workers, queue), jobs, at, stops)
    assert same == (pytest.approx(left), gone)


def in_system(rate: float, workers: int, usl: Usl) -> float:
    """How many are there on average: a birth-death chain, n leaving at C(min(n, c)) a second."""
    weights, number, n = [1.0], 0.0, 0
    while n < workers or weights[-1] > 1e-14:
        n += 1
        weights.append(weights[-1] * rate / usl.capacity(min(n, workers)))
        number += n * weights[-1]
    return number / sum(weights)


@pytest.mark.parametrize("discipline", ["fifo", "ps"])
def test_it_is_the_birth_death_chain(discipline: str) -> None:
    """By Little's law, within 3 %: some six standard errors of 4 replications."""
    usl = Usl(contention=0.1, coherency=0.005)
    lines = serves(EXPONENTIAL, workers=6, discipline=discipline)
    lines += "\nusl = { contention = 0.1, coherency = 0.005 }"
    file = scenario(lines, rate=2.7, run="requests = 40000\nreplications = 4")
    expected = in_system(2.7, 6, usl) / 2.7
    (run,) = simulate(file).runs
    assert run.latency["mean"].value == pytest.approx(expected, rel=0.03)
    assert run.backends[0].offered == pytest.approx(2.7 / usl.capacity(6), rel=1e-9)


# --- what is said of it


def test_it_is_told_when_fewer_at_a_time_would_do_more() -> None:
    lines = serves(EXPONENTIAL, workers=32) + "\nusl = { contention = 0.1, coherency = 0.005 }"
    file = scenario(lines, lines, rate=4)
    best = file.modelled()[0][1].best
    assert best[1] == 13
    (told,) = (line for line in offered(file, ["random"]) if "at a time" in line)
    assert told == (
        "b:0, b:1: at most 4.362 requests/s, 13 at a time, and 3.532/s with every worker busy. "
        "A max_in_flight of 13 would keep it there."
    )
    assert file.utilisation == pytest.approx(4 / (2 * 3.532), rel=1e-3)
    three = file.model_copy(update={"run": file.run.model_copy(update={"balancers": 3})})
    (told,) = (line for line in offered(three, ["random"]) if "at a time" in line)
    assert told.endswith("A max_in_flight of 4 of each balancer would keep it there.")


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ("workers = 1\nusl = { contention = 0.1 }", "one worker has nobody beside it"),
        ("workers = 2\nusl = { contention = 0.0 }", "nothing slows down"),
        ("workers = 2\nusl = { contention = 2 }", "should be less than or equal to 1"),
        ("workers = 2\nusl = { coherence = 0.1 }", "did you mean 'coherency'"),
    ],
)
def test_a_slow_down_that_cannot_be_meant_is_a_mistake(lines: str, why: str) -> None:
    with pytest.raises(ConfigError, match=r"scenario:1\d backend\[0\].model.usl") as told:
        scenario(f"service = {EXPONENTIAL}\n{lines}")
    assert why in str(told.value)


def test_a_station_that_slows_has_faults_like_any_other() -> None:
    file = Scenario(
        backends=[
            {"address": "b:1", "model": {"service": "constant:1s", "workers": 2, "usl": USL}}
        ],
        faults=[{"kind": "slow", "backend": "b:1", "from": 0, "to": 8, "factor": 2}],
    )
    model = file.modelled()[0][1]
    place: Any = make(model, file.faults)
    place.arrive("a", 0.0, 1.0)
    place.arrive("b", 0.0, 1.0)
    pace = USL.capacity(2) / 2
    assert place.depart() == (pytest.approx(2 / pace), "a")
