"""A replication's record: what is counted, who took a place, and what a warm-up leaves of it."""

from __future__ import annotations

from array import array
from math import inf, nan

import numpy as np
import pytest

from lb.balancing import Outcome, Why
from sim.analysis.record import Record, binned, occupancy, time_average

LOST = [
    (0, 1.0, 3.0, 1.0, 5.0),  # given up at 3, its work went on until 5
    (0, 2.0, 2.0, 2.0, 2.0),  # turned away at the door
    (1, 2.0, 4.0, 2.0, inf),  # its work outlasts the run
]
"""Backend, started, ended, reached, left."""


def record() -> Record:
    """Four requests, of which the third fails; a tenth of a second each way."""
    return Record.of(
        arrived=array("d", [0.0, 1.0, 2.0, 3.0]),
        delays=np.array([[0.1] * 4, [0.2] * 4]),
        backend=array("q", [1, 0, 0, 1]),
        started=array("d", [0.5, 1.0, 2.0, 3.0]),
        ended=array("d", [2.5, 2.0, nan, 4.0]),
        refused=[(2, 2.5, Outcome.RESET), (2, 3.0, Why.QUEUE_TIMEOUT), (2, 3.0, Why.QUEUE_FULL)],
        retried=2,
        lost=LOST,
    )


def test_only_what_succeeded_has_a_latency() -> None:
    seen = record()
    assert (seen.requests, seen.completed) == (4, 3)
    assert seen.latency.tolist() == [2.5, 1.0, 1.0]
    assert seen.reached.tolist() == pytest.approx([0.6, 1.1, 3.1])
    assert seen.left.tolist() == pytest.approx([2.3, 1.8, 3.8])
    assert seen.until == 3.0
    assert seen.picks.tolist() == [1, 0, 1]


def test_each_refusal_is_counted_once_for_what_it_was() -> None:
    seen = record()
    assert (seen.failed, seen.timed_out, seen.rejected, seen.retried) == (3, 1, 1, 2)
    assert seen.refused == {"reset": 1, "queue_timeout": 1, "queue_full": 1}


def test_without_delays_an_attempt_is_there_at_once() -> None:
    times = array("d", [1.0])
    seen = Record.of(times, None, array("q", [0]), times, array("d", [2.0]))
    assert (seen.reached.tolist(), seen.left.tolist()) == ([1.0], [2.0])
    assert (seen.failed, seen.timed_out, seen.rejected, seen.retried) == (0, 0, 0, 0)


def test_nothing_was_refused_that_nobody_speaks_of() -> None:
    none, who = np.empty(0), np.empty(0, np.int64)
    seen = Record(0, none, none, none, who, none, none, until=0.0)
    assert (seen.failed, seen.timed_out, seen.rejected, seen.retried) == (0, 0, 0, 0)
    assert len(seen.lost.backend) == 0


def test_nothing_is_refused_or_lost_unless_it_is_said() -> None:
    none = np.array([])
    seen = Record(0, none, none, none, none.astype(int), none, none, 0.0)
    assert (seen.failed, seen.rejected, seen.timed_out, seen.retried) == (0, 0, 0, 0)
    assert len(seen.lost.backend) == 0


def test_a_run_of_nothing_is_a_record_too() -> None:
    nothing = array("d")
    seen = Record.of(nothing, None, array("q"), nothing, nothing)
    assert (seen.requests, seen.completed, seen.until) == (0, 0, 0.0)


def test_whoever_was_let_in_entered_even_if_nobody_waited_for_the_answer() -> None:
    seen = record()
    assert seen.entered(0) == 2, "one answered, one given up; the one at the door did not"
    assert seen.entered(1) == 3


def test_the_lost_took_a_place_all_the_same() -> None:
    seen = record()
    assert [sorted(times.tolist()) for times in seen.in_flight(0)] == [[1, 1, 2], [2, 2, 3]]
    assert sorted(seen.present(1)[1].tolist()) == pytest.approx([2.3, 3.8, inf])
    assert len(seen.in_flight()[0]) == 6


def test_a_warm_up_takes_those_that_arrived_before_it() -> None:
    left = record().after(1.0)
    assert left.arrived.tolist() == [1.0, 3.0]
    assert left.backend.tolist() == [0, 1]
    assert left.requests == 4
    assert record().after(1.001).arrived.tolist() == [3.0]


def test_the_average_over_a_time_is_that_of_its_steps() -> None:
    times, numbers = occupancy(np.array([0.0, 1.0]), np.array([2.0, 4.0]))
    assert times.tolist() == [0, 1, 2, 4]
    assert numbers.tolist() == [1, 2, 1, 0]
    assert time_average(times, numbers, 0.0, 4.0) == 5 / 4
    assert time_average(times, numbers, 1.5, 2.5) == 1.5
    assert time_average(times, numbers, 3.0, 3.0) == 0.0
    assert time_average(times[:0], numbers[:0], 0.0, 1.0) == 0.0


def test_a_bin_has_the_mean_the_least_and_the_most_of_what_lasts_in_it() -> None:
    times, numbers = occupancy(np.array([0.5, 1.0, 1.0]), np.array([1.0, 1.5, 3.0]))
    mean, least, most = binned(times, numbers, np.array([0.0, 1.0, 2.0, 4.0]))
    assert mean.tolist() == [0.5, 1.5, 0.5]
    assert least.tolist() == [0, 1, 0]
    assert most.tolist() == [1, 2, 1]
