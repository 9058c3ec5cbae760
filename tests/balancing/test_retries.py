"""The retry budget: a floor per second, and a share of the requests in a sliding window."""

from __future__ import annotations

from random import Random

import pytest

from lb.balancing.retries import SLICES, RetryBudget, RetryPolicy


class Service:
    """Counts requests as a balancer does."""

    def __init__(self, policy: RetryPolicy, backends: int = 5) -> None:
        self.budget = RetryBudget(policy, 0.0)
        self.backends = backends
        self.requests = 0

    def request(self, now: float, count: int = 1) -> None:
        for _ in range(count):
            if now >= self.budget.sample_at:
                self.budget.sample(now, self.requests)
            self.requests += 1

    def retry(self, now: float) -> bool:
        """One retry, if there is one left."""
        granted = self.budget.allows(now, self.requests, self.backends)
        if granted:
            self.budget.spend(now)
        return granted

    def retries(self, now: float, most: int = 10_000) -> int:
        """How many in a row are granted."""
        return next(n for n in range(most) if not self.retry(now))


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
    service = Service(RetryPolicy(budget=share, min_per_second=floor, window=window))
    service.request(window / 2, requests)
    assert int(service.budget.left(window / 2, service.requests, service.backends)) == allowed
    assert service.retries(window / 2) == allowed
    assert service.budget.left(window / 2, service.requests, service.backends) < 1


def test_asking_costs_nothing() -> None:
    service = Service(RetryPolicy(budget=0.0, min_per_second=0.1, window=10.0))
    for _ in range(5):
        assert service.budget.allows(1.0, 0, 5)
    assert service.retry(1.0)
    assert not service.budget.allows(1.0, 0, 5)


def test_what_was_spent_comes_back_after_the_window() -> None:
    service = Service(RetryPolicy(budget=0.0, min_per_second=1.0, window=10.0))
    assert [service.retry(now) for now in range(10)] == [True] * 10
    assert not service.retry(9.999)
    assert service.retry(10.0)  # the one of 0 is a window ago
    assert not service.retry(10.999)
    assert service.retry(11.0)


@pytest.mark.parametrize(
    ("backends", "share"), [(1, 1.0), (2, 0.5), (3, 1 / 3), (5, 0.2), (9, 0.2)]
)
def test_the_share_covers_one_lost_backend_unless_given(backends: int, share: float) -> None:
    policy = RetryPolicy(min_per_second=0.0)
    assert policy.share(backends) == share
    service = Service(policy, backends)
    service.request(5.0, 900)
    assert service.retries(5.0) == int(900 * share)
    assert RetryPolicy(budget=0.1).share(backends) == 0.1


def test_requests_are_counted_once_a_slice() -> None:
    service = Service(RetryPolicy(window=10.0))
    assert service.budget.sample_at == 1.0
    service.request(0.5, 100)
    assert service.budget.sample_at == 1.0
    service.request(1.5, 100)
    assert service.budget.sample_at == 2.5


def test_requests_of_long_ago_count_no_more() -> None:
    service = Service(RetryPolicy(budget=0.1, min_per_second=0.0, window=10.0))
    for tenth in range(100):
        service.request(tenth / 10, 100)
    assert service.retries(10.0) == 900  # all but those of the slice that the window cuts through
    assert service.retries(20.1) == 0


def test_the_budget_after_an_idle_hour_is_the_floor() -> None:
    service = Service(RetryPolicy(window=10.0))
    for second in range(100):
        service.request(float(second), 500)
    service.request(3700.0)
    assert service.retries(3700.0) == 100


def test_one_busy_second_before_a_long_silence_counts_no_more() -> None:
    service = Service(RetryPolicy(budget=1.0, min_per_second=0.0, window=10.0))
    service.request(0.5, 10_000)
    assert service.budget.allows(9.0, service.requests, 5)
    service.request(15.0)
    assert service.retries(15.0) == 1, "of the one request"


def test_the_window_slides_by_slices() -> None:
    """A hundred requests a second: between nine and ten slices of them count at any time."""
    policy = RetryPolicy(budget=1.0, min_per_second=0.0, window=10.0)
    budget, requests = RetryBudget(policy, 0.0), 0
    for step in range(4000):
        now = step / 100
        if now >= budget.sample_at:
            budget.sample(now, requests)
        requests = step + 1
        if now > 10.0:
            counted = next(n for n in range(2000) if not _allows(budget, now, requests, n + 1))
            assert 1000 * (SLICES - 1) / SLICES - 1 <= counted <= 1001


def _allows(budget: RetryBudget, now: float, requests: int, spent: int) -> bool:
    """Whether one retry is left when so many less one were spent just now."""
    budget._spent.clear()
    budget._spent.extend([now] * (spent - 1))
    allowed = budget.allows(now, requests, 5)
    budget._spent.clear()
    return allowed


def test_under_overload_retries_stay_the_share_of_requests() -> None:
    """Every attempt fails at a steady 100 requests a second: about one in five is tried again."""
    service = Service(RetryPolicy(budget=0.2, min_per_second=0.0, window=10.0))
    granted = []
    for n in range(10_000):
        service.request(n / 100)
        granted.append(service.retry(n / 100))
    late = granted[2000:]
    assert 0.17 <= sum(late) / len(late) <= 0.2


def test_never_more_than_the_budget_in_any_window() -> None:
    rng, now = Random(1), 0.0
    policy = RetryPolicy(budget=0.0, min_per_second=2.0, window=5.0)
    service, granted = Service(policy), []
    for _ in range(3000):
        now += rng.expovariate(5)
        service.request(now)
        if service.retry(now):
            granted.append(now)
            in_window = [at for at in granted if at > now - policy.window]
            assert len(in_window) <= 10
    assert len(granted) > 1000
