"""What is not tried again, and why: every reason is counted. Answers that are tried elsewhere."""

from __future__ import annotations

from typing import Any

import pytest

from lb.balancing import Drained, Outcome, Refuse, RetryPolicy, Start, State
from lb.balancing.retries import OUTCOMES, Refusal
from tests.balancing.test_balancer import admitted, balancer, drained, started

NO_BUDGET = RetryPolicy(budget=0.0, min_per_second=0.0)


@pytest.mark.parametrize(
    ("policy", "call", "sent", "reason"),
    [
        (RetryPolicy(on=("connect",)), {}, True, "outcome"),
        (RetryPolicy(), {"idempotent": False}, True, "not_idempotent"),
        (RetryPolicy(max=0), {}, True, "max"),
        (RetryPolicy(), {"deadline": 1.0}, True, "deadline"),
        (NO_BUDGET, {}, True, "budget"),
        (RetryPolicy(), {}, True, "no_backend"),
    ],
)
def test_every_refusal_is_counted_by_its_reason(
    policy: RetryPolicy, call: dict[str, Any], sent: bool, reason: str
) -> None:
    lb = balancer(2, retries=policy)
    assert set(lb.snapshot(0.0).retry_refused) == {why.value for why in Refusal}
    assert not any(lb.snapshot(0.0).retry_refused.values())
    lease = admitted(lb, **call)
    if reason == "no_backend":
        for backend in lb.pool.backends:
            lb.set_state(backend, State.DRAIN, 0.5)
    lb.failed(lease, 1.0, Outcome.RESET, sent)
    assert [it for it in drained(lb) if not isinstance(it, Drained)] == [
        Refuse(lease.call, Outcome.RESET)
    ]
    assert lb.snapshot(1.0).retry_refused == {
        why.value: int(why.value == reason) for why in Refusal
    }


@pytest.mark.parametrize("on", OUTCOMES)
@pytest.mark.parametrize(
    "outcome",
    [Outcome.CONNECT, Outcome.RESET, Outcome.TIMEOUT, Outcome.SERVER_ERROR, Outcome.CANCELLED],
)
def test_only_outcomes_that_are_named_are_tried_again(on: str, outcome: Outcome) -> None:
    """An answer that is not HTTP is a reset or a server error; our own trouble always is named."""
    lb = balancer(2, retries=RetryPolicy(on=(on,)))
    lb.failed(admitted(lb), 1.0, outcome, sent=True)
    (action,) = drained(lb)
    named = outcome.value == on or outcome is Outcome.CANCELLED
    broken = outcome is Outcome.SERVER_ERROR and on == "reset"
    assert isinstance(action, Start) == (named or broken)


def test_what_was_tried_again_before_it_could_be_named_is_so_at_defaults() -> None:
    for outcome in Outcome:
        if outcome not in (Outcome.OK, Outcome.CLIENT_GONE):
            assert RetryPolicy().repeats(outcome)
    assert RetryPolicy().statuses == frozenset()


def test_a_server_error_is_every_status_from_500_on() -> None:
    assert RetryPolicy(on=("server_error", 429)).statuses == {429, *range(500, 600)}


# --- answers


def declining(**more: Any) -> Any:
    return balancer(more.pop("n", 2), retries=RetryPolicy(on=(503, 429), **more))


@pytest.mark.parametrize(("status", "failed"), [(503, 1), (429, 0)])
def test_an_answer_of_such_a_status_is_tried_elsewhere(status: int, failed: int) -> None:
    lb = declining()
    assert lb.retry_statuses == {503, 429}
    lease = admitted(lb)
    assert lb.declined(lease, 1.0, status)
    assert not lease.open
    retry = started(lb)
    assert retry.call is lease.call
    assert retry.backend is not lease.backend
    assert lease.call.tried == (lease.backend,)
    assert (lease.backend.failed, lease.backend.succeeded) == (failed, 1 - failed)
    assert lb.snapshot(1.0).retried == 1


@pytest.mark.parametrize(
    ("n", "policy", "call", "reason"),
    [
        (1, {}, {}, "no_backend"),
        (2, {"max": 0}, {}, "max"),
        (2, {}, {"idempotent": False}, "not_idempotent"),
        (2, {}, {"deadline": 1.0}, "deadline"),
        (2, {"budget": 0.0, "min_per_second": 0.0}, {}, "budget"),
    ],
)
def test_an_answer_that_may_not_be_tried_elsewhere_stands(
    n: int, policy: dict[str, Any], call: dict[str, Any], reason: str
) -> None:
    lb = declining(n=n, **policy)
    lease = admitted(lb, **call)
    assert not lb.declined(lease, 1.0, 503)
    assert lease.open
    assert lease.call.tried == ()
    assert drained(lb) == []
    assert lb.snapshot(1.0).retry_refused[reason] == 1
    lease.done(2.0, Outcome.SERVER_ERROR, 1.0)
    assert drained(lb) == []


def test_an_answer_stands_when_all_others_are_full() -> None:
    lb = balancer(2, max_in_flight=1, retries=RetryPolicy(on=(503,)))
    lease, other = admitted(lb), admitted(lb)
    assert not lb.declined(lease, 1.0, 503)
    other.done(1.5)
    lease.done(2.0, Outcome.SERVER_ERROR)
    assert [backend.active for backend in lb.pool.backends] == [0, 0]


def test_other_statuses_after_a_change_of_the_setup() -> None:
    lb = declining()
    setup = lb.setup
    lb.apply(type(setup)(setup.backends, retries=RetryPolicy(on=("reset", 500))), 1.0)
    assert lb.retry_statuses == {500}
