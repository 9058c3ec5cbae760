"""Quantiles, Student's t and the intervals that rest on it alone, against SciPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sim.analysis.statistics import (
    QUANTILES,
    confidence,
    latency_metrics,
    prediction,
    quantile,
    student_t,
    two_sided,
)

SEED = 20261123


# --- Student's t


@pytest.mark.parametrize("degrees", [*range(1, 31), 39, 60, 99, 100, 499, 1000])
@pytest.mark.parametrize("probability", [0.501, 0.6, 0.9, 0.95, 0.975, 0.995, 0.9995, 0.99999])
def test_quantiles_of_students_t(probability: float, degrees: int) -> None:
    expected = stats.t.ppf(probability, degrees)
    assert student_t(probability, degrees) == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize(
    ("probability", "degrees"), [(0.5, 4), (0.3, 4), (1.0, 4), (1.5, 4), (0.975, 0)]
)
def test_what_has_no_quantile(probability: float, degrees: int) -> None:
    with pytest.raises(ValueError, match=r"0\.5 < probability < 1"):
        student_t(probability, degrees)


@pytest.mark.parametrize("degrees", [1, 2, 4, 19, 300])
@pytest.mark.parametrize("t", [-30.0, -2.0, 0.0, 0.3, 1.96, 8.0])
def test_how_likely_a_t_is_so_far_from_zero(t: float, degrees: int) -> None:
    assert two_sided(t, degrees) == pytest.approx(2 * stats.t.sf(abs(t), degrees), abs=1e-12)


# --- quantiles


@given(st.lists(st.floats(0, 1e3), min_size=1, max_size=200))
def test_quantiles_interpolate_between_order_statistics(values: list[float]) -> None:
    ordered, metrics = sorted(values), latency_metrics(np.array(values))
    assert metrics["mean"] == pytest.approx(math.fsum(values) / len(values), abs=1e-12)
    for name, q in QUANTILES.items():
        at = q * (len(ordered) - 1)
        low, high = ordered[math.floor(at)], ordered[math.ceil(at)]
        assert metrics[name] == pytest.approx(low + (high - low) * (at % 1), abs=1e-9)


def test_no_sample_no_number() -> None:
    metrics = latency_metrics(np.array([]))
    assert set(metrics) == {"mean", "p50", "p90", "p95", "p99", "p999"}
    assert all(math.isnan(value) for value in metrics.values())


# --- intervals


@pytest.mark.parametrize("level", [0.9, 0.95, 0.999])
def test_an_interval_is_students(level: float) -> None:
    values = [1.0, 3.0, 4.0, 8.0]
    estimate = confidence(values, level)
    low, high = stats.t.interval(level, 3, loc=4.0, scale=stats.sem(values))
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((4.0, low, high))
    assert estimate.half_width == pytest.approx(high - 4.0)


def binomial_band(n: int, p: float) -> tuple[float, float]:
    """Where 99.9 % of counts fall."""
    low, high = stats.binom.interval(0.999, n, p)
    return float(low), float(high)


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_intervals_cover_the_mean_as_often_as_they_say(level: float) -> None:
    rng, runs = np.random.default_rng(SEED), 400
    hits = 0
    for _ in range(runs):
        estimate = confidence(rng.normal(5.0, 2.0, 10).tolist(), level)
        assert estimate.low is not None
        assert estimate.high is not None
        hits += estimate.low <= 5.0 <= estimate.high
    low, high = binomial_band(runs, level)
    assert low <= hits <= high


def test_predictions_cover_the_next_one_as_often_as_they_say() -> None:
    rng, runs = np.random.default_rng(SEED), 400
    hits = 0
    for _ in range(runs):
        *seen, following = rng.normal(5.0, 2.0, 11).tolist()
        estimate = prediction(seen)
        assert estimate.low is not None
        assert estimate.high is not None
        hits += estimate.low <= following <= estimate.high
    low, high = binomial_band(runs, 0.95)
    assert low <= hits <= high


@pytest.mark.parametrize("values", [[], [1.0], [1.0, math.nan], [1.0, math.inf]])
def test_too_little_to_say_is_said(values: list[float]) -> None:
    estimate = confidence(values)
    assert (estimate.low, estimate.high) == (None, None)
    assert math.isnan(estimate.half_width)


def test_two_observations_have_an_interval_and_one_has_none() -> None:
    two = confidence([3.0, 5.0])
    low, high = stats.t.interval(0.95, 1, loc=4.0, scale=1.0)
    assert (two.low, two.high) == (pytest.approx(low), pytest.approx(high))
    assert confidence([3.0]).low is None


@given(
    st.lists(st.floats(0, 1e6), min_size=1, max_size=40),
    st.one_of(st.sampled_from([0.0, 0.5, 1.0, *QUANTILES.values()]), st.floats(0, 1)),
)
def test_a_quantile_of_a_sorted_sample_is_numpys_to_the_last_bit(
    values: list[float], q: float
) -> None:
    ordered = np.array(sorted(values))
    assert quantile(ordered, q) == float(np.quantile(ordered, q))
