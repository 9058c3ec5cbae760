"""Comparisons: in pairs, and with the whole family in mind."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from sim.analysis.comparison import compare
from sim.analysis.intervals import Blocks
from sim.analysis.statistics import Estimate

METRICS = ("mean", "p99")


def blocks(*columns: list[float]) -> Blocks:
    """One column of figures for each of the metrics."""
    return [dict(zip(METRICS, row, strict=True)) for row in zip(*columns, strict=True)]


def test_blocks_are_taken_in_pairs() -> None:
    one = blocks([1.0, 20.0, 300.0], [1.0, 1.0, 1.0])
    other = blocks([1.5, 20.6, 300.4], [1.0, 1.0, 1.0])
    mean, p99 = compare({"x": one, "y": other}, METRICS)
    assert (mean.metric, mean.a, mean.b) == ("mean", "x", "y")
    assert mean.difference.value == pytest.approx(0.5)
    alone = stats.ttest_rel([1.5, 20.6, 300.4], [1.0, 20.0, 300.0]).pvalue
    assert mean.p == pytest.approx(2 * alone)  # the smaller of two
    assert mean.distinguishable
    assert (p99.difference.value, p99.p, p99.distinguishable) == (0.0, 1.0, False)


def test_it_is_holms_method() -> None:
    """Against the definition: the k-th smallest of m is held to m - k + 1 times its size."""
    rng = np.random.default_rng(3)
    families = {
        name: blocks(*(rng.normal(shift, 1, 12).tolist() for _ in METRICS))
        for name, shift in (("a", 0.0), ("b", 0.9), ("c", 1.6), ("d", 1.7))
    }
    rows = compare(families, METRICS)
    alone = {
        (m, a, b): stats.ttest_rel(
            [block[m] for block in families[a]], [block[m] for block in families[b]]
        ).pvalue
        for a, b in combinations(families, 2)
        for m in METRICS
    }
    worst = 0.0
    expected = {}
    for step, (key, p) in enumerate(sorted(alone.items(), key=lambda item: item[1])):
        worst = max(worst, min((len(alone) - step) * p, 1.0))
        expected[key] = worst
    found = {(row.metric, row.a, row.b): row for row in rows}
    assert {key: row.p for key, row in found.items()} == pytest.approx(expected)
    assert {row.distinguishable for row in rows} == {True, False}
    for row in rows:
        assert row.distinguishable is (row.p < 0.05)


def test_blocks_that_hang_together_say_less() -> None:
    rng = np.random.default_rng(1)
    two = {name: blocks(*rng.normal(size=(2, 10)).tolist()) for name in "xy"}
    (apart, _), (together, _) = compare(two, METRICS), compare(two, METRICS, 0.25)
    assert together.difference.half_width == pytest.approx(2 * apart.difference.half_width, rel=0.3)


@pytest.mark.parametrize("algorithms", [2, 3, 5])
def test_equals_are_told_apart_in_at_most_5_percent_of_comparisons(algorithms: int) -> None:
    """Whatever they share, and however their metrics hang together."""
    rng, runs, told = np.random.default_rng(20261123), 400, 0
    for _ in range(runs):
        shared = rng.exponential(3.0, 20)
        columns = {}
        for name in "abcde"[:algorithms]:
            mean = shared + rng.normal(0, 1, 20)
            columns[name] = blocks(mean.tolist(), (3 * mean + rng.normal(0, 1, 20)).tolist())
        told += any(row.distinguishable for row in compare(columns, METRICS))
    assert told <= stats.binom.ppf(0.999, runs, 0.05)


def test_what_cannot_be_told_is_no_part_of_the_family() -> None:
    one, other = ([1.0, 2.0, 1.5], [math.nan] * 3), ([2.0, 3.1, 2.4], [5.0] * 3)
    mean, p99 = compare({"x": blocks(*one), "y": blocks(*other)}, METRICS)
    assert mean.p == pytest.approx(stats.ttest_rel(other[0], one[0]).pvalue)
    assert math.isnan(p99.p)
    assert not p99.distinguishable
    assert p99.difference.as_dict() == {"value": None, "low": None, "high": None}


def test_one_block_tells_nothing_and_what_is_always_so_is_certain() -> None:
    (row, _) = compare({"x": blocks([1.0], [1.0]), "y": blocks([2.0], [1.0])}, METRICS)
    assert not row.distinguishable
    (row, _) = compare(
        {"x": blocks([1.0, 2.0], [1.0, 1.0]), "y": blocks([2.0, 3.0], [1.0, 1.0])}, METRICS
    )
    assert row.distinguishable
    assert row.p == 0


def test_two_figures_of_which_neither_can_be_told_cannot_be_told_apart() -> None:
    first, second = (
        blocks([1.0, 1.1, 1.0], [1.0, 1.1, 1.0]),
        blocks([2.0, 2.1, 2.2], [2.0, 2.1, 2.2]),
    )
    known, untold = Estimate(1.0, 0.9, 1.1), Estimate.beyond(4.0)
    figures = {"mean": known, "p99": untold}
    mean, p99 = compare({"x": first, "y": second}, METRICS, latency={"x": figures, "y": figures})
    assert mean.distinguishable
    assert not p99.distinguishable
    assert math.isnan(p99.p)
    one = {"x": figures, "y": {"mean": known, "p99": known}}
    assert compare({"x": first, "y": second}, METRICS, latency=one)[1].distinguishable
