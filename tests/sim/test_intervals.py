"""Latency figures: what is told, how far it may be off, and that this is kept."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from sim.analysis.intervals import CARRIES, estimate_together, latency_estimates, parts_of
from sim.analysis.memory import Memory
from sim.analysis.statistics import QUANTILES, latency_metrics
from tests.sim.queues import m_m_1, m_m_1_figures

SEED = 20261123
ALONE = Memory(1.0)
"""Of requests that have nothing to do with each other."""


# --- values


@pytest.mark.parametrize("lengths", [[5000], [4000, 4000], [3000, 5000, 4000]])
def test_values_are_those_of_all_requests_together(lengths: list[int]) -> None:
    """And so are the means of the blocks."""
    rng = np.random.default_rng(SEED)
    samples = [rng.exponential(1.0, n) for n in lengths]
    estimates, blocks = latency_estimates(samples)
    whole = latency_metrics(np.concatenate(samples))
    for name in ("mean", "p50", "p90", "p95"):
        told = estimates[name]
        assert told.value == pytest.approx(whole[name])
        assert np.mean([block[name] for block in blocks]) == pytest.approx(whole[name])
        assert told.low is not None
        assert told.high is not None
        assert 0 < told.low < told.value < told.high


def test_a_constant_is_certain() -> None:
    estimates, _ = latency_estimates([np.full(3000, 0.25)] * 4)
    for name in ("mean", "p50", "p95"):
        told = estimates[name]
        assert (told.low, told.value, told.high) == pytest.approx((0.25, 0.25, 0.25))


def test_nothing_says_nothing() -> None:
    estimates, blocks = latency_estimates([np.array([]), np.array([])])
    assert all(math.isnan(told.value) and told.needs is None for told in estimates.values())
    assert len(blocks) == 1


def test_very_little_says_very_little() -> None:
    estimates, _ = latency_estimates([np.array([1.0, 2.0])])
    assert estimates["mean"].value == 1.5
    assert estimates["mean"].low is None
    assert all(estimates[name].needs is not None for name in QUANTILES)
    estimates, _ = latency_estimates([np.array([1.0]), np.array([1e-9])])
    told = estimates["mean"]
    assert told.low is not None
    assert 0 <= told.low < told.value < (told.high or 0) < math.inf


@pytest.mark.parametrize("lengths", [[1], [1, 1], [1] * 5, [2, 1], [2] * 5, [3, 0, 1], [7] * 3])
@pytest.mark.parametrize("memory", [1.0, 1e4, math.inf])
@pytest.mark.parametrize("steady", [True, False])
def test_the_shortest_runs_are_told_too(lengths: list[int], memory: float, steady: bool) -> None:
    rng = np.random.default_rng(1)
    samples = {"x": [rng.exponential(1.0, n) for n in lengths]}
    estimates, blocks, _ = estimate_together(samples, Memory(memory), steady=steady)
    assert estimates["x"]["mean"].value == pytest.approx(np.concatenate(samples["x"]).mean())
    assert all(estimates["x"][name].needs is not None for name in ("p90", "p99", "p999"))
    assert blocks["x"]


# --- what is told


def test_a_quantile_with_few_requests_beyond_it_is_not_told() -> None:
    rng = np.random.default_rng(4)
    for n, told in ((450, {"p50", "p90", "p95"}), (2000, {"p50", "p90", "p95", "p99"})):
        samples = {"x": [rng.exponential(1.0, n) for _ in range(2)]}
        (estimates,) = estimate_together(samples, ALONE, steady=True)[0].values()
        assert {name for name in QUANTILES if estimates[name].needs is None} >= told
        beyond = estimates["p999"]
        assert beyond.needs is not None
        assert beyond.as_dict() is None
        assert math.isnan(beyond.value)


def test_it_is_said_how_many_requests_it_takes() -> None:
    """Of requests of which 50 tell as much as one, 20,000 are 400, and p999 takes 5 of 5,000."""
    samples = {"x": list(m_m_1(0.8, (2, 10_000), SEED))}
    (estimates,) = estimate_together(samples, Memory(82.0), steady=True)[0].values()
    assert estimates["p95"].needs is None
    assert estimates["p999"].needs == pytest.approx(CARRIES * 82 * 1000 / 20_000, rel=0.5)


def test_what_is_told_does_not_follow_the_luck_of_a_run() -> None:
    """At one load the same figures are told nearly always: a choice would be one of low runs."""
    told = []
    for seed in range(60):
        samples = {"x": list(m_m_1(0.8, (10, 2000), seed))}
        (estimates,) = estimate_together(samples, Memory(82.0), steady=True)[0].values()
        told.append({name for name in QUANTILES if estimates[name].needs is None})
    assert sum(names == {"p50", "p90", "p95"} for names in told) >= 57


# --- blocks


@pytest.mark.parametrize(
    ("replications", "length", "memory", "parts"),
    [
        (5, 20_000, 1.0, 4),
        (10, 20_000, 1.0, 2),
        (30, 20_000, 1.0, 1),
        (1, 20_000, 1.0, 20),
        (1, 2_000, 80.0, 5),  # five at least
        (5, 2_000, 80.0, 4),
        (5, 1_000, 80.0, 2),  # ten in all
        (5, 20_000, 1_000.0, 4),
        (2, 3, 1.0, 1),
        (1, 0, 1.0, 1),
    ],
)
def test_blocks_are_long_if_there_are_enough(
    replications: int, length: int, memory: float, parts: int
) -> None:
    samples = [np.ones(length)] * replications
    assert parts_of(samples, Memory(memory)) == parts


# --- coverage


@pytest.mark.parametrize(
    ("load", "replications", "requests"),
    [(0.8, 10, 2000), (0.8, 5, 2000), (0.5, 5, 2000), (0.5, 1, 20_000)],
)
def test_intervals_cover_what_is_true_as_often_as_they_say(
    load: float, replications: int, requests: int
) -> None:
    """Of 200 runs from an empty queue, whose beginning is cut; within 99.9 % of binomial counts."""
    true, runs = m_m_1_figures(load), 200
    memory = Memory(2 * (load**2 + 1) / (1 - load) ** 2)
    hits, told = dict.fromkeys(true, 0), dict.fromkeys(true, 0)
    for seed in range(runs):
        paths = m_m_1(load, (replications, requests), SEED + seed)
        samples = {"x": list(paths[:, requests // 8 :])}
        (estimates,) = estimate_together(samples, memory, steady=True)[0].values()
        for name, estimate in estimates.items():
            if estimate.low is not None and estimate.high is not None:
                told[name] += 1
                hits[name] += estimate.low <= true[name] <= estimate.high
    for name in ("mean", "p50", "p95"):
        assert told[name] > runs / 2, name
    for name in true:
        low, high = stats.binom.interval(0.999, told[name], 0.95)
        assert low <= hits[name] <= max(high, 0.99 * told[name]), name


def test_one_run_without_a_steady_state_has_no_interval() -> None:
    ramp = [np.arange(1.0, 5000.0)]
    one, several = (
        estimate_together({"x": ramp * n}, Memory(math.inf), steady=False)[0]["x"] for n in (1, 3)
    )
    assert (one["mean"].value, one["mean"].low, one["p99"].low) == (2500.0, None, None)
    assert several["mean"].low < several["mean"].value == 2500.0
    assert one["p99"].needs is None  # 50 requests are beyond it
    assert one["p999"].needs == pytest.approx(10 / 4.999)


def test_replications_that_chance_made_alike_are_not_certain() -> None:
    """Two of them with as many beyond the quantile, and one mean."""
    rng = np.random.default_rng(3)
    sample = rng.permutation(np.arange(1.0, 2001.0))
    mirrored = 2001.0 - sample
    found = estimate_together({"x": [sample, mirrored]}, Memory(math.inf), steady=False)[0]["x"]
    for name in ("mean", "p50", "p90", "p99"):
        assert found[name].low < found[name].value < found[name].high


def test_where_backlogs_grow_replications_count_and_not_requests() -> None:
    ramps = [np.arange(5000.0) * (1 + 0.1 * i) for i in range(5)]
    few, many = (
        estimate_together({"x": ramps * n}, Memory(math.inf), steady=False, growing=True)[0]["x"]
        for n in (1, 4)
    )
    assert [few[name].needs for name in ("p50", "p90", "p95")] == [None, None, pytest.approx(2)]
    assert few["p99"].needs == pytest.approx(10)
    assert many["p95"].needs is None
    assert many["p99"].needs == pytest.approx(2.5)


def test_the_mean_of_wild_work_takes_more_requests_than_it_is_wild() -> None:
    sample = [np.random.default_rng(i).exponential(1.0, 2000) for i in range(5)]
    tame, wild = (
        estimate_together({"x": sample}, Memory(1.0, wild), steady=True)[0]["x"]
        for wild in (15.0, 1e4)
    )
    assert tame["mean"].needs is None
    assert wild["mean"].needs == pytest.approx(20.0)
    assert wild["p50"].needs is None
