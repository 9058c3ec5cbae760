"""Where one more run lies: how often it does, and what is seldom."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from sim.analysis.forecast import forecast, forecast_count, level_of_each
from sim.analysis.statistics import Estimate


def test_the_family_holds_when_each_of_its_lines_does() -> None:
    assert level_of_each(1) == 0.95
    assert level_of_each(10) == pytest.approx(0.995)
    assert level_of_each(0) == 0.95


def test_students_interval_for_one_more() -> None:
    values = [1.0, 2.0, 4.0, 3.0, 2.5]
    values = [-value for value in values]
    half = stats.t.ppf(0.975, 4) * np.std(values, ddof=1) * (1 + 1 / 5) ** 0.5
    found = forecast(values, 0.95)
    assert (found.low, found.high) == pytest.approx((-2.5 - half, -2.5 + half))


def test_what_is_positive_may_be_skewed() -> None:
    values = [1.0, 2.0, 4.0, 3.0, 2.5]
    logs = np.log(values)
    half = stats.t.ppf(0.975, 4) * np.std(logs, ddof=1) * (1 + 1 / 5) ** 0.5
    assert forecast(values, 0.95).high == pytest.approx(np.exp(logs.mean() + half))
    assert np.isfinite(forecast([1e-90, 1e90], 0.95).high or np.inf)


def test_what_is_never_below_zero_will_not_be() -> None:
    assert forecast([0.0, 5.0, 0.0], 0.95).low == 0.0
    assert (forecast([-1.0, 5.0, 0.0], 0.95).low or 0.0) < -1.0


def test_what_was_seen_once_may_be_seen_again() -> None:
    values = [10.0] * 29 + [15.0]
    assert forecast(values, 0.95).high == 15.0
    assert stats.t.ppf(0.975, 29) * np.std(values, ddof=1) < 2


def test_nothing_to_forecast_from() -> None:
    assert forecast([2.0], 0.95) == Estimate(2.0, None, None)
    assert forecast([1.0, np.nan], 0.95).high is None
    assert forecast_count([5], 0.95) == Estimate(5.0, None, None)


@pytest.mark.parametrize("level", [0.95, 0.995])
@pytest.mark.parametrize("seen", [[0] * 30, [0] * 29 + [1], [0] * 20 + [2] * 10, [0]])
def test_rare_events_by_scipy(seen: list[int], level: float) -> None:
    n = len(seen)
    law = stats.nbinom(sum(seen) + 0.5, n / (n + 1))
    found = forecast_count(seen, level)
    assert found.high == max(law.ppf((1 + level) / 2), found.high or 0)
    assert found.low is not None
    assert found.low <= law.ppf((1 - level) / 2)


def test_none_in_thirty_runs_allows_for_one() -> None:
    found = forecast_count([0] * 30, level_of_each(5))
    assert (found.value, found.low, found.high) == (0.0, 0.0, 1.0)


@pytest.mark.parametrize("mean", [0.02, 0.3, 3.0, 300.0])
def test_counts_of_one_more_run_lie_within(mean: float) -> None:
    """4,000 forecasts of Poisson counts; fewer than 95 % within has a chance of 1 in 1,000."""
    rng = np.random.default_rng(7)
    within = 0
    for _ in range(4000):
        *runs, last = rng.poisson(mean, 31).tolist()
        found = forecast_count(runs, 0.95)
        assert found.low is not None
        assert found.high is not None
        within += found.low <= last <= found.high
    assert within >= stats.binom.ppf(0.001, 4000, 0.95)


@pytest.mark.no_cover
@pytest.mark.parametrize("law", ["normal", "exponential", "lognormal"])
def test_one_more_run_lies_within_all_its_intervals(law: str) -> None:
    """Five independent figures of 31 runs, skewed ones too, 2,000 times; as above."""
    rng = np.random.default_rng(8)
    draws = getattr(rng, law)(size=(2000, 5, 31))
    level = level_of_each(5)
    within = 0
    for figures in draws:
        found = [(forecast(row[:30].tolist(), level), row[30]) for row in figures]
        within += all((e.low or -np.inf) <= last <= (e.high or np.inf) for e, last in found)
    assert within >= stats.binom.ppf(0.001, 2000, 0.95)
