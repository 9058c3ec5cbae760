"""Durations, counted: no bound and no quantile is off by more than is said."""

from __future__ import annotations

import pickle
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.measures import BOUNDS, Histogram, Spread
from lb.measures.histogram import BITS, middle
from sim.analysis import histogram as paper

durations = st.lists(st.floats(0, 1e4), max_size=60)


def counted(seconds: list[float]) -> Histogram:
    found = Histogram()
    found.take(seconds)
    return found


def spread(seconds: list[float]) -> Spread:
    found = Spread()
    found.take(seconds)
    return found


@given(durations)
def test_what_is_at_a_bound_is_not_above_it(seconds: list[float]) -> None:
    seconds = [*seconds, *BOUNDS]
    found = counted(seconds)
    assert found.cumulative() == [
        *(sum(it <= bound for it in seconds) for bound in BOUNDS),
        len(seconds),
    ]
    assert found.sum == sum(seconds)


@given(durations, durations)
def test_two_together_are_as_if_one_had_counted_all(one: list[float], other: list[float]) -> None:
    both, whole = counted(one), counted(one + other)
    both.add(counted(other))
    assert both.buckets == whole.buckets
    assert both.sum == pytest.approx(whole.sum)
    fine = spread(one)
    fine.add(spread(other))
    assert fine == spread(one + other)


def test_a_quantile_is_off_by_less_than_half_a_percent() -> None:
    rng = Random(3)
    seconds = sorted(rng.lognormvariate(-4, 2) for _ in range(20_000))
    found = spread(seconds)
    for share in (0.001, 0.5, 0.9, 0.99, 0.999):
        assert found.quantile(share) == pytest.approx(seconds[int(share * 20_000) - 1], rel=0.005)
    assert found.quantile(1) == pytest.approx(seconds[-1], rel=0.005)


def test_of_nothing_there_is_no_quantile() -> None:
    assert Spread().quantile(0.5) is None
    assert spread([0.0]).quantile(0.5) == 0.0


def test_buckets_are_those_of_the_simulator() -> None:
    assert BITS == paper.BITS
    rng = Random(4)
    seconds = [rng.lognormvariate(-4, 3) for _ in range(500)]
    middles = paper.middles()[paper.bucket_of(np.array(seconds))]
    found = [middle(next(iter(spread([it]).fine))) for it in seconds]
    assert found == middles.tolist()


def test_it_travels_between_processes() -> None:
    found = counted([0.01, 0.2, 3.0])
    assert pickle.loads(pickle.dumps(found)) == found
    assert repr(found) == "<Histogram of 3, 3.21 s>"
    assert found != counted([0.01])
    assert found != 3
    fine = spread([0.01, 0.2, 3.0])
    assert pickle.loads(pickle.dumps(fine)) == fine.copy()
    assert repr(fine) == "<Spread of 3>"
    assert fine != 3
