"""What a late machine may have added to a request."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.live.lateness import WAKES, Lateness


@given(
    st.lists(st.floats(0, 5), min_size=1, max_size=60),
    st.lists(st.tuples(st.integers(0, 59), st.floats(0, 30)), min_size=1),
)
def test_it_is_the_longest_wait_and_the_usual_one_of_the_meantime(
    late: list[float], requests: list[tuple[int, float]]
) -> None:
    lateness = Lateness(np.arange(len(late), dtype=float), np.array(late))
    began = np.array([float(min(at, len(late) - 1)) for at, _ in requests])
    ended = began + np.array([lasted for _, lasted in requests])
    found = lateness.within(began, ended)
    for value, first, last in zip(found, began, ended, strict=True):
        meanwhile = [wait for at, wait in enumerate(late) if first <= at <= last]
        expected = max(meanwhile) + (WAKES - 1) * sum(meanwhile) / len(meanwhile)
        assert value == pytest.approx(expected, abs=1e-9)


def test_a_run_without_requests_adds_nothing() -> None:
    empty = np.empty(0)
    lateness = Lateness(empty, empty)
    assert lateness.within(np.array([1.0]), np.array([2.0])).tolist() == [0.0]
    assert lateness.within(empty, empty).tolist() == []


def test_only_more_than_what_is_tolerated_counts() -> None:
    lateness = Lateness(np.arange(100.0), np.full(100, 0.01))
    assert lateness.beyond({"p50": 0.01, "mean": 0.009, "p99": 1.0}) == ["mean"]
