"""The retry budget: a floor per second, and a share of the requests in a sliding window."""

from __future__ import annotations

from random import Random

import pytest

from lb.balancing.retries import RetryBudget, RetryPolicy


def spent(budget: RetryBudget, now: float, requests: int, tries: int = 10_000) -> int:
    """How many retries in a row are granted."""
    return next(n for n in range(tries) if not budget.spend(now, requests))


@pytest.mark.parametrize(
    ("share", "floor", "window", "requests", "allowed"),
    [
        (0.0, 0.0, 10.0, 1000, 0),
        (0.2, 0.0, 10.0, 4, 0),
        (0.2, 0.0, 10.0, 5, 1),
        (0.2, 0.0, 10.0, 1000, 200),
        (0.0, 10.0, 10.0, 0, 100),
        (0.0, 0.5, 4.0, 0, 2),
        (0.2, 10.0, 10.0, 1000, 300),
        (1.0, 0.0, 1.0, 7, 7),
    ],
)
def test_allowed_is_the_floor_and_the_share(
    share: float, floor: float, window: float, requests: int, allowed: int
) -> None:
    policy = RetryPolicy(budget=share, min_per_second=floor, window=window)
    assert spent(RetryBudget(policy, 0.0), window / 2, requests) == allowed


def test_what_was_spent_comes_back_after_the_window() -> None:
    budget = RetryBudget(RetryPolicy(budget=0.0, min_per_second=1.0, window=10.0), 0.0)
    assert [budget.spend(now, 0) for now in range(10)] == [True] * 10
    assert not budget.spend(9.999, 0)
    assert budget.spend(10.0, 0)  # the one of 0 is a window ago
    assert not budget.spend(10.999, 0)
    assert budget.spend(11.0, 0)


def test_requests_of_long_ago_count_no_more() -> None:
    budget = RetryBudget(RetryPolicy(budget=0.1, min_per_second=0.0, window=10.0), 0.0)
    assert budget.spend(5.0, 100)
    for now in range(6, 40):
        granted = budget.spend(float(now), 100)
    assert not granted


def test_a_first_question_late_counts_the_average_rate() -> None:
    budget = RetryBudget(RetryPolicy(budget=0.1, min_per_second=0.0, window=10.0), 0.0)
    assert spent(budget, 1000.0, 100_000) == 100  # a tenth of 1000 requests in ten seconds


def test_under_overload_retries_stay_the_share_of_requests() -> None:
    """Every attempt fails at a steady 100 requests a second: one in five is tried again."""
    budget = RetryBudget(RetryPolicy(budget=0.2, min_per_second=0.0, window=10.0), 0.0)
    granted = [budget.spend(n / 100, n) for n in range(1, 10_001)]
    late = granted[2000:]
    assert sum(late) / len(late) == pytest.approx(0.2, rel=0.05)


def test_never_more_than_the_budget_in_any_window() -> None:
    rng, now = Random(1), 0.0
    policy = RetryPolicy(budget=0.0, min_per_second=2.0, window=5.0)
    budget, granted = RetryBudget(policy, 0.0), []
    for requests in range(1, 3001):
        now += rng.expovariate(5)
        if budget.spend(now, requests):
            granted.append(now)
            in_window = [at for at in granted if at > now - policy.window]
            assert len(in_window) <= 10
    assert len(granted) > 1000
