"""A late event loop refuses a share of those who come, and nothing else changes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.balancing import HealthPolicy, Outcome, QueuePolicy, Refuse, Start, State, Why
from lb.balancing.shedding import MOST, Shedding
from tests.balancing.test_balancer import admitted, balancer, drained
from tests.doubles import Request


def late(*lags: float) -> Shedding:
    """After these reports; a fifth of a second is allowed."""
    it = Shedding(0.2)
    for seconds in lags:
        it.lagged(seconds)
    return it


@pytest.mark.parametrize(
    ("lags", "share"),
    [
        ((), 0.0),
        ((0.19,) * 99, 0.0),
        ((0.21,) * 99, 0.0125),  # a twentieth above what is allowed, of the span of four
        ((0.4,) * 99, 0.25),
        ((0.6,) * 99, 0.5),
        ((9.0,) * 99, MOST),
        ((99.0,), 0.0),  # one stall, however long
        ((99.0,) * 2, 0.0430),  # a second one counts as four times what is allowed
    ],
)
def test_the_share_by_how_late_the_loop_was(lags: tuple[float, ...], share: float) -> None:
    assert late(*lags).share == pytest.approx(share, abs=1e-3)


def test_it_is_over_soon_after_the_loop_keeps_time() -> None:
    it = late(*(9.0,) * 99)
    count = 0
    while it:
        it.lagged(0.0)
        count += 1
    assert count == 13
    while it.minds(0.0):
        it.lagged(0.0)
        count += 1
    assert count == 28
    assert it.lag == 0.0


@given(st.lists(st.floats(0.0, 60.0), max_size=60), st.integers(1, 300))
def test_of_any_number_the_share_is_refused_and_somebody_comes_through(
    lags: list[float], calls: int
) -> None:
    it = late(*lags)
    assert 0.0 <= it.share <= MOST
    refused = sum(it.refuses() for _ in range(calls))
    assert abs(refused - it.share * calls) <= 1.0
    assert calls < 20 or refused < calls


# --- in a balancer

OVERLOADED = (0.6,) * 99
"""Every other call is refused then."""


def test_every_so_manieth_new_call_is_refused_while_the_loop_is_late() -> None:
    lb = balancer(2)
    for seconds in OVERLOADED:
        lb.lagged(seconds, 0.0)
    calls = [Request() for _ in range(10)]
    leases = [lb.admit(call, 0.0) for call in calls]
    refused = [call for call, lease in zip(calls, leases, strict=True) if lease is None]
    assert len(refused) in (4, 5)
    assert drained(lb) == [Refuse(call, Why.OVERLOADED) for call in refused]
    now = lb.snapshot(0.0)
    assert now.refused["overloaded"] == now.turned_away == len(refused)
    assert now.shedding == pytest.approx(0.5, abs=1e-3)
    assert sum(b.picked for b in lb.pool.backends) + now.turned_away == now.requests == 10


def test_when_it_keeps_time_everybody_is_let_in_again() -> None:
    lb = balancer(2)
    for seconds in (*OVERLOADED, *(0.0,) * 30):
        lb.lagged(seconds, 0.0)
    assert all(lb.admit(Request(), 0.0) for _ in range(50))
    assert not lb._sheds, "and nothing is asked any more"
    assert lb.snapshot(0.0).shedding == 0.0


def test_lags_that_are_allowed_leave_no_trace() -> None:
    lb = balancer(2)
    for _ in range(99):
        lb.lagged(0.19, 0.0)
    assert not lb._sheds
    assert all(lb.admit(Request(), 0.0) for _ in range(50))


def test_who_waits_and_who_is_tried_again_is_not_refused_for_it() -> None:
    lb = balancer(2, max_in_flight=1, queue=QueuePolicy(limit=5))
    leases = [admitted(lb), admitted(lb)]
    for _ in range(2):
        assert lb.admit(Request(), 0.0) is None
    for _ in range(99):
        lb.lagged(9.0, 0.0)
    for lease in leases:
        lease.done(1.0)
    served = drained(lb)
    assert [type(action) for action in served] == [Start, Start]
    served[0].lease.done(2.0)
    lb.failed(served[1].lease, 2.0, Outcome.RESET, sent=False)
    assert [type(action) for action in drained(lb)] == [Start]


def test_whom_nobody_could_serve_hears_either_reason() -> None:
    lb = balancer(1, health=HealthPolicy(enabled=False))
    lb.set_state(lb.pool.backends[0], State.MAINT, 0.0)
    drained(lb)
    for seconds in OVERLOADED:
        lb.lagged(seconds, 0.0)
    for _ in range(10):
        assert lb.admit(Request(), 0.0) is None
    whys = [action.why for action in drained(lb)]
    assert len(whys) == 10
    assert set(whys) == {Why.OVERLOADED, Why.NO_BACKEND}


def test_another_policy_allows_another_lag() -> None:
    lb = balancer(2, queue=QueuePolicy(max_lag=10.0))
    for _ in range(99):
        lb.lagged(9.0, 0.0)
    assert lb.snapshot(0.0).shedding == 0.0
    lb.apply(replace(lb.setup, queue=QueuePolicy()), 0.0)
    lb.lagged(9.0, 0.0)
    lb.lagged(9.0, 0.0)
    assert lb.snapshot(0.0).shedding > 0.0
