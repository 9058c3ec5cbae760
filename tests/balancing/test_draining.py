"""Draining: nobody new, what is in flight ends, clients at home stay, and the end is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from lb.balancing import (
    Balancer,
    Changed,
    Drained,
    Joined,
    Left,
    Outcome,
    ProbeResult,
    QueuePolicy,
    Refuse,
    Settings,
    Start,
    State,
    Why,
)
from lb.strategies.sticky import token
from tests.balancing.test_balancer import (
    BAD,
    GOOD,
    admitted,
    answered,
    balancer,
    checked,
    drained,
)
from tests.doubles import Request

WISH = ProbeResult(ok=True, why="wishes to drain", drain=True)


def by_operator(lb: Balancer, at: float) -> None:
    lb.set_state(lb.pool.backends[0], State.DRAIN, at)


def by_itself(lb: Balancer, at: float) -> None:
    lb.observed(lb.pool.backends[0], at, WISH)


WAYS = pytest.mark.parametrize("drain", [by_operator, by_itself])
Drain = Callable[[Balancer, float], None]


def well(n: int = 2, algorithm: str = "round_robin", **more: Any) -> Balancer:
    lb = checked(n, algorithm=algorithm, **more)
    answered(lb, {}, 0.0)
    return lb


def news(lb: Balancer) -> list[Any]:
    return [action for action in drained(lb) if isinstance(action, Changed | Drained)]


@WAYS
def test_no_new_calls_and_the_end_of_the_last_one_is_told(drain: Drain) -> None:
    lb = well()
    mine, _, second = [admitted(lb) for _ in range(3)]
    first = mine.backend
    drain(lb, 1.0)
    assert first.standing == "drain"
    assert Drained(first) not in drained(lb)
    assert {admitted(lb).backend.name for _ in range(4)} == {"b"}
    mine.done(2.0)
    assert news(lb) == []
    second.done(3.0, Outcome.RESET)
    assert news(lb) == [Drained(first)]
    assert (lb.snapshot(3.0).backends[0].draining, first.active) == (True, 0)


@WAYS
def test_the_end_is_told_at_once_where_nothing_is_in_flight(drain: Drain) -> None:
    lb = well()
    drain(lb, 1.0)
    assert news(lb)[-1] == Drained(lb.pool.backends[0])
    lb.observed(lb.pool.backends[1], 1.0, GOOD)
    assert news(lb) == [], "and once"


def test_a_backend_that_is_back_before_its_end_has_not_drained() -> None:
    lb = well()
    lease = admitted(lb)
    by_operator(lb, 1.0)
    lb.set_state(lease.backend, State.UP, 2.0)
    lease.done(3.0)
    assert news(lb) == []
    assert {admitted(lb).backend.name for _ in range(4)} == {"a", "b"}


def test_a_backend_takes_its_wish_back_with_an_answer_and_not_by_silence() -> None:
    lb = well()
    first, _ = lb.pool.backends
    by_itself(lb, 1.0)
    assert news(lb)[0] == Changed(first, "wishes to drain")
    lb.observed(first, 2.0, BAD)
    assert (first.draining, first.usable) == (True, False)
    lb.observed(first, 3.0, GOOD)
    assert (first.draining, first.usable) == (False, True)
    assert news(lb) == [Changed(first, "")]


def test_a_backend_that_fails_its_checks_may_wish_to_drain_too() -> None:
    lb = well()
    lb.observed(lb.pool.backends[0], 1.0, replace(WISH, ok=False))
    assert lb.pool.backends[0].standing == "drain"


def test_the_wish_of_the_operator_is_said_first() -> None:
    lb = well()
    by_itself(lb, 1.0)
    lb.set_state(lb.pool.backends[0], State.MAINT, 2.0)
    row = lb.snapshot(2.0).backends[0]
    assert (row.state, row.draining) == ("maint", False)


def test_a_backend_that_is_not_in_another_setup_ends_what_it_has_and_is_gone() -> None:
    lb = well()
    lease, _ = admitted(lb), admitted(lb)
    lb.apply(replace(lb.setup, backends=lb.setup.backends[1:]), 1.0)
    assert Left(lease.backend) in lb.out
    assert {admitted(lb).backend.name for _ in range(4)} == {"b"}
    lease.done(2.0)
    assert (lease.backend.active, lease.backend.succeeded) == (0, 1)
    assert [row.name for row in lb.snapshot(2.0).backends] == ["b"]


@WAYS
def test_who_waits_is_told_when_all_others_drain(drain: Drain) -> None:
    lb = well(1, max_in_flight=1, queue=QueuePolicy(limit=5))
    admitted(lb)
    call = Request()
    assert lb.admit(call, 0.5) is None
    drain(lb, 1.0)
    assert Refuse(call, Why.NO_BACKEND) in drained(lb)


# --- clients who come back


def sticky(n: int = 2, **more: Any) -> Balancer:
    """Each of ann, bob, .. has been to the backend of its letter."""
    settings = more.pop("settings", {})
    lb = well(n, "sticky", settings=settings, **more)
    for name in (b"ann", b"bob", b"cy")[:n]:
        admitted(lb, key=name).done(0.0)
    return lb


def home(lb: Balancer, key: bytes, now: float = 2.0) -> str:
    lease = admitted(lb, now, key=key)
    lease.done(now)
    return lease.backend.name


@WAYS
def test_clients_at_home_stay_with_a_backend_that_drains_and_nobody_comes(drain: Drain) -> None:
    lb = sticky()
    drain(lb, 1.0)
    assert [home(lb, b"ann") for _ in range(5)] == ["a"] * 5
    assert home(lb, token(lb.pool.backends[0].address)) == "a", "a cookie says the same"
    assert {home(lb, b"new %d" % n) for n in range(9)} == {"b"}
    assert home(lb, b"") == "b"


def moved(lb: Balancer, end: str) -> None:
    first = lb.pool.backends[0]
    match end:
        case "maintenance":
            lb.set_state(first, State.MAINT, 2.0)
        case "removal":
            lb.remove(first, 2.0)
        case "another setup":
            lb.apply(replace(lb.setup, backends=lb.setup.backends[1:]), 2.0)
        case "its checks":
            for _ in range(3):
                lb.observed(first, 2.0, replace(BAD, drain=True))


@WAYS
@pytest.mark.parametrize("end", ["maintenance", "removal", "another setup", "its checks"])
def test_clients_move_when_it_is_gone_and_stay_where_they_are_then(drain: Drain, end: str) -> None:
    lb = sticky(3)
    drain(lb, 1.0)
    assert home(lb, b"ann") == "a"
    moved(lb, end)
    new = home(lb, b"ann")
    assert new in "bc"
    assert {home(lb, b"ann") for _ in range(5)} == {new}
    assert home(lb, b"bob") == "b"


def test_clients_move_when_the_time_of_the_drain_is_over() -> None:
    lb = sticky(2, settings={"drain": "30s"})
    by_operator(lb, 10.0)
    assert home(lb, b"ann", 39.9) == "a"
    assert home(lb, b"ann", 40.0) == "b"
    lease = admitted(lb, 41.0, key=b"ann")
    assert lease.backend.name == "b"
    lb.set_state(lb.pool.backends[0], State.UP, 42.0)
    assert home(lb, b"ann", 43.0) == "b", "a new home is a home"
    assert {home(lb, b"new %d" % n, 44.0) for n in range(4)} == {"a", "b"}


def test_clients_whose_backend_is_up_again_have_never_left_it() -> None:
    lb = sticky()
    by_operator(lb, 1.0)
    assert home(lb, b"ann") == "a"
    lb.set_state(lb.pool.backends[0], State.UP, 3.0)
    assert home(lb, b"ann") == "a"
    assert {home(lb, b"new %d" % n) for n in range(4)} == {"a", "b"}


@pytest.mark.parametrize("inner", ["round_robin", "least_connections", "p2c", "prequal"])
def test_limits_hold_for_clients_who_stay(inner: str) -> None:
    """At its limit they are lent to another, and nobody new comes in when there is room again."""
    lb = sticky(2, max_in_flight=2, settings={"inner": inner})
    where = home(lb, b"ann")
    at = next(backend for backend in lb.pool.backends if backend.name == where)
    lb.set_state(at, State.DRAIN, 1.0)
    leases = [admitted(lb, 2.0, key=b"ann") for _ in range(3)]
    assert [lease.backend is at for lease in leases] == [True, True, False]
    leases[0].done(3.0)
    assert admitted(lb, 3.0, key=b"new").backend is not at
    assert admitted(lb, 3.0, key=b"ann").backend is at
    assert at.active == 2


def test_who_waits_for_a_backend_that_drains_goes_there_when_there_is_room() -> None:
    lb = sticky(2, max_in_flight=1, queue=QueuePolicy(limit=5))
    lease, _ = admitted(lb, 1.0, key=b"ann"), admitted(lb, 1.0, key=b"bob")
    by_operator(lb, 1.0)
    call = Request(key=b"ann")
    assert lb.admit(call, 1.5) is None
    drained(lb)
    lease.done(2.0)
    again = [action.lease for action in lb.out if isinstance(action, Start)]
    assert [(it.call, it.backend) for it in again] == [(call, lease.backend)]


def test_who_finds_nobody_but_a_full_backend_that_drains_is_refused() -> None:
    lb = sticky(1, max_in_flight=1, queue=QueuePolicy(limit=5))
    admitted(lb, 1.0, key=b"ann")
    by_operator(lb, 1.0)
    call = Request(key=b"ann")
    assert lb.admit(call, 1.5) is None
    assert drained(lb)[-1] == Refuse(call, Why.NO_BACKEND)


def test_another_algorithm_knows_of_the_drain_too() -> None:
    lb = balancer(2)
    lb.set_state(lb.pool.backends[0], State.DRAIN, 0.0)
    drained(lb)
    lb.swap("sticky", now=1.0)
    cookie = token(lb.pool.backends[0].address)
    assert [home(lb, cookie), home(lb, b"new")] == ["a", "b"]
    lb.swap("round_robin", now=2.0)
    assert {home(lb, cookie) for _ in range(4)} == {"b"}
    assert news(lb) == [], "it drains as before"


def test_a_backend_that_joins_drains_when_it_says_so_first() -> None:
    lb = sticky()
    added = lb.add(Settings("10.0.0.9:80", name="z"), 1.0)
    assert lb.out.popleft() == Joined(added)
    lb.observed(added, 1.0, WISH)
    assert home(lb, token(added.address)) == "z"
    assert {home(lb, b"new %d" % n) for n in range(6)} == {"a", "b"}


def test_a_drain_is_told_once_and_before_what_comes_of_it() -> None:
    lb = well()
    drained(lb)
    first = lb.pool.backends[0]
    lb.observed(first, 1.0, WISH)
    assert news(lb) == [Changed(first, "wishes to drain"), Drained(first)]


def test_a_first_answer_that_says_drain_is_one_piece_of_news() -> None:
    lb = checked(1)
    (first,) = lb.pool.backends
    drained(lb)
    lb.observed(first, 1.0, WISH)
    assert [it for it in news(lb) if isinstance(it, Changed)] == [Changed(first, "wishes to drain")]
    assert first.standing == "drain"
