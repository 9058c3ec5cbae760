"""Measured samples against predicted ones: what chance does between runs is not held against them.

Coverage is tried on M/M/1 at load 0.7, whose latencies hang together over hundreds of requests.
"""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy import stats

from sim.analysis.distances import Distance, distance, errors, fewest, upper
from sim.model.laws import Floats

RUNS, REQUESTS, LOAD = 12, 600, 0.7


def queue(rng: np.random.Generator, runs: int = RUNS, slower: float = 1.0) -> Floats:
    """Sojourns of M/M/1 (Lindley's recursion), a row for each run, in units of the mean service."""
    gaps = rng.exponential(1 / LOAD, (runs, REQUESTS + 300))
    work = rng.exponential(slower, gaps.shape)
    wait = np.zeros(runs)
    waits = np.empty_like(work)
    for k in range(work.shape[1]):
        waits[:, k] = wait
        wait = np.maximum(wait + work[:, k] - gaps[:, k], 0.0)
    return (waits + work)[:, 300:]


def test_it_is_kolmogorovs_distance() -> None:
    """Against the oracle's, of one sample with one: from the first to the last digit."""
    rng = np.random.default_rng(1)
    for _ in range(20):
        one, other = rng.exponential(1.0, 150), rng.exponential(1.5, 230)
        found = distance(one, [other])
        assert found.value == pytest.approx(stats.ks_2samp(one, other).statistic, abs=1e-12)
        assert math.isnan(found.bound)
        assert not found.judged


def test_it_says_where_it_is_largest() -> None:
    found = distance(np.array([1.0, 2.0, 3.0, 9.0]), [np.array([1.0, 2.0, 3.0, 4.0])] * 3)
    assert (found.value, found.at) == (0.25, 4.0)


@pytest.mark.parametrize("shift", [0.9, 1.1])
def test_a_sample_of_one_value_is_far_from_another_value(shift: float) -> None:
    constant = np.full(50, 0.01)
    found = distance(shift * constant, [constant] * 5)
    assert (found.value, found.bound) == (1.0, 0.0)
    assert not found.ok
    assert distance(shift * constant, [constant] * 5, tolerance=0.101).beyond == 0
    assert distance(shift * constant, [constant] * 5, tolerance=0.101).ok
    assert distance(shift * constant, [constant] * 5, tolerance=0.099).beyond == 1


def test_where_a_tolerance_ends_distance_begins() -> None:
    """Slower by a third of an exponential law's mean, of which a tenth is allowed."""
    at = np.sort(-np.log1p(-(np.arange(4000) + 0.5) / 4000))
    found = distance(1.3 * at, [at] * 3, tolerance=0.1)
    t = np.linspace(0, 8, 100_000)
    allowed = t + 0.1 * np.maximum(t, math.log(2))
    expected = float(np.max(np.exp(-allowed / 1.3) - np.exp(-t)))
    assert found.beyond == pytest.approx(expected, abs=2e-3)
    assert (
        found.beyond
        < found.value
        == pytest.approx(float(np.max(np.exp(-t / 1.3) - np.exp(-t))), abs=2e-3)
    )


def test_runs_as_predicted_are_within_their_bound_and_band_19_times_in_20() -> None:
    """300 runs, each with a prediction of its own: 272 to 296 are inside (binomial, 99.9 %).

    Twelve replications: the bound is Student's. The same of intervals of quantiles and mean.
    """
    rng = np.random.default_rng(20261129)
    inside = dict.fromkeys(("bound", "band", "mean", "p50", "p90", "p95"), 0)
    for _ in range(300):
        measured, *paper = queue(rng, RUNS + 1)
        found = distance(measured, paper)
        inside["bound"] += found.ok
        band = found.band
        inside["band"] += bool(((band.low <= band.measured) & (band.measured <= band.high)).all())
        told = errors(measured, paper)
        for name in ("mean", "p50", "p90", "p95"):
            inside[name] += told[name].low <= 0 <= told[name].high
    low, high = stats.binom(300, 0.95).interval(0.999)
    assert inside["band"] >= inside["bound"]
    for name, times in inside.items():
        assert low <= times <= (high if name != "band" else 300), (name, times)


