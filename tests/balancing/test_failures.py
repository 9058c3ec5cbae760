"""Calls that fail: another attempt, or a refusal."""

from __future__ import annotations

import pytest

from lb.balancing import (
    Outcome,
    QueuePolicy,
    Refuse,
    RetryPolicy,
    Start,
    State,
)
from tests.balancing.test_balancer import (
    admitted,
    answered,
    balancer,
    checked,
    drained,
    started,
)
from tests.doubles import Request

# --- failing and trying again


def test_a_failed_call_is_tried_at_another_backend() -> None:
    lb = balancer(3)
    lease = admitted(lb)
    lb.failed(lease, 1.0, Outcome.RESET, sent=True)
    retry = started(lb)
    assert retry.call is lease.call
    assert (retry.backend.name, retry.started_at) == ("b", 1.0)
    assert [backend.active for backend in lb.pool.backends] == [0, 1, 0]
    assert lease.call.tried == (lease.backend,)
    assert lease.backend.failed == 1


@pytest.mark.parametrize(
    ("idempotent", "sent", "retried"),
    [(True, True, True), (True, False, True), (False, False, True), (False, True, False)],
)
def test_only_what_may_be_repeated_is_repeated(idempotent: bool, sent: bool, retried: bool) -> None:
    lb = balancer()
    lease = admitted(lb, idempotent=idempotent)
    lb.failed(lease, 1.0, Outcome.CONNECT, sent)
    (action,) = drained(lb)
    if retried:
        assert isinstance(action, Start)
    else:
        assert action == Refuse(lease.call, Outcome.CONNECT)


@pytest.mark.parametrize(("deadline", "retried"), [(0.99, False), (1.0, False), (1.01, True)])
def test_no_retry_at_or_after_the_deadline(deadline: float, retried: bool) -> None:
    lb = balancer()
    lb.failed(admitted(lb, deadline=deadline), 1.0, Outcome.TIMEOUT, sent=True)
    (action,) = drained(lb)
    assert isinstance(action, Start) == retried


@pytest.mark.parametrize("extra", [0, 1, 2, 5])
def test_as_many_extra_attempts_as_allowed(extra: int) -> None:
    lb = balancer(3, retries=RetryPolicy(max=extra, backoff=0.0))
    lease = admitted(lb)
    call, tried = lease.call, ["a"]
    for _ in range(extra):
        lb.failed(lease, 1.0, Outcome.RESET, sent=False)
        lease = started(lb)
        tried.append(lease.backend.name)
    lb.failed(lease, 2.0, Outcome.TIMEOUT, sent=False)
    assert drained(lb) == [Refuse(call, Outcome.TIMEOUT)]
    assert "".join(tried[:3]) == "abc"[: extra + 1]
    assert [backend.name for backend in call.tried] == tried
    assert [backend.active for backend in lb.pool.backends] == [0, 0, 0]


@pytest.mark.parametrize(
    "algorithm", ["round_robin", "random", "least_connections", "weighted_round_robin"]
)
def test_the_only_backend_is_tried_again_and_survives_it(algorithm: str) -> None:
    lb = balancer(1, algorithm, retries=RetryPolicy(max=3, backoff=0.0))
    lease = admitted(lb)
    for _ in range(3):
        lb.failed(lease, 1.0, Outcome.CONNECT, sent=False)
        lease = started(lb)
    lease.done(2.0)
    lb.remove(lb.pool.backends[0], 3.0)
    assert lb.admit(Request(), 4.0) is None


def test_the_budget_bounds_retries() -> None:
    policy = RetryPolicy(budget=0.0, min_per_second=0.2, window=10.0)
    lb = balancer(2, retries=policy)
    kinds = []
    for _ in range(4):
        lb.failed(admitted(lb), 1.0, Outcome.CONNECT, sent=False)
        (action,) = drained(lb)
        kinds.append(type(action))
        if isinstance(action, Start):
            action.lease.done(1.0)
    assert kinds == [Start, Start, Refuse, Refuse]


def test_a_failure_frees_its_place_for_the_line_before_it_is_tried_again() -> None:
    lb = balancer(1, max_in_flight=1, queue=QueuePolicy(limit=1))
    lease, waiting = admitted(lb), Request()
    lb.admit(waiting, 0.0)
    lb.failed(lease, 0.5, Outcome.RESET, sent=False)
    first, second = drained(lb)
    assert first.lease.call is waiting
    assert second == Refuse(lease.call, Outcome.RESET)


def test_a_retry_that_cannot_start_costs_nothing() -> None:
    policy = RetryPolicy(budget=0.0, min_per_second=0.1, window=10.0, max=9)
    lb = balancer(2, max_in_flight=1, retries=policy)
    first, second = admitted(lb), admitted(lb)
    lb.set_state(first.backend, State.MAINT, 0.5)
    for _ in range(3):  # the other one is at its limit
        lb.failed(first, 1.0, Outcome.RESET, sent=True)
        assert drained(lb) == [Refuse(first.call, Outcome.RESET)]
        lb.set_state(first.backend, State.UP, 1.0)
        first = admitted(lb, 1.0)
        lb.set_state(first.backend, State.MAINT, 1.0)
    second.done(1.5)
    lb.failed(first, 2.0, Outcome.RESET, sent=True)
    assert started(lb).backend is second.backend
    assert lb.snapshot(2.0).retried == 1


def test_one_lost_backend_of_three_is_covered_by_the_default_budget() -> None:
    """500 requests a second, a third of which fail until checks decide, two seconds later."""
    lb = checked(3, retries=RetryPolicy())
    answered(lb, {}, 0.0)
    lost = lb.pool.backends[0]
    refused = 0
    for n in range(6000):
        now = n / 500
        lease = admitted(lb, now)
        if lease.backend is lost and 10.0 <= now < 12.0:
            lb.failed(lease, now, Outcome.RESET, sent=True)
            for action in drained(lb):
                if isinstance(action, Start):
                    action.lease.done(now)
                refused += isinstance(action, Refuse)
        else:
            lease.done(now)
    assert refused == 0


def test_our_own_trouble_says_nothing_about_a_backend() -> None:
    lb = checked(2)
    answered(lb, {}, 0.0)
    lease = admitted(lb, 1.0)
    lb.failed(lease, 1.0, Outcome.CANCELLED, sent=False)
    retry = started(lb)
    assert retry.backend is not lease.backend
    backend = lease.backend
    assert (backend.failed, backend.cancelled, backend.standing) == (0, 1, "up")
    assert lb.wakes_at == 10.0, "nor is anybody asked"
