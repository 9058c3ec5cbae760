"""Attempts that fail make their backend suspect."""

from __future__ import annotations

import pytest

from lb.balancing import (
    Balancer,
    Changed,
    HealthPolicy,
    Outcome,
    Probe,
    QueuePolicy,
    Start,
    State,
)
from tests.balancing.test_balancer import BAD, GOOD, admitted, answered, balancer, checked, drained
from tests.doubles import Draws, Request


def probed(lb: Balancer, now: float) -> list[str]:
    """Names of those probed at `now`; nobody answers."""
    lb.wake(now)
    return [action.backend.name for action in drained(lb) if isinstance(action, Probe)]


# --- attempts that fail make their backend suspect


@pytest.mark.parametrize("outcome", [Outcome.CONNECT, Outcome.RESET, Outcome.TIMEOUT])
def test_a_failed_attempt_asks_for_a_check_at_once(outcome: Outcome) -> None:
    lb = checked(2)
    answered(lb, {}, 0.0)
    lease = admitted(lb, 3.0)
    lease.done(4.0, outcome)
    assert drained(lb) == [Probe(lease.backend)]


@pytest.mark.parametrize(
    "outcome", [Outcome.OK, Outcome.SERVER_ERROR, Outcome.CLIENT_GONE, Outcome.CANCELLED]
)
def test_other_ends_ask_for_none(outcome: Outcome) -> None:
    lb = checked(2)
    answered(lb, {}, 0.0)
    admitted(lb, 3.0).done(4.0, outcome)
    assert drained(lb) == []


def test_a_check_at_once_that_finds_nothing_leaves_the_schedule_as_it_is() -> None:
    draws = Draws(0.5, 0.5)  # one for each of the first answers, and no more
    lb = balancer(2, health=HealthPolicy(interval=10.0, jitter=0.2), rng=draws)
    answered(lb, {}, 0.0)
    lease = admitted(lb, 3.0)
    lease.done(4.0, Outcome.TIMEOUT)
    (probe,) = drained(lb)
    lb.observed(probe.backend, 4.1, GOOD)
    assert lb.wakes_at == pytest.approx(10.0)
    assert draws.left == []


def test_a_check_at_once_that_fails_makes_checks_fast() -> None:
    lb = checked(2)
    answered(lb, {}, 0.0)
    lease = admitted(lb, 3.0)
    lease.done(4.0, Outcome.RESET)
    drained(lb)
    lb.observed(lease.backend, 4.1, BAD)
    assert lb.wakes_at == pytest.approx(5.1)


def test_checks_at_once_are_no_more_frequent_than_fast_ones() -> None:
    lb = checked(1)
    answered(lb, {}, 0.0)
    asked = []
    for tenth in range(1, 31):
        now = tenth / 10
        admitted(lb, now).done(now, Outcome.RESET)
        for action in drained(lb):
            asked.append(now)
            lb.observed(action.backend, now, GOOD)
    assert asked == [0.1, 1.1, 2.1]


def test_a_refused_connection_soon_after_a_check_at_once_makes_checks_fast() -> None:
    lb = checked(2)
    answered(lb, {}, 0.0)
    first = lb.pool.backends[0]
    for at in (3.0, 3.2):
        lease = admitted(lb, at)
        while lease.backend is not first:
            lease = admitted(lb, at)
        lease.done(at, Outcome.CONNECT)
        for action in drained(lb):
            lb.observed(action.backend, at, GOOD)
    assert lb.wakes_at == pytest.approx(4.2)


def test_the_schedule_goes_on_when_it_falls_due_while_a_check_at_once_is_out() -> None:
    lb = checked(1)
    answered(lb, {}, 0.0)
    admitted(lb, 9.0).done(9.5, Outcome.RESET)
    (probe,) = drained(lb)
    assert probed(lb, 10.0) == [], "one at a time"
    lb.observed(probe.backend, 10.5, GOOD)
    assert lb.wakes_at == 20.5


def test_refused_connections_count_as_failed_checks() -> None:
    lb = checked(2)
    answered(lb, {}, 0.0)
    lost = lb.pool.backends[0]
    changes = []
    for n in range(20):
        lease = admitted(lb, 3.0 + n / 100)
        if lease.backend is lost:
            lb.failed(lease, 3.0 + n / 100, Outcome.CONNECT, sent=False)
        changes += [action for action in drained(lb) if isinstance(action, Changed)]
    assert changes == [Changed(lost, "connection refused")]
    assert lost.failed == 3
    pauses = []
    for at in (4.0, 5.0, 6.0):
        lb.observed(lost, at, BAD)
        pauses.append(min(lb.wakes_at, 99.0) - at)
    lb.observed(lb.pool.backends[1], 6.0, GOOD)
    assert pauses == [1.0, 1.0, 4.0], "its return is looked for fast until checks confirm"


def test_who_waits_is_not_sent_where_a_connection_was_refused_for_the_last_time() -> None:
    lb = checked(2, max_in_flight=1, queue=QueuePolicy(limit=1))
    answered(lb, {}, 0.0)
    lost, other = lb.pool.backends
    lost.health.observe(False, 1.0)
    lost.health.observe(False, 1.0)
    first, _ = admitted(lb, 1.0), admitted(lb, 1.0)
    assert first.backend is lost
    waits = Request()
    assert lb.admit(waits, 1.0) is None
    lb.failed(first, 1.1, Outcome.CONNECT, sent=True)
    assert lost.standing == "down"
    assert Start not in map(type, drained(lb))
    assert lb.snapshot(1.1).waiting == 1
    assert other.active == 1


def test_a_refused_connection_does_not_take_out_the_last_usable_backend() -> None:
    lb = checked(2)
    answered(lb, {"b": BAD}, 0.0)
    for n in range(9):
        admitted(lb, 1.0 + n).done(1.0 + n, Outcome.CONNECT)
    assert lb.pool.backends[0].standing == "up"
    for at in (10.0, 11.0, 12.0):
        lb.observed(lb.pool.backends[0], at, BAD)
    assert lb.pool.backends[0].standing == "down"


@pytest.mark.parametrize("checks", ["none", "deaf to attempts"])
def test_without_checks_no_attempt_takes_a_backend_out(checks: str) -> None:
    policy = HealthPolicy(enabled=False) if checks == "none" else HealthPolicy(attempts=False)
    lb = balancer(2, health=policy)
    for backend in lb.pool.backends:
        lb.observed(backend, 0.0, GOOD)
    drained(lb)
    for n in range(20):
        lb.failed(admitted(lb, 1.0 + n), 1.0 + n, Outcome.CONNECT, sent=False)
        assert [type(action) for action in drained(lb)] == [Start]
    assert all(backend.usable for backend in lb.pool.backends)


def test_a_backend_in_maintenance_is_not_asked_for_its_old_calls() -> None:
    lb = checked(2)
    answered(lb, {}, 0.0)
    lease = admitted(lb, 1.0)
    lb.set_state(lease.backend, State.MAINT, 2.0)
    lease.done(3.0, Outcome.RESET)
    assert drained(lb) == []


def test_a_backend_down_at_the_start_comes_up_with_its_first_good_answer() -> None:
    lb = checked(1)
    answered(lb, {"a": BAD}, 0.0)
    assert lb.pool.empty
    assert answered(lb, {}, 1.0) == [Changed(lb.pool.backends[0], "")]
    assert not lb.pool.empty
