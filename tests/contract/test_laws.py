"""Laws that hold for every algorithm in the registry, whatever it is for."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from dataclasses import is_dataclass
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.balancing import Balancer, HealthPolicy, Settings
from lb.errors import UsageError
from lb.laws.laws import (
    LAWS,
    SIZE,
    Event,
    Law,
    avoided_come_last,
    picks_are_usable,
    replay,
)
from lb.strategies import REGISTRY, Outcome, Strategy, create, spec
from lb.strategies.spec import CLAIMS
from tests.doubles import Draws, Request, Server, end, joined, send, servers

pytestmark = pytest.mark.parametrize("name", REGISTRY)

ORDERS = st.integers(0, SIZE - 1)
WEIGHTS = st.integers(1, 6)
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["join", "leave", "block", "unblock"]), ORDERS),
        st.tuples(st.just("send"), st.frozensets(ORDERS)),
        st.tuples(st.just("send"), st.just(frozenset())),
        st.tuples(st.just("end"), ORDERS),
        st.tuples(st.just("reweigh"), ORDERS, WEIGHTS),
    ),
    max_size=60,
)


# --- the laws that users run too


@pytest.mark.parametrize("law", LAWS, ids=[law.check.__name__ for law in LAWS])
def test_it_keeps_the_law(name: str, law: Law) -> None:
    if not law.binds(spec(name)):
        pytest.skip(law.unless)
    law.check(spec(name), Random)


# --- what is picked


@given(events=EVENTS)
def test_a_pick_is_usable_and_there_is_one_whenever_anyone_is(
    name: str, events: list[Event]
) -> None:
    picks_are_usable(spec(name), Random, events)


@given(events=EVENTS, avoid=st.frozensets(ORDERS))
def test_avoided_backends_are_picked_only_when_no_other_is_left(
    name: str, events: list[Event], avoid: frozenset[int]
) -> None:
    avoided_come_last(spec(name), Random, events, avoid)


def test_when_all_are_avoided_one_of_them_answers(name: str) -> None:
    members = servers(1, 1, 1)
    strategy = joined(create(name, Random(3)), members)
    assert strategy.pick(0.0, b"", members) in members


def test_avoiding_a_stranger_changes_nothing(name: str) -> None:
    member, stranger = servers(1, 1)
    strategy = joined(create(name, Draws()), [member])
    assert strategy.pick(0.0, b"", (stranger,)) is member
    assert strategy.pick(0.0, b"", (stranger, member)) is member


def test_a_backend_may_be_named_twice_among_the_avoided(name: str) -> None:
    """A call that has failed twice at the only backend comes with it named twice."""
    only, late = servers(1, 1)
    strategy = joined(create(name, Draws()), [only])
    for _ in range(3):
        assert send(strategy, avoid=(only, only)) is only
    strategy.leave(only, 0.0)
    assert strategy.pick(0.0) is None
    strategy.join(late, 0.0)
    assert strategy.pick(0.0) is late


def test_an_empty_strategy_answers_none(name: str) -> None:
    assert create(name, Draws()).pick(0.0) is None


def test_a_blocked_backend_returns(name: str) -> None:
    first, second = members = servers(1, 1)
    strategy = joined(create(name, Random(4)), members)
    strategy.block(first, 0.0)
    assert {send(strategy) for _ in range(20)} == {second}
    strategy.unblock(first, 0.0)
    strategy.block(second, 0.0)
    assert {send(strategy) for _ in range(20)} == {first}
    strategy.unblock(second, 0.0)
    assert {strategy.pick(0.0, b"", (other,)) for other in members} == {first, second}


def test_a_blocked_backend_may_leave_and_comes_back_unblocked(name: str) -> None:
    first, second = members = servers(1, 1)
    strategy = joined(create(name, Random(5)), members)
    strategy.block(first, 0.0)
    strategy.leave(first, 0.0)
    assert {send(strategy) for _ in range(10)} == {second}
    strategy.join(first, 0.0)
    assert strategy.pick(0.0, b"", (second,)) is first


# --- what it depends on


@given(events=EVENTS, joining=st.permutations(range(SIZE)))
def test_the_order_of_joining_never_matters(
    name: str, events: list[Event], joining: list[int]
) -> None:
    row = spec(name)
    assert replay(row, Random, events, joining) == replay(row, Random, events)


@given(events=EVENTS)
def test_the_same_seed_and_events_give_the_same_picks(name: str, events: list[Event]) -> None:
    assert replay(spec(name), Random, events) == replay(spec(name), Random, events)


def test_the_largest_random_number_is_no_backend_too_far(name: str) -> None:
    members = servers(1, 1, 1)
    strategy = joined(create(name, Draws(*[1 - 2**-53] * 100)), members)
    assert all(strategy.pick(0.0) in members for _ in range(10))


# --- what it keeps


def send_until(strategy: Strategy[Any], enough: Callable[[], bool]) -> None:
    """Calls of different keys."""
    for number in range(1000):
        if enough():
            return
        send(strategy, key=b"%d" % number)
    raise AssertionError("a backend is never picked")


def test_a_call_may_end_after_its_backend_has_left(name: str) -> None:
    gone, stays = members = servers(1, 1)
    strategy = joined(create(name, Random(6)), members)
    send_until(strategy, lambda: gone.active == 3)
    strategy.leave(gone, 0.0)
    while gone.active:
        end(strategy, gone)
    assert {send(strategy) for _ in range(10)} == {stays}
    strategy.join(gone, 0.0)
    strategy.leave(stays, 0.0)
    assert send(strategy) is gone


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_may_end_a_call(name: str, outcome: Outcome) -> None:
    members = servers(1, 1)
    strategy = joined(create(name, Random(8)), members)
    for _ in range(10):
        picked = send(strategy)
        assert picked in members
        picked.active -= 1
        strategy.finished(picked, 1.0, outcome, 0.5)


def leave_idle(strategy: Strategy[Any], gone: Server) -> None:
    strategy.leave(gone, 0.0)


def leave_busy(strategy: Strategy[Any], gone: Server) -> None:
    send_until(strategy, lambda: gone.active == 1)
    strategy.leave(gone, 0.0)
    while gone.active:
        end(strategy, gone)


def leave_blocked(strategy: Strategy[Any], gone: Server) -> None:
    strategy.block(gone, 0.0)
    strategy.leave(gone, 0.0)


def leave_avoided(strategy: Strategy[Any], gone: Server) -> None:
    send(strategy, avoid=(gone,))
    strategy.leave(gone, 0.0)


def leave_reweighed(strategy: Strategy[Any], gone: Server) -> None:
    gone.weight = 9
    strategy.reweigh(gone, 0.0)
    strategy.leave(gone, 0.0)


@pytest.mark.parametrize(
    "depart", [leave_idle, leave_busy, leave_blocked, leave_avoided, leave_reweighed]
)
def test_a_departed_backend_is_not_kept_alive(
    name: str, depart: Callable[[Strategy[Any], Server], None]
) -> None:
    members = servers(1, 2, 3)
    strategy = joined(create(name, Random(9)), members)
    gone = weakref.ref(members[1])
    depart(strategy, members.pop(1))
    gc.collect()
    assert gone() is None
    assert strategy.pick(0.0) in members


@pytest.mark.parametrize("successor", REGISTRY)
def test_an_exchange_of_algorithms_forgets_no_call_in_flight(name: str, successor: str) -> None:
    balancer = Balancer(
        [Settings(f"10.0.0.{i}:80", weight=i) for i in (1, 2, 3)],
        name,
        rng=Random(10),
        health=HealthPolicy(enabled=False),
    )
    backends = balancer.pool.backends
    leases = [balancer.admit(Request(), 0.0) for _ in range(9)]
    before = [backend.active for backend in backends]
    balancer.swap(successor, now=1.0)
    assert [backend.active for backend in backends] == before
    assert balancer.algorithm == successor
    leases += [balancer.admit(Request(), 1.0) for _ in range(9)]
    assert sum(backend.active for backend in backends) == 18
    for lease in leases:
        lease.done(2.0)
    assert [backend.active for backend in backends] == [0, 0, 0]


# --- its row in the registry


def test_its_row_says_what_people_must_know(name: str) -> None:
    row = spec(name)
    assert row.name == name
    assert row.summary
    assert row.cost.startswith("O(")
    assert row.avoid_when
    assert row.needs <= {"key", "weights", "latency", "probes", "sets_cookie"}
    assert row.claims <= CLAIMS
    assert is_dataclass(row.params)


def test_an_unknown_parameter_is_refused_by_name(name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} has no parameter 'nonsense'"):
        create(name, Random(0), {"nonsense": 1})
