"""The balancer, event by event: what comes back, and what comes out."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from lb.balancing import (
    Balancer,
    Changed,
    HealthPolicy,
    Joined,
    Lease,
    Left,
    Outcome,
    OutlierPolicy,
    PanicPolicy,
    Probe,
    ProbeResult,
    QueuePolicy,
    Refuse,
    Settings,
    Setup,
    Start,
    State,
    Swapped,
    Why,
)
from tests.doubles import Request

INFINITY = float("inf")
GOOD, BAD = ProbeResult(ok=True), ProbeResult(ok=False, why="503")


def balancer(
    n: int = 2,
    algorithm: str = "round_robin",
    *,
    max_in_flight: int | str | None = None,
    **more: Any,
) -> Balancer:
    """`n` backends named a, b, ..; without health checks, so all are up at once, unless asked.

    Nobody panics or is ejected, unless asked.
    """
    rng = more.pop("rng", None) or Random(1)
    more.setdefault("panic", PanicPolicy(threshold=0.0))
    more.setdefault("health", HealthPolicy(enabled=False))
    more.setdefault("outliers", OutlierPolicy(enabled=False))
    rows = (
        Settings(f"10.0.0.{i}:80", name="abcdef"[i], max_in_flight=max_in_flight) for i in range(n)
    )
    made: Balancer = Balancer(Setup(tuple(rows), algorithm, **more), rng)
    assert [made.out.popleft() for _ in range(n)] == [Joined(b) for b in made.pool.backends]
    return made


def checked(n: int = 2, **more: Any) -> Balancer:
    """The same with health checks every 10 s, every 1 s while deciding, no jitter."""
    policy = HealthPolicy(interval=10.0, fast_interval=1.0, rise=2, fall=3, jitter=0.0)
    return balancer(n, health=policy, **more)


def drained(lb: Balancer) -> list[Any]:
    """What came out, but for who joined and left."""
    actions = [action for action in lb.out if not isinstance(action, Joined | Left | Swapped)]
    lb.out.clear()
    return actions


def started(lb: Balancer) -> Lease:
    """The one Start that came out."""
    (action,) = drained(lb)
    assert isinstance(action, Start)
    return action.lease


def admitted(lb: Balancer, now: float = 0.0, **call: Any) -> Lease:
    lease = lb.admit(Request(**call), now)
    assert lease is not None
    return lease


def answered(lb: Balancer, results: dict[str, ProbeResult], now: float) -> list[Any]:
    """Wake, answer the probes that come out by name, and return everything else."""
    lb.wake(now)
    rest = []
    for action in drained(lb):
        if isinstance(action, Probe):
            lb.observed(action.backend, now, results.get(action.backend.name, GOOD))
        else:
            rest.append(action)
    return rest + drained(lb)


# --- the common path


def test_a_lease_counts_from_the_pick_to_the_end() -> None:
    lb = balancer()
    lease = admitted(lb, now=3.0)
    assert (lease.backend.name, lease.started_at, lease.backend.active) == ("a", 3.0, 1)
    assert repr(lease) == "<Lease of a open>"
    lease.done(4.0)
    assert (lease.backend.active, lease.backend.picked, lease.backend.succeeded) == (0, 1, 1)
    assert not lb.out


def test_a_lease_ends_once() -> None:
    lease = admitted(balancer())
    lease.done(1.0)
    with pytest.raises(AssertionError, match="twice"):
        lease.done(1.0)
    assert lease.backend.active == 0


@pytest.mark.parametrize(
    ("outcome", "succeeded", "failed"),
    [
        (Outcome.OK, 1, 0),
        (Outcome.CONNECT, 0, 1),
        (Outcome.RESET, 0, 1),
        (Outcome.TIMEOUT, 0, 1),
        (Outcome.SERVER_ERROR, 0, 1),
        (Outcome.CLIENT_GONE, 0, 0),
        (Outcome.CANCELLED, 0, 0),
    ],
)
def test_outcomes_count_for_a_backend_if_they_teach(
    outcome: Outcome, succeeded: int, failed: int
) -> None:
    lease = admitted(balancer())
    lease.done(1.0, outcome)
    backend = lease.backend
    assert (backend.active, backend.succeeded, backend.failed) == (0, succeeded, failed)
    assert (backend.response_time is None) == (outcome is not Outcome.OK)


def test_response_time_is_to_the_first_byte_and_smoothed() -> None:
    lb = balancer(1)
    admitted(lb, now=10.0).done(99.0, first_byte=10.8)
    backend = lb.pool.backends[0]
    assert backend.response_time == pytest.approx(0.8)
    admitted(lb, now=100.0).done(101.6)  # without a first byte, the end
    assert backend.response_time == pytest.approx(0.8 + (1.6 - 0.8) / 8)


def test_it_says_how_it_is() -> None:
    lb = balancer(2, max_in_flight=1, queue=QueuePolicy(limit=5))
    for _ in range(3):
        lb.admit(Request(), 0.0)
    assert repr(lb) == "<Balancer round_robin <Pool 2 up, 0 not, 2 active> 1 waiting>"
    assert repr(lb.pool.backends[0]) == "<Backend a up 1 in flight>"


# --- refusing and waiting


def test_no_backend_no_call() -> None:
    lb = balancer(1)
    lb.set_state(lb.pool.backends[0], State.DOWN, 0.0)
    call = Request()
    assert lb.admit(call, 0.0) is None
    assert drained(lb) == [Refuse(call, Why.NO_BACKEND)]


def test_with_all_at_their_limit_and_no_line_a_call_is_refused() -> None:
    lb = balancer(2, max_in_flight=1)
    admitted(lb)
    admitted(lb)
    call = Request()
    assert lb.admit(call, 0.0) is None
    assert drained(lb) == [Refuse(call, Why.QUEUE_FULL)]


def test_a_call_waits_until_a_backend_is_free() -> None:
    lb = balancer(1, max_in_flight=1, queue=QueuePolicy(limit=2, timeout=5.0))
    lease, calls = admitted(lb), [Request(), Request(), Request()]
    assert [lb.admit(call, 0.5) for call in calls] == [None] * 3
    assert drained(lb) == [Refuse(calls[2], Why.QUEUE_FULL)]
    lease.done(1.0)
    second = started(lb)
    assert (second.call, second.started_at) == (calls[0], 1.0)
    second.done(2.0)
    assert started(lb).call is calls[1]


def test_patience_ends_when_the_alarm_says() -> None:
    lb = balancer(1, max_in_flight=1, queue=QueuePolicy(limit=9, timeout=5.0))
    admitted(lb)
    calls = [Request(), Request()]
    lb.admit(calls[0], 1.0)
    lb.admit(calls[1], 2.0)
    assert lb.wakes_at == 6.0
    lb.wake(6.0)
    assert drained(lb) == [Refuse(calls[0], Why.QUEUE_TIMEOUT)]
    assert lb.wakes_at == 7.0
    lb.wake(7.0)
    assert drained(lb) == [Refuse(calls[1], Why.QUEUE_TIMEOUT)]
    assert lb.wakes_at == INFINITY


def test_a_client_that_left_the_line_is_not_served() -> None:
    lb = balancer(1, max_in_flight=1, queue=QueuePolicy(limit=9))
    lease, gone, stays = admitted(lb), Request(), Request()
    lb.admit(gone, 0.0)
    lb.admit(stays, 0.0)
    assert lb.abandoned(gone)
    assert not lb.abandoned(gone)
    lease.done(0.5)
    assert started(lb).call is stays
    assert not lb.abandoned(stays)


ROOM = {
    "a backend is added": lambda lb: lb.add(Settings("10.0.0.9:80"), 1.0),
    "a backend returns from maintenance": lambda lb: lb.set_state(
        lb.pool.backends[1], State.UP, 1.0
    ),
}


@pytest.mark.parametrize("make_room", ROOM.values(), ids=ROOM)
def test_whatever_makes_room_serves_the_line(make_room: Any) -> None:
    lb = balancer(2, max_in_flight=1, queue=QueuePolicy(limit=9))
    lb.set_state(lb.pool.backends[1], State.MAINT, 0.0)
    admitted(lb)
    call = Request()
    assert lb.admit(call, 0.5) is None
    make_room(lb)
    assert started(lb).call is call


def test_a_backend_that_comes_up_serves_the_line() -> None:
    lb = checked(2, max_in_flight=1, queue=QueuePolicy(limit=9, timeout=60.0))
    answered(lb, {"b": BAD}, 0.0)
    admitted(lb)
    call = Request()
    assert lb.admit(call, 0.0) is None
    actions = answered(lb, {}, 1.0)
    assert [type(action) for action in actions] == [Changed, Start]
    assert (actions[1].lease.call, actions[1].lease.backend.name) == (call, "b")


def test_the_last_one_up_leaves_and_the_unknown_serve_the_line() -> None:
    lb = checked(2, max_in_flight=1, queue=QueuePolicy(limit=9))
    first, second = lb.pool.backends
    lb.observed(first, 0.0, GOOD)
    admitted(lb)
    call = Request()
    assert lb.admit(call, 0.5) is None
    drained(lb)
    lb.remove(first, 1.0)
    lease = started(lb)
    assert (lease.call, lease.backend) == (call, second)


def test_who_is_in_line_is_told_when_the_last_usable_backend_goes() -> None:
    lb = checked(1, max_in_flight=1, queue=QueuePolicy(limit=9))
    answered(lb, {}, 0.0)
    admitted(lb)
    calls = [Request(), Request()]
    for call in calls:
        lb.admit(call, 1.0)
    for at in (1.0, 2.0):
        lb.observed(lb.pool.backends[0], at, BAD)
    assert drained(lb) == []
    lb.observed(lb.pool.backends[0], 3.0, BAD)
    backend = lb.pool.backends[0]
    refused = [Refuse(call, Why.NO_BACKEND) for call in calls]
    assert drained(lb) == [Changed(backend, "503"), *refused]


@pytest.mark.parametrize("take_out", ["maintenance", "removal", "another setup"])
def test_who_is_in_line_is_told_when_the_operator_takes_the_last_one(take_out: str) -> None:
    lb = balancer(1, max_in_flight=1, queue=QueuePolicy(limit=9))
    admitted(lb)
    call = Request()
    lb.admit(call, 1.0)
    backend = lb.pool.backends[0]
    match take_out:
        case "maintenance":
            lb.set_state(backend, State.MAINT, 2.0)
        case "removal":
            lb.remove(backend, 2.0)
        case _:
            lb.apply(replace(lb.setup, backends=()), 2.0)
    assert drained(lb) == [Refuse(call, Why.NO_BACKEND)]


def test_a_line_that_holds_waits_for_a_backend_to_return() -> None:
    lb = balancer(1, max_in_flight=1, queue=QueuePolicy(limit=9, hold=True))
    lease, call = admitted(lb), Request()
    lb.admit(call, 1.0)
    lb.set_state(lease.backend, State.MAINT, 1.5)
    lease.done(1.6)
    assert drained(lb) == []
    lb.set_state(lease.backend, State.UP, 1.7)
    assert started(lb).call is call
