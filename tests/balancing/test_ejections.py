"""A balancer that ejects: what callers see of it, and what comes out."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from lb.balancing import (
    Balancer,
    Changed,
    Ejected,
    HedgePolicy,
    Outcome,
    OutlierPolicy,
    QueuePolicy,
    Recall,
    RetryPolicy,
    Returned,
    Start,
    State,
    Withheld,
)
from lb.strategies import REGISTRY
from tests.balancing.test_balancer import BAD, admitted, answered, balancer, checked, drained
from tests.doubles import Request

STREAK = "5 failures in a row, the last one server_error"


def ejecting(n: int = 3, algorithm: str = "round_robin", **more: Any) -> Balancer:
    more.setdefault("outliers", OutlierPolicy())
    return balancer(n, algorithm, **more)


def serve(
    lb: Balancer, calls: int, now: float, outcome: Outcome = Outcome.SERVER_ERROR
) -> Counter[str]:
    """So many calls, one after another; all at backend a end as `outcome`. Who had how many."""
    had: Counter[str] = Counter()
    for n in range(calls):
        lease = admitted(lb, now, key=b"%d" % n)
        had[lease.backend.name] += 1
        lease.done(now, outcome if lease.backend.name == "a" else Outcome.OK)
    return had


def wake(lb: Balancer, until: float) -> list[Any]:
    """What comes out of everything that falls due up to then."""
    while lb.wakes_at <= until:
        lb.wake(lb.wakes_at)
    return drained(lb)


def test_who_fails_is_given_nothing_more_until_its_ejection_ends() -> None:
    lb = ejecting()
    serve(lb, 60, 0.0)
    a = lb.pool.backends[0]
    assert drained(lb) == [Ejected(a, STREAK, 10.0)]
    assert (a.usable, a.standing, a.picked, repr(a)) == (
        False,
        "ejected",
        5,
        "<Backend a ejected 0 in flight>",
    )
    assert wake(lb, 9.9) == []
    assert serve(lb, 60, 9.9)["a"] == 0
    assert wake(lb, 10.0) == [Returned(a)]
    serve(lb, 30, 10.0)
    assert drained(lb) == [Ejected(a, STREAK, 20.0)]


@pytest.mark.parametrize("algorithm", sorted(REGISTRY))
def test_a_backend_that_fails_fast_has_no_more_than_its_share_under_any_algorithm(
    algorithm: str,
) -> None:
    """It answers in 1 ms, the others in 20 ms; a call every 2 ms."""
    lb = ejecting(3, algorithm)
    first, second, busy = Counter[str](), Counter[str](), list[tuple[float, Any]]()
    for n in range(2000):
        now = n / 500
        for end, lease in [row for row in busy if row[0] <= now]:
            failed = lease.backend.name == "a"
            lease.done(end, Outcome.SERVER_ERROR if failed else Outcome.OK)
        busy = [row for row in busy if row[0] > now]
        lb.wake(now)
        lb.out.clear()
        lease = admitted(lb, now, key=b"%d" % (n * 7919))
        (first if now < 2 else second)[lease.backend.name] += 1
        busy.append((now + (0.001 if lease.backend.name == "a" else 0.02), lease))
    assert 0 < first["a"] <= 1000 / 3
    assert second["a"] == 0


def test_the_snapshot_tells_of_ejections() -> None:
    lb = ejecting(2)
    serve(lb, 60, 1.0)
    b = lb.pool.backends[1]
    for _ in range(100):
        admitted(lb, 1.0).done(1.0, Outcome.RESET)
    now = lb.snapshot(4.0)
    a = now.backends[0]
    assert (a.state, a.ejected, a.ejections, a.ejected_for, a.usable) == (
        "ejected",
        True,
        1,
        7.0,
        False,
    )
    assert (now.backends[1].ejected, now.backends[1].ejected_for) == (False, None)
    assert now.ejections_withheld > 0
    assert [it for it in drained(lb) if isinstance(it, Withheld)] == [
        Withheld(b, "5 failures in a row, the last one reset")
    ]
    wake(lb, 11.0)
    a = lb.snapshot(11.0).backends[0]
    assert (a.state, a.ejected, a.ejections, a.ejected_for) == ("up", False, 1, None)


def test_what_waits_at_a_silent_backend_is_recalled() -> None:
    lb = ejecting()
    serve(lb, 60, 0.0, Outcome.TIMEOUT)
    a = lb.pool.backends[0]
    assert drained(lb) == [
        Ejected(a, "5 failures in a row, the last one timeout", 10.0),
        Recall(a),
    ]


def test_those_recalled_go_elsewhere_and_neither_eject_again_nor_make_it_longer() -> None:
    lb = ejecting()
    waits = [lease for _ in range(60) if (lease := admitted(lb, 0.0)).backend.name == "a"]
    for lease in waits[:5]:
        lb.failed(lease, 5.0, Outcome.TIMEOUT, sent=True)
    a = lb.pool.backends[0]
    out = drained(lb)
    assert [it for it in out if not isinstance(it, Start)][-1] == Recall(a)
    for lease in waits[5:]:
        lb.failed(lease, 5.0, Outcome.TIMEOUT, sent=True)
        (start,) = drained(lb)
        assert start.lease.backend is not a
    assert (a.ejections, a.ejected_until, a.active) == (1, 15.0, 0)


def test_attempts_from_before_an_ejection_that_end_after_it_say_nothing() -> None:
    lb = ejecting()
    old = [lease for _ in range(60) if (lease := admitted(lb, 0.0)).backend.name == "a"]
    serve(lb, 15, 1.0)
    assert [type(it) for it in wake(lb, 30.0)] == [Ejected, Returned]
    for lease in old:
        lease.done(30.0, Outcome.TIMEOUT)
    assert drained(lb) == []


@pytest.mark.parametrize("outcome", [Outcome.CLIENT_GONE, Outcome.CANCELLED])
def test_clients_that_leave_and_our_own_trouble_eject_nobody(outcome: Outcome) -> None:
    lb = ejecting()
    serve(lb, 300, 0.0, outcome)
    assert drained(lb) == []
    assert lb.wakes_at == float("inf")


@pytest.mark.parametrize(("n", "out"), [(1, 0), (2, 1), (3, 1), (4, 2), (6, 3)])
def test_no_more_than_the_share_are_out_however_they_fail(n: int, out: int) -> None:
    """One after another fails alone, and then does well."""
    lb = ejecting(n)
    for place in "abcdef"[:n]:
        for _ in range(100 * n):
            lease = admitted(lb, 0.0)
            lease.done(0.0, Outcome.RESET if lease.backend.name == place else Outcome.OK)
    assert sum(it.ejected for it in lb.pool.backends) == out
    assert not lb.pool.empty


def test_a_full_line_moves_on_when_an_ejection_ends() -> None:
    lb = ejecting(2, max_in_flight=1, queue=QueuePolicy(limit=3, timeout=60.0))
    serve(lb, 20, 0.0)
    drained(lb)
    busy = admitted(lb, 0.0)
    waits = Request()
    assert lb.admit(waits, 1.0) is None
    _, start = wake(lb, 10.0)
    assert start.lease.call is waits
    assert start.lease.backend is not busy.backend


def test_one_that_is_down_when_its_ejection_ends_stays_out() -> None:
    lb = checked(3, outliers=OutlierPolicy())
    answered(lb, {}, 0.0)
    serve(lb, 60, 0.0)
    a = lb.pool.backends[0]
    for at in (1.0, 2.0, 3.0):
        lb.observed(a, at, BAD)
    assert drained(lb)[-1] == Changed(a, "503")
    assert a.standing == "ejected"
    wake(lb, 10.0)
    assert (a.standing, a.usable) == ("down", False)
    answered(lb, {}, 11.0)
    lb.observed(a, 12.0, BAD)
    assert not a.usable


def test_good_checks_do_not_end_an_ejection() -> None:
    lb = checked(3, outliers=OutlierPolicy())
    answered(lb, {}, 0.0)
    serve(lb, 60, 1.0)
    answered(lb, {}, 10.0)
    a = lb.pool.backends[0]
    assert a.healthy
    assert not a.usable
    assert Returned(a) in wake(lb, 11.0)


def test_a_drained_backend_is_not_ejected_and_one_that_is_out_can_be_drained() -> None:
    lb = ejecting()
    a = lb.pool.backends[0]
    old = [lease for _ in range(60) if (lease := admitted(lb, 0.0)).backend is a]
    lb.set_state(a, State.DRAIN, 1.0)
    for lease in old:
        lease.done(2.0, Outcome.RESET)
    assert not a.ejected
    lb.set_state(a, State.UP, 3.0)
    serve(lb, 60, 3.0)
    assert a.standing == "ejected"
    lb.set_state(a, State.DRAIN, 4.0)
    assert a.standing == "drain"
    wake(lb, 13.0)
    assert not a.usable
    lb.set_state(a, State.UP, 14.0)
    assert a.usable


def test_one_that_is_removed_while_it_is_out_is_forgotten() -> None:
    lb = ejecting()
    serve(lb, 60, 0.0)
    a = lb.pool.backends[0]
    lb.remove(a, 1.0)
    drained(lb)
    assert wake(lb, 20.0) == []
    assert [it.name for it in lb.pool.backends] == ["b", "c"]


def test_ejections_survive_another_setup_and_end_when_they_are_switched_off() -> None:
    lb = ejecting()
    serve(lb, 60, 0.0)
    a = lb.pool.backends[0]
    lb.apply(replace(lb.setup, algorithm="p2c", outliers=OutlierPolicy(eject=1.0)), 1.0)
    assert a.ejected
    drained(lb)
    lb.apply(replace(lb.setup, outliers=OutlierPolicy(enabled=False)), 2.0)
    assert drained(lb) == [Returned(a)]
    assert a.usable
    serve(lb, 60, 3.0)
    assert drained(lb) == []


def test_only_what_would_go_on_elsewhere_is_movable() -> None:
    lb = ejecting(2)
    lease = admitted(lb, 0.0)
    assert lb.movable(lease, 1.0, sent=True)
    assert lease.call.tried == ()
    assert not lb.movable(admitted(lb, 0.0, idempotent=False), 1.0, sent=True)
    assert lb.movable(admitted(lb, 0.0, idempotent=False), 1.0, sent=False)
    assert not lb.movable(admitted(lb, 0.0, deadline=1.0), 1.0, sent=True)
    assert not lb.movable(admitted(lb, 0.0, tried=(lease.backend,)), 1.0, sent=True)
    lb.set_state(lb.pool.backends[1], State.DRAIN, 2.0)
    assert not lb.movable(lease, 2.0, sent=True), "there is nowhere to go"


def test_what_retries_leave_out_is_not_movable() -> None:
    lb = ejecting(2, retries=RetryPolicy(on=("connect", "reset")))
    assert not lb.movable(admitted(lb, 0.0), 1.0, sent=True)


def test_one_of_two_attempts_is_movable_since_the_other_goes_on() -> None:
    lb = ejecting(2, hedging=HedgePolicy(after=0.5), retries=RetryPolicy(max=0))
    lease = admitted(lb, 0.0)
    assert not lb.movable(lease, 0.1, sent=True)
    assert [type(it) for it in wake(lb, 0.5)] == [Start]
    assert lb.movable(lease, 0.6, sent=True)
