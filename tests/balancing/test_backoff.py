"""Pauses between tries, where nobody is left who has not failed the call."""

from __future__ import annotations

import pytest

from lb.balancing import Balancer, Outcome, QueuePolicy, Refuse, RetryPolicy, Settings
from lb.balancing.retries import Retries
from tests.balancing.test_balancer import INFINITY, admitted, balancer, drained, started
from tests.doubles import Draws, Request

POLICY = RetryPolicy(max=3, backoff=0.1)


def pausing(**more: object) -> tuple[Balancer, Request]:
    """A call that has failed at the only backend, at time 1."""
    lb = balancer(1, rng=Draws(0.5, 0.0, 0.0), retries=more.pop("retries", POLICY), **more)
    lease = admitted(lb)
    lb.failed(lease, 1.0, Outcome.RESET, sent=True)
    assert drained(lb) == []
    return lb, lease.call


def test_a_call_goes_back_to_the_only_backend_after_a_pause() -> None:
    lb, call = pausing()
    assert lb.wakes_at == 1.0 + 0.1 * (1 - 0.5 / 2)
    assert lb.snapshot(1.0).backing_off == 1
    lb.wake(lb.wakes_at)
    retry = started(lb)
    assert (retry.call, retry.started_at) == (call, 1.075)
    assert lb.wakes_at == INFINITY
    now = lb.snapshot(2.0)
    assert (now.backing_off, now.retried, now.requests + now.retried) == (0, 1, 2)


@pytest.mark.parametrize(
    ("tries", "draw", "pause"), [(1, 0.0, 0.1), (1, 1.0, 0.05), (2, 0.0, 0.2), (4, 0.5, 0.6)]
)
def test_each_pause_is_twice_as_long_and_up_to_half_of_it_shorter(
    tries: int, draw: float, pause: float
) -> None:
    assert Retries(POLICY, 0.0).pause(tries, draw) == pytest.approx(pause)


def test_nobody_pauses_while_somebody_is_left_who_has_not_failed_the_call() -> None:
    lb = balancer(2, rng=Draws(0.0), retries=POLICY)
    lease = admitted(lb)
    lb.failed(lease, 1.0, Outcome.RESET, sent=True)
    retry = started(lb)
    assert retry.backend is not lease.backend
    lb.failed(retry, 2.0, Outcome.RESET, sent=True)
    assert drained(lb) == []
    assert lb.wakes_at == 2.2


def test_whoever_has_come_meanwhile_gets_the_call() -> None:
    lb, call = pausing()
    other = lb.add(Settings("10.0.0.9:80", name="z"), 1.01)
    drained(lb)
    lb.wake(lb.wakes_at)
    assert started(lb).backend is other
    assert call.tried == (lb.pool.backends[0],)


def test_a_call_may_leave_between_two_tries() -> None:
    lb, call = pausing()
    assert lb.abandoned(call)
    assert not lb.abandoned(call)
    assert lb.wakes_at == INFINITY
    now = lb.snapshot(2.0)
    assert (now.backing_off, now.left_line, now.retried, now.requests) == (0, 0, 0, 1)
    assert lb.pool.backends[0].picked == 1


def test_no_pause_reaches_beyond_the_deadline() -> None:
    lb = balancer(1, rng=Draws(0.0, 0.0), retries=POLICY)
    for deadline, waits in ((1.1, False), (1.11, True)):
        lease = admitted(lb, deadline=deadline)
        lb.failed(lease, 1.0, Outcome.RESET, sent=True)
        assert drained(lb) == ([] if waits else [Refuse(lease.call, Outcome.RESET)])
    assert lb.snapshot(1.0).retry_refused["deadline"] == 1


def test_an_alarm_that_is_late_does_not_start_what_has_run_out_of_time() -> None:
    lb = balancer(1, rng=Draws(0.0), retries=POLICY)
    lease = admitted(lb, deadline=1.5)
    lb.failed(lease, 1.0, Outcome.RESET, sent=True)
    lb.wake(1.5)
    assert drained(lb) == [Refuse(lease.call, Outcome.RESET)]


def test_whoever_finds_no_room_after_its_pause_is_refused() -> None:
    lb, call = pausing(max_in_flight=1, queue=QueuePolicy(limit=1))
    assert lb.admit(Request(), 1.01) is not None
    lb.wake(1.075)
    assert drained(lb) == [Refuse(call, Outcome.RESET)]
    assert lb.snapshot(1.1).retry_refused["no_backend"] == 1


def test_the_budget_is_that_of_the_time_when_the_pause_ends() -> None:
    lb = balancer(
        1,
        rng=Draws(0.0, 0.0),
        retries=RetryPolicy(budget=0.0, min_per_second=0.1, window=10.0, backoff=0.1),
    )
    calls = []
    for _ in range(2):
        lease = admitted(lb)
        calls.append(lease.call)
        lb.failed(lease, 1.0, Outcome.RESET, sent=True)
    lb.wake(1.1)
    start, refusal = drained(lb)
    assert start.lease.call is calls[0]
    assert refusal == Refuse(calls[1], Outcome.RESET)


def test_without_a_pause_the_next_try_is_at_once() -> None:
    lb = balancer(1, rng=Draws(), retries=RetryPolicy(backoff=0.0))
    lb.failed(admitted(lb), 1.0, Outcome.RESET, sent=True)
    assert started(lb).started_at == 1.0
