"""Columns of what was seen: what is in flight, waits, visits."""

import math

import numpy as np

from lb.traces.observed import TIMEOUT, Observing
from sim.fit.seen import Seen


def observed() -> Seen:
    rows = Observing("some.log")
    first = rows.request(10.0, 10.5, key="x")
    second = rows.request(10.1, 10.4, key="y")
    third = rows.request(10.2, math.nan, outcome=TIMEOUT, key="x")
    fourth = rows.request(10.6, 10.7, key="x")
    rows.attempt(first, "a", 10.0, 10.01, 10.4, 10.5)
    rows.attempt(second, "b", 10.15, ended=10.4)
    rows.attempt(third, "a", 10.2, ended=10.3, outcome=TIMEOUT)
    rows.attempt(third, "b", 10.35, outcome=TIMEOUT)
    rows.attempt(fourth, "a", 10.6, 10.6, 10.7, 10.7)
    return Seen.of(rows.done())


def test_in_flight_counts_those_that_have_not_ended() -> None:
    seen = observed()
    assert seen.found.tolist() == [0, 0, 1, 1, 0]
    assert seen.in_flight(np.array([0.25, 0.45, 5.0])).tolist() == [[2, 1, 0], [1, 1, 1]]


def test_latencies_waits_and_shares_are_of_requests() -> None:
    seen = observed()
    assert np.allclose(seen.latency, [0.5, 0.3, 0.1])
    assert np.allclose(seen.wait, [0.0, 0.05, 0.0, 0.0])
    assert np.allclose(seen.shares, [2 / 3, 1 / 3])
    assert seen.tries.tolist() == [1, 1, 2, 1]
    assert seen.last.tolist() == [0, 1, 3, 4]


def test_visits_know_who_was_answered() -> None:
    a, b = (observed().visits(place) for place in (0, 1))
    assert a.answered.tolist() == [True, False, True]
    assert np.allclose(a.connected, [0.01, 0.2, 0.6])
    assert b.first_byte.tolist()[0] == b.ended.tolist()[0]
    assert math.isinf(b.ended[1])


def test_nothing_seen_is_no_mistake() -> None:
    seen = Seen.of(Observing("empty").done())
    assert len(seen) == len(seen.found) == 0
    assert seen.seconds == 0.0