def test_tables_for_independent_samples_would_find_honest_runs_guilty() -> None:
    """Why the bound is read from the replications: 1.358 / sqrt(n) is a third of it here."""
    rng = np.random.default_rng(5)
    measured, *paper = queue(rng, RUNS + 1)
    assert distance(measured, paper).bound > 2 * stats.kstwobign.ppf(0.95) / math.sqrt(REQUESTS)


def test_a_slower_server_is_found() -> None:
    rng = np.random.default_rng(7)
    found = [distance(queue(rng, 1, 1.4)[0], list(queue(rng)), tolerance=0.05) for _ in range(10)]
    assert sum(one.ok for one in found) <= 1


def test_with_enough_runs_the_bound_is_one_of_them() -> None:
    values = [float(k) for k in range(1, 20)]
    assert upper(values, 0.95) == 19.0
    assert upper([float(k) for k in range(1, 100)], 0.95) == 95.0
    assert upper(values, 0.99) > 19.0
    assert upper([0.0, 0.0, 0.0], 0.99) == 0.0
    assert math.isnan(upper([1.0]))


@pytest.mark.parametrize(
    ("count", "untold"),
    [(1, {"mean", "p50", "p90", "p95", "p99", "p999"}), (100, {"p99", "p999"}), (500, {"p999"})],
)
def test_figures_that_a_sample_cannot_carry_are_not_told(count: int, untold: set[str]) -> None:
    rng = np.random.default_rng(3)
    told = errors(rng.exponential(1.0, count), [rng.exponential(1.0, 900) for _ in range(5)])
    assert {name for name, one in told.items() if math.isnan(one.error)} == untold
    for name in untold:
        assert told[name].needs == fewest(name) > count
        assert told[name].as_dict()["measured"] is None
    assert {name: fewest(name) for name in told} == {
        "mean": 2,
        "p50": 10,
        "p90": 50,
        "p95": 100,
        "p99": 500,
        "p999": 5000,
    }


def test_an_error_is_relative_and_its_interval_is_around_it() -> None:
    rng = np.random.default_rng(4)
    paper = [rng.exponential(1.0, 2000) for _ in range(10)]
    found = errors(1.5 * rng.exponential(1.0, 2000), paper)
    for name in ("mean", "p50", "p90", "p95", "p99"):
        assert found[name].low < 0.5 < found[name].high, name
        assert found[name].low < found[name].error < found[name].high
        assert found[name].error == found[name].measured / found[name].predicted - 1


def empty(found: Distance) -> bool:
    return math.isnan(found.value) and not found.judged and found.ok and not len(found.band.at)


def test_nothing_is_said_of_nothing() -> None:
    nothing = np.empty(0)
    assert empty(distance(nothing, [np.ones(3)] * 3))
    assert empty(distance(np.ones(3), [nothing, nothing]))
    json.dumps(distance(nothing, []).as_dict(), allow_nan=False)
    assert {one.needs for one in errors(np.ones(9000), []).values()} == {0}
    assert errors(np.ones(9), [np.zeros(9)] * 3)["mean"].as_dict()["error"] is None


def test_in_json_a_band_is_short_and_strict() -> None:
    rng = np.random.default_rng(6)
    found = distance(rng.exponential(1.0, 5000), [rng.exponential(1.0, 5000) for _ in range(4)])
    document = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert list(document) == [
        *("value", "at", "bound", "level", "tolerance", "slack", "beyond", "ok", "band"),
    ]
    band = document["band"]
    assert {len(column) for column in band.values()} == {len(band["at"])}
    assert 40 <= len(band["at"]) <= 50
    for low, predicted, high in zip(band["low"], band["predicted"], band["high"], strict=True):
        assert 0 <= low <= predicted <= high <= 1
    assert band["at"] == sorted(band["at"])
    assert band["measured"][-1] == band["predicted"][-1] == 1
