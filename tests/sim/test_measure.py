"""What is read off a record: occupancy, its average, its bins, against counting by hand."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.config import Scenario
from sim import Schedule, simulate
from sim.analysis.record import Record, binned, occupancy, time_average
from sim.engine.world import World
from sim.model.laws import Floats
from tests.sim.scenarios import CONSTANT, scenario, serves

# Quarters of a second add up exactly, and make many things happen at one moment.
MOMENT = st.integers(0, 40).map(lambda quarters: quarters / 4)
STAYS = st.lists(st.tuples(MOMENT, MOMENT).map(sorted), max_size=12)
FINE = np.arange(0, 12, 1 / 16) + 1 / 32
"""Moments between the quarters, sixteen a second."""


def entered_and_left(stays: list[list[float]]) -> tuple[Floats, Floats]:
    rows = np.array(stays, dtype=float).reshape(-1, 2)
    return rows[:, 0], rows[:, 1]


def inside(stays: list[list[float]], moment: float) -> int:
    return sum(entered <= moment < left for entered, left in stays)


def counted(stays: list[list[float]], since: float, until: float) -> list[int]:
    return [inside(stays, moment) for moment in FINE if since < moment < until]


@given(STAYS)
def test_occupancy_is_how_many_have_come_and_not_gone(stays: list[list[float]]) -> None:
    times, numbers = occupancy(*entered_and_left(stays))
    assert (np.diff(times) >= 0).all()
    for moment in FINE:
        at = np.searchsorted(times, moment, side="right")
        assert (numbers[at - 1] if at else 0) == inside(stays, moment)
    assert not len(numbers) or numbers[-1] == 0


@given(STAYS, MOMENT, MOMENT)
def test_a_time_average_is_the_area_over_the_time(
    stays: list[list[float]], since: float, until: float
) -> None:
    average = time_average(*occupancy(*entered_and_left(stays)), since, until)
    by_hand = counted(stays, since, until)
    assert average == pytest.approx(np.mean(by_hand) if by_hand else 0.0)


def test_an_average_over_no_time_or_of_nobody_is_zero() -> None:
    nobody = np.empty(0), np.empty(0, np.int64)
    someone = np.array([0.0, 5.0]), np.array([1, 0])
    assert time_average(*nobody, 0, 1) == 0
    assert time_average(*someone, 3, 3) == time_average(*someone, 4, 3) == 0
    assert time_average(*someone, 0, 10) == 0.5
    assert time_average(*someone, 6, 10) == 0


@given(STAYS, st.sets(MOMENT, min_size=2, max_size=6))
def test_bins_hold_mean_least_and_most(stays: list[list[float]], cuts: set[float]) -> None:
    edges = np.array(sorted(cuts))
    # A picture has someone in flight at some time.
    times, numbers = occupancy(*entered_and_left([*stays, [0.0, 10.0]]))
    mean, low, high = binned(times, numbers, edges)
    for i, (since, until) in enumerate(pairwise(edges)):
        by_hand = counted([*stays, [0.0, 10.0]], since, until)
        assert mean[i] == pytest.approx(np.mean(by_hand))
        assert (low[i], high[i]) == (min(by_hand), max(by_hand))


# --- records


def replicated(file: Scenario) -> Record:
    return World(file, Schedule.draw(file)).replicate()


def test_warm_up_is_cut_by_arrival_and_counts_stay() -> None:
    file = scenario(serves(CONSTANT, queue=1), rate=2, process="deterministic", run="requests = 9")
    record = replicated(file)
    kept = record.after(2.5)
    assert kept.arrived.tolist() == [at for at in record.arrived.tolist() if at >= 2.5]
    assert len(kept.latency) == len(kept.backend) == kept.completed == len(kept.arrived)
    assert (kept.requests, kept.failed, kept.until) == (9, record.failed, record.until)
    assert record.failed > 0


def spans(since: Floats, until: Floats) -> list[tuple[float, float]]:
    return sorted(zip(since.tolist(), until.tolist(), strict=True))


GIVE_UP = '[retries]\nmax = 0\n[timeouts]\nresponse = "500ms"'
NETWORK = 'network = { law = "constant", mean = "100ms" }'


@pytest.mark.parametrize(
    ("traffic", "utilisation", "in_flight"),
    [("", 0.5, 0.25), (NETWORK, 0.5, 0.25)],
)
def test_work_for_a_client_that_gave_up_is_work(
    traffic: str, utilisation: float, in_flight: float
) -> None:
    """Every two seconds one that takes one second; each is given up after half a second."""
    file = scenario(
        serves(CONSTANT),
        rate=0.5,
        process="deterministic",
        run="requests = 1000",
        traffic=traffic,
        more=GIVE_UP,
    )
    run = simulate(file).runs[0]
    (backend,) = run.backends
    assert (run.completed, run.timed_out) == (0, 1000)
    assert backend.utilisation == pytest.approx(0.5, rel=0.01)
    assert backend.mean_in_flight == pytest.approx(0.25, rel=0.01)


def test_both_attempts_of_a_retried_request_take_a_place() -> None:
    """A slow backend works ten seconds on what was taken from it after three."""
    file = scenario(
        serves('{ law = "deterministic", mean = "10s" }'),
        serves(CONSTANT),
        rate=0.1,
        process="deterministic",
        run="requests = 2",
        more='[timeouts]\nresponse = "3s"',
    )
    record = replicated(file)  # at 10 and 20, both to the slow one first
    assert record.retried == 2
    assert spans(*record.in_flight(0)) == [(10, 13), (20, 23)]
    assert spans(*record.present(0)) == [(10, 20), (20, np.inf)]  # 30, but the run is over
    assert spans(*record.in_flight(1)) == spans(*record.present(1)) == [(13, 14), (23, 24)]
    assert spans(*record.in_flight()) == [(10, 13), (13, 14), (20, 23), (23, 24)]


def test_one_turned_away_by_a_full_station_is_in_flight_and_never_at_work() -> None:
    """At 0.5 one begins; at 1 there is no place, and the answer is back at 1.2; at 1.5 there is."""
    file = scenario(
        serves('{ law = "deterministic", mean = "900ms" }', queue=0),
        rate=2,
        process="deterministic",
        run="requests = 3",
        traffic=NETWORK,
    )
    record = replicated(file)
    assert (record.completed, record.failed) == (2, 1)
    assert record.lost.started.tolist() == [1.0]
    assert record.lost.ended == pytest.approx([1.2])
    assert record.lost.reached == record.lost.left == pytest.approx([1.1])
