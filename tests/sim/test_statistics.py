"""Intervals, warm-up and comparisons, against SciPy and against the slow way."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sim.analysis.statistics import (
    BATCHES,
    QUANTILES,
    batched,
    compare,
    confidence,
    latency_estimates,
    latency_metrics,
    mser5,
    prediction,
    student_t,
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


# --- warm-up


def mser5_naive(sequence: np.ndarray) -> int:  # type: ignore[type-arg]
    """Every cut in the first half, its squared standard error computed from scratch."""
    means = [sequence[i : i + 5].mean() for i in range(0, len(sequence) - 4, 5)]
    if len(means) < 4:
        return 0
    cuts = range(len(means) // 2)
    return 5 * min(cuts, key=lambda cut: np.var(means[cut:]) / (len(means) - cut))


@pytest.mark.parametrize("n", [0, 1, 5, 19, 20, 21, 104, 1000, 1003])
@pytest.mark.parametrize("start", [0.0, 20.0])
def test_mser5_is_what_its_definition_says(n: int, start: float) -> None:
    sequence = np.random.default_rng(n).exponential(1.0, n) + start * np.exp(-np.arange(n) / 60)
    assert mser5(sequence) == mser5_naive(sequence)


def test_mser5_keeps_its_digits_far_from_zero() -> None:
    sequence = np.random.default_rng(1).normal(0, 1e-3, 500)
    sequence[:50] += 1
    assert mser5(sequence + 1e6) == mser5(sequence) == 50


def test_mser5_cuts_a_start_that_is_different() -> None:
    sequence = np.concatenate([np.full(200, 50.0), np.random.default_rng(2).normal(1, 0.1, 1800)])
    assert mser5(sequence) == 200


def test_mser5_cuts_at_most_half() -> None:
    sequence = np.concatenate([np.linspace(100, 0, 900), np.zeros(100)])
    assert mser5(sequence) < 500


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


# --- blocks


@pytest.mark.parametrize(("n", "lengths"), [(19, [19]), (20, [1] * 20), (45, [2] * 19 + [7])])
def test_batches_are_consecutive_and_lose_nothing(n: int, lengths: list[int]) -> None:
    cut = batched(np.arange(n, dtype=float))
    assert [len(batch) for batch in cut] == lengths
    assert np.concatenate(cut).tolist() == list(range(n))


def test_replications_are_the_blocks() -> None:
    samples = [np.array([1.0, 2.0, 3.0]), np.array([2.0, 3.0, 4.0]), np.array([6.0, 7.0, 8.0])]
    estimates, blocks = latency_estimates(samples, level=0.9)
    assert [block["p50"] for block in blocks] == [2.0, 3.0, 7.0]
    assert estimates["mean"] == confidence([2.0, 3.0, 7.0], 0.9)
    assert set(estimates) == {"mean", *QUANTILES}


def test_a_single_replication_is_cut_into_batches_and_keeps_its_own_value() -> None:
    sample = np.random.default_rng(3).exponential(1.0, 10_010)
    estimates, blocks = latency_estimates([sample])
    assert len(blocks) == BATCHES
    whole = latency_metrics(sample)
    for name, estimate in estimates.items():
        around = confidence([block[name] for block in blocks])
        assert estimate.value == whole[name]
        assert estimate.low is not None
        assert estimate.high is not None
        assert estimate.high - estimate.value == pytest.approx(around.half_width)
        assert estimate.value - estimate.low == pytest.approx(around.half_width)


def test_a_quantile_with_few_requests_beyond_it_is_not_told() -> None:
    rng = np.random.default_rng(4)
    few, _ = latency_estimates([rng.exponential(1.0, 450) for _ in range(2)])
    assert (few["p99"].needs, few["p999"].needs) == pytest.approx((10 / 9, 100 / 9))
    assert math.isnan(few["p99"].value)
    assert few["p99"].as_dict() is None
    assert few["p95"].needs is None
    many, _ = latency_estimates([rng.exponential(1.0, 500) for _ in range(2)])
    assert many["p99"].needs is None
    assert many["p99"].as_dict() is not None


def test_two_observations_have_an_interval_and_one_has_none() -> None:
    two = confidence([3.0, 5.0])
    low, high = stats.t.interval(0.95, 1, loc=4.0, scale=1.0)
    assert (two.low, two.high) == (pytest.approx(low), pytest.approx(high))
    assert confidence([3.0]).low is None


def test_a_short_single_replication_gives_no_interval() -> None:
    estimates, blocks = latency_estimates([np.array([1.0, 2.0])])
    assert len(blocks) == 1
    assert (estimates["mean"].value, estimates["mean"].low) == (1.5, None)


# --- comparisons


def test_a_comparison_takes_blocks_in_pairs() -> None:
    first, second = [1.0, 20.0, 300.0], [1.5, 20.6, 300.4]
    row = compare("p99", "x", "y", first, second)
    assert (row.metric, row.a, row.b) == ("p99", "x", "y")
    assert row.difference.value == pytest.approx(0.5)
    assert row.difference.half_width == pytest.approx(confidence([0.5, 0.6, 0.4]).half_width)
    assert row.distinguishable


@pytest.mark.parametrize(
    ("second", "distinguishable"),
    [([2.0, 2.1, 1.9], True), ([0.0, 0.1, -0.1], True), ([1.5, 0.4, 1.2], False), ([2.0], False)],
)
def test_only_an_interval_without_zero_distinguishes(
    second: list[float], distinguishable: bool
) -> None:
    row = compare("mean", "x", "y", [1.0] * len(second), second)
    assert row.distinguishable is distinguishable


def test_equal_algorithms_are_rarely_told_apart() -> None:
    rng, runs = np.random.default_rng(SEED), 400
    told = 0
    for _ in range(runs):
        noise = rng.normal(0, 1, (2, 10))
        told += compare("mean", "x", "y", noise[0].tolist(), noise[1].tolist()).distinguishable
    low, high = binomial_band(runs, 0.05)
    assert low <= told <= high
