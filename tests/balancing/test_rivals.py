"""What may race, and what does not win."""

from __future__ import annotations

from tests.balancing.test_balancer import INFINITY, drained
from tests.balancing.test_hedges import hedging, raced
from tests.doubles import Request


def test_an_error_does_not_win_against_another_attempt() -> None:
    """Whatever [retries] on says: the slower one may do better, and is all that is left then."""
    lb = hedging()
    lease, hedge = raced(lb)
    assert 503 not in lb.retry_statuses
    assert lb.doubts(hedge, 503)
    assert not lb.doubts(hedge, 404)
    assert lb.declined(hedge, 0.6, 503)
    assert hedge.backend.failed == 1
    assert not lb.doubts(lease, 503), "nobody else is under way"
    lb.answered(lease, 0.9)
    lease.done(0.9, first_byte=0.9)
    assert drained(lb) == []
    assert (lease.backend.succeeded, lb.snapshot(1.0).hedges_won) == (1, 0)


def test_what_may_be_repeated_and_is_not_safe_is_no_race() -> None:
    class Deletion(Request):
        safe = False  # type: ignore[assignment]

    lb = hedging()
    assert lb.admit(Deletion(idempotent=True), 0.0) is not None
    assert lb.wakes_at == INFINITY
