"""The line and the limits inside a balancer: nobody jumps it, nobody is above its limit."""

from __future__ import annotations

from dataclasses import replace

from lb.balancing import (
    Balancer,
    HedgePolicy,
    Outcome,
    QueuePolicy,
    Refuse,
    RetryPolicy,
    Start,
    Why,
)
from lb.balancing.limits import SAMPLES
from tests.balancing.test_balancer import admitted, balancer, drained, started
from tests.doubles import Request

ADAPTIVE = QueuePolicy(limit=3, timeout=10.0, discipline="adaptive")


def test_in_a_crowd_the_newest_is_served_and_then_those_before() -> None:
    lb = balancer(1, max_in_flight=1, queue=ADAPTIVE)
    lease = admitted(lb)
    calls = [Request() for _ in range(3)]
    for now, call in enumerate(calls):
        assert lb.admit(call, now * 0.1) is None
    served = []
    for now in (1.0, 1.1, 1.2):
        lease.done(now)
        lease = started(lb)
        served.append(lease.call)
    assert served == calls[::-1]


def test_a_full_line_in_a_crowd_refuses_the_oldest_and_the_books_balance() -> None:
    lb = balancer(1, max_in_flight=1, queue=ADAPTIVE)
    admitted(lb)
    calls = [Request() for _ in range(5)]
    for now, call in enumerate(calls):
        lb.admit(call, float(now))
    assert drained(lb) == [Refuse(call, Why.QUEUE_FULL) for call in calls[:1]] + [
        Refuse(calls[1], Why.QUEUE_FULL)
    ]
    now = lb.snapshot(5.0)
    assert (now.requests, now.turned_away, now.waiting) == (6, 2, 3)


def test_who_came_to_a_crowd_is_told_soon() -> None:
    lb = balancer(1, max_in_flight=1, queue=ADAPTIVE)
    admitted(lb)
    early, late = Request(), Request()
    lb.admit(early, 0.0)
    lb.admit(late, 2.0)
    assert lb.wakes_at == 3.0
    lb.wake(3.0)
    assert drained(lb) == [Refuse(late, Why.QUEUE_TIMEOUT)]
    assert lb.wakes_at == 10.0


def test_a_retry_does_not_jump_the_line() -> None:
    lb = balancer(2, max_in_flight=1, queue=ADAPTIVE, retries=RetryPolicy(max=3))
    first, second = admitted(lb), admitted(lb)
    waits = Request()
    assert lb.admit(waits, 0.0) is None
    lb.failed(first, 0.1, Outcome.CONNECT, sent=False)
    start, refusal = drained(lb)
    assert isinstance(start, Start)
    assert start.lease.call is waits
    assert refusal == Refuse(first.call, Outcome.CONNECT)
    lb.failed(second, 0.2, Outcome.CONNECT, sent=False)
    assert started(lb).call is second.call, "nobody waits now, so there is a place for it"


def test_a_hedge_does_not_jump_the_line() -> None:
    lb = balancer(2, max_in_flight=1, queue=ADAPTIVE, hedging=HedgePolicy(after=0.1))
    first, second = admitted(lb), admitted(lb)
    waits = Request()
    assert lb.admit(waits, 0.0) is None
    lb.wake(0.1)
    assert drained(lb) == [], "both are slow, and there is no place beside who waits"
    assert lb.snapshot(0.1).hedged == 0
    second.done(0.2)
    assert started(lb).call is waits
    assert first.open


def test_an_answer_that_is_declined_does_not_jump_the_line() -> None:
    lb = balancer(2, max_in_flight=1, queue=ADAPTIVE, retries=RetryPolicy(max=3, on=(503,)))
    first, _ = admitted(lb), admitted(lb)
    assert lb.admit(Request(), 0.0) is None
    assert not lb.declined(first, 0.1, 503), "so the answer stands"
    assert drained(lb) == []


def test_a_running_balancer_takes_another_discipline() -> None:
    lb = balancer(1, max_in_flight=1, queue=replace(ADAPTIVE, discipline="fifo"))
    lease = admitted(lb)
    for now in (0.0, 1.0):
        lb.admit(Request(key=b"%d" % now), now)
    lb.apply(replace(lb.setup, queue=ADAPTIVE), 2.0)
    lease.done(2.0)
    assert started(lb).call.key == b"1"


# --- adaptive limits


def crowd(lb: Balancer, now: float, latency: float) -> float:
    """A window of answers of the first backend, all places of which are taken; when it ended."""
    backend = lb.pool.backends[0]
    count = 0
    while count < SAMPLES:
        leases = []
        while (lease := lb.admit(Request(), now)) is not None:
            leases.append(lease)
        assert backend.active == backend.limit
        now += latency
        for lease in leases:
            count += 1
            lease.done(now)
        lb.out.clear()
    return now


def test_an_adaptive_limit_begins_at_twenty_and_follows_the_answers() -> None:
    lb = balancer(1, max_in_flight="adaptive")
    assert lb.snapshot(0.0).backends[0].max_in_flight == 20
    crowd(lb, 0.0, 0.1)
    assert lb.pool.backends[0].limit == 10, "a start in a crowd is on trial"


def test_a_limit_that_rises_serves_the_line() -> None:
    lb = balancer(1, max_in_flight="adaptive", queue=QueuePolicy(limit=99))
    backend = lb.pool.backends[0]
    own = lb.fleet.limits._limits[backend]
    own.unloaded = 0.1
    leases = [admitted(lb) for _ in range(20)]
    waiting = [Request() for _ in range(60)]
    for call in waiting:
        assert lb.admit(call, 0.0) is None
    now = 0.1
    served = []
    while backend.limit == 20:
        leases.pop(0).done(now)
        for action in drained(lb):
            assert isinstance(action, Start)
            served.append(action.lease.call)
            leases.append(action.lease)
        now += 0.002
    assert backend.limit > 20
    assert backend.active == backend.limit == len(leases)
    assert served == waiting[: len(served)]


def test_a_limit_that_falls_lets_what_is_in_flight_end_and_takes_nothing_until_then() -> None:
    lb = balancer(1, max_in_flight="adaptive")
    backend = lb.pool.backends[0]
    leases = [admitted(lb) for _ in range(20)]
    lb.fleet.limits._limits[backend]._value = 5.0
    lb.apply(lb.setup, 1.0)
    assert backend.limit == 5
    for active in range(20, 4, -1):
        assert backend.active == active
        assert lb.admit(Request(), 2.0) is None
        leases.pop().done(2.0)
    admitted(lb, 2.0)
    assert backend.active == 5


def test_adaptive_and_fixed_change_places_and_a_backend_that_leaves_is_forgotten() -> None:
    lb = balancer(2)
    rows = [replace(row, max_in_flight="adaptive") for row in lb.setup.backends]
    lb.apply(replace(lb.setup, backends=tuple(rows)), 0.0)
    assert list(lb.fleet.limits._limits) == lb.pool.backends
    lb.remove(lb.pool.backends[0], 0.0)
    assert list(lb.fleet.limits._limits) == lb.pool.backends
    lb.apply(replace(lb.setup, backends=(replace(rows[1], max_in_flight=4),)), 0.0)
    assert not lb.fleet.limits, "nothing is fed where nothing is adaptive"
    assert lb.snapshot(0.0).backends[0].max_in_flight == 4
    lb.apply(replace(lb.setup, backends=(replace(rows[1], max_in_flight=None),)), 0.0)
    assert lb.snapshot(0.0).backends[0].max_in_flight is None
