"""Closed forms: who is picked how often by two choices, and what two choices are worth."""

from __future__ import annotations

from collections import Counter
from itertools import permutations
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lb.strategies import create
from sim import simulate
from sim.analysis.intervals import latency_estimates
from sim.analysis.statistics import Estimate
from sim.checks.theory import m_m_1, power_of_d
from tests.doubles import Draws, joined, servers
from tests.sim.scenarios import EXPONENTIAL, scenario, serves

DRAWS = 40_000


def two_choices(weights: tuple[float, ...], active: tuple[int, ...], choices: int) -> list[float]:
    """Every order of drawing by weight without replacement; the least active per weight wins."""
    shares = [0.0] * len(weights)
    for drawn in permutations(range(len(weights)), choices):
        probability, left = 1.0, sum(weights)
        for one in drawn:
            probability *= weights[one] / left
            left -= weights[one]
        shares[min(drawn, key=lambda one: active[one] / weights[one])] += probability
    return shares


@pytest.mark.parametrize("choices", [2, 3])
@pytest.mark.parametrize(
    ("weights", "active"),
    [
        ((1, 1, 1, 1), (3, 0, 2, 1)),
        ((1, 2, 3, 4), (0, 0, 0, 0)),
        ((1, 2, 3, 4), (1, 1, 5, 2)),
        ((0.5, 1, 1, 5), (0, 2, 1, 3)),
    ],
)
def test_shares_of_p2c(weights: tuple[float, ...], active: tuple[int, ...], choices: int) -> None:
    members = servers(*weights)
    for server, calls in zip(members, active, strict=True):
        server.active = calls
    strategy = joined(create("p2c", Random(21), {"choices": choices}), members)
    counts = Counter(strategy.pick(0.0).order for _ in range(DRAWS))
    expected = two_choices(weights, active, choices)
    reached = [order for order, share in enumerate(expected) if share]
    assert set(counts) == set(reached)
    seen = [counts[order] for order in reached]
    assert stats.chisquare(seen, [DRAWS * expected[i] for i in reached]).pvalue > 0.001


@given(weights=st.lists(st.integers(1, 12), min_size=1, max_size=7))
def test_earliest_deadline_first_has_exact_shares_in_every_window(weights: list[int]) -> None:
    strategy = joined(
        create("weighted_round_robin", Draws(), {"sequence": "edf"}), servers(*weights)
    )
    period = sum(weights)
    picks = [strategy.pick(0.0).order for _ in range(3 * period)]
    for start in range(2 * period):
        assert Counter(picks[start : start + period]) == dict(enumerate(weights))


def simulated(n: int, load: float, algorithm: str, run: str, warmup: str) -> Estimate:
    file = scenario(*[serves(EXPONENTIAL)] * n, rate=load * n, run=run, warmup=warmup)
    samples: Any = simulate(file, [algorithm])[algorithm].samples
    return latency_estimates(samples, level=0.999)[0]["mean"]


@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("choices", "load", "published", "replications"),
    [
        (2, 0.5, 1.266, 8),
        (2, 0.7, 1.614, 16),
        (2, 0.8, 1.947, 22),
        (2, 0.9, 2.614, 14),
        (3, 0.5, 1.125, 8),
        (3, 0.7, 1.357, 14),
        (3, 0.8, 1.581, 16),
        (3, 0.9, 2.028, 14),
    ],
)
def test_choices_among_a_hundred_are_near_the_mean_field(
    choices: int, load: float, published: float, replications: int
) -> None:
    """Mitzenmacher's table 1; the mean field is what holds for infinitely many."""
    mean_field = power_of_d(choices, load).mean
    assert mean_field == pytest.approx(published, abs=1e-3)
    requests = 60_000 if load == 0.9 else 30_000
    run = f"requests = {requests}\nreplications = {replications}"
    warmup = f"{round(15 / (1 - load))}s"
    mean = simulated(100, load, f"p2c:choices={choices}", run, warmup)
    assert mean.half_width <= 0.03 * mean_field, "too few requests to tell"
    assert mean.value == pytest.approx(mean_field, rel=0.03)


@pytest.mark.no_cover
def test_one_choice_is_m_m_1() -> None:
    """However many there are, so that few serve to see it longer: it takes its time."""
    run = "requests = 60000\nreplications = 20"
    mean = simulated(10, 0.9, "p2c:choices=1", run, warmup="900s")
    assert mean.low is not None
    assert mean.half_width <= 0.12 * 10, "too few requests to tell"
    assert mean.low <= m_m_1(0.9).mean <= mean.low + 2 * mean.half_width
