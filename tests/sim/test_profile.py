"""Arrivals at a rate that changes with time."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lb.config import Profile, Scenario
from sim.model.arrivals import Schedule
from sim.model.processes import arrival_times
from tests.sim.scenarios import EXPONENTIAL, serves

SIGNIFICANCE = 0.001
CROWD = (("0s", 150), ("10s", 1500), ("12s", 150))
RAMP = (("0s", 50), ("20s", 150))


def profile(*points: tuple[str, float], shape: str = "linear") -> Profile:
    return Profile.model_validate({"process": "profile", "points": points, "shape": shape})


def scenario(points: str, run: str, shape: str = "linear") -> Scenario:
    arrivals = f'{{ process = "profile", points = {points}, shape = "{shape}" }}'
    return Scenario.parse(
        f'[traffic]\narrivals = {arrivals}\n[run]\n{run}\n[[backend]]\naddress = "b:1"\n'
        f"[backend.model]\n{serves(EXPONENTIAL)}"
    )


def rate_at(process: Profile, at: float) -> float:
    """What the file says, read off its points."""
    (first, _), *_ = process.points
    times, rates = zip(*process.points, strict=True)
    if process.shape == "linear":
        return float(np.interp(at, times, rates))
    return rates[0] if at < first else rates[np.searchsorted(times, at, side="right") - 1]


@pytest.mark.parametrize("shape", ["linear", "step"])
@pytest.mark.parametrize("points", [CROWD, RAMP, (("5s", 10), ("6s", 0), ("9s", 40))])
def test_numbers_of_arrivals_are_poisson_of_the_area_below_the_rate(
    points: tuple[tuple[str, float], ...], shape: str
) -> None:
    process = profile(*points, shape=shape)
    rng, runs = np.random.default_rng(1), 200
    edges = np.linspace(0.0, 24.0, 25)
    area = [
        np.mean([rate_at(process, t) for t in np.linspace(a, b, 2001)[:-1] + 2.5e-4])
        for a, b in pairwise(edges)
    ]
    counts = np.array(
        [np.histogram(arrival_times(process, rng, 12_000), edges)[0] for _ in range(runs)]
    )
    for seen, expected in zip(counts.T, area, strict=True):
        assert abs(seen.mean() - expected) <= 4.5 * np.sqrt(expected / runs) + 1e-3 * expected
        if expected > 5:
            dispersion = seen.var(ddof=1) / seen.mean() * (runs - 1)
            assert stats.chi2(runs - 1).cdf(dispersion) > SIGNIFICANCE / 2
            assert stats.chi2(runs - 1).sf(dispersion) > SIGNIFICANCE / 2


def test_a_profile_of_one_point_is_a_poisson_process() -> None:
    times = arrival_times(profile(("3s", 4)), np.random.default_rng(1), 50_000)
    gaps = np.diff(times, prepend=0.0)
    assert stats.kstest(gaps, stats.expon(scale=1 / 4).cdf).pvalue > SIGNIFICANCE


@given(
    gaps=st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=6),
    rates=st.lists(st.just(0.0) | st.floats(1e-3, 1e3), min_size=7, max_size=7),
    shape=st.sampled_from(["linear", "step"]),
    seed=st.integers(0, 2**32),
)
def test_arrivals_ascend_and_none_comes_where_the_rate_is_zero(
    gaps: list[float], rates: list[float], shape: str, seed: int
) -> None:
    times = np.concatenate([[0.0], np.cumsum(gaps)])
    points = list(zip(times.tolist(), rates, strict=False))
    if not any(rate for _, rate in points):
        return
    process = Profile(process="profile", points=tuple(points), shape=shape)  # type: ignore[arg-type]
    came = arrival_times(process, np.random.default_rng(seed), 200)
    assert (np.diff(came) >= 0).all()
    assert np.isfinite(came).all()
    assert len(came) == 200 or points[-1][1] == 0
    for (since, first), (until, last) in pairwise([*points, (np.inf, points[-1][1])]):
        if first == 0 and (shape == "step" or last == 0):
            margin = 1e-9 * max(since, 1.0)
            assert not ((came > since + margin) & (came < until - margin)).any()


def test_a_last_rate_of_zero_ends_it() -> None:
    file = scenario('[["0s", 100], ["10s", 0]]', "requests = 5000")
    drawn = Schedule.draw(file)
    assert drawn.times[-1] < 10
    assert abs(len(drawn) - 500) < 5 * 500**0.5
    assert file.rate == 50


@pytest.mark.parametrize(
    ("points", "shape", "run", "mean"),
    [
        ('[["0s", 50], ["20s", 150]]', "linear", 'duration = "10s"', 75.0),
        ('[["0s", 50], ["20s", 150]]', "linear", 'duration = "40s"', 125.0),
        ('[["0s", 50], ["20s", 150]]', "linear", "requests = 2000", 100.0),
        ('[["0s", 50], ["20s", 150]]', "linear", "requests = 5000", 125.0),
        ('[["0s", 50], ["20s", 150]]', "step", 'duration = "40s"', 100.0),
        ('[["0s", 50], ["20s", 150]]', "step", "requests = 2500", 250 / 3),
        ('[["10s", 7]]', "linear", 'duration = "3s"', 7.0),
        ('[["0s", 0], ["10s", 0], ["20s", 10]]', "linear", 'duration = "10s"', 0.0),
        ('[["0s", 0], ["10s", 10]]', "linear", "requests = 50", 5.0),
    ],
)
def test_its_mean_rate_is_that_over_the_run(points: str, shape: str, run: str, mean: float) -> None:
    assert scenario(points, run, shape).rate == pytest.approx(mean)


def test_a_run_of_a_duration_is_drawn_whole() -> None:
    drawn = Schedule.draw(scenario('[["0s", 0], ["60s", 200]]', 'duration = "60s"'))
    assert 59 < drawn.times[-1] < 60
    assert abs(len(drawn) - 6000) < 5 * 6000**0.5
