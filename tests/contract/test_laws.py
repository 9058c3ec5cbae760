"""Laws that hold for every algorithm in the registry, whatever it is for, at all of its cases."""

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

from lb.balancing import Balancer, HealthPolicy, Settings, Setup
from lb.errors import UsageError
from lb.laws import LAWS, Law
from lb.laws.kit import SIZE, Event
from lb.laws.membership import avoided_come_last, picks_are_usable, replay
from lb.laws.reasons import reasons_hold
from lb.strategies import REGISTRY, Outcome, Spec, Strategy
from lb.strategies.registry import build
from lb.strategies.spec import CLAIMS
from tests.doubles import Draws, Request, Server, end, joined, send, servers

CASES = {case.title: case for row in REGISTRY.values() for case in row.cases}
BOUND = {
    f"{title}-{law.check.__name__}": (case, law)
    for title, case in CASES.items()
    for law in LAWS
    if law.binds(case)
}
QUICK = {title: case for title, case in CASES.items() if title != "maglev"}
"""A table of 65537 entries is filled at every change; the smaller ones do the same."""
for_all = pytest.mark.parametrize("row", CASES.values(), ids=CASES)
for_any_course = pytest.mark.parametrize("row", QUICK.values(), ids=QUICK)

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


@pytest.mark.parametrize(("row", "law"), BOUND.values(), ids=BOUND)
def test_it_keeps_the_law(row: Spec, law: Law) -> None:
    law.check(row, Random)


def test_every_law_binds_somebody_and_tells_the_others_why() -> None:
    for law in LAWS:
        bound = [law.binds(case) for case in CASES.values()]
        assert any(bound)
        assert all(bound) or law.unless


# --- what is picked


@for_any_course
@given(events=EVENTS)
def test_a_pick_is_usable_and_there_is_one_whenever_anyone_is(
    row: Spec, events: list[Event]
) -> None:
    picks_are_usable(row, Random, events)


@for_any_course
@given(events=EVENTS, avoid=st.frozensets(ORDERS))
def test_avoided_backends_are_picked_only_when_no_other_is_left(
    row: Spec, events: list[Event], avoid: frozenset[int]
) -> None:
    avoided_come_last(row, Random, events, avoid)


@for_all
def test_when_all_are_avoided_one_of_them_answers(row: Spec) -> None:
    members = servers(1, 1, 1)
    strategy = joined(build(row, Random(3)), members)
    assert strategy.pick(0.0, b"", members) in members


@for_all
def test_avoiding_a_stranger_changes_nothing(row: Spec) -> None:
    member, stranger = servers(1, 1)
    strategy = joined(build(row, Draws()), [member])
    assert strategy.pick(0.0, b"", (stranger,)) is member
    assert strategy.pick(0.0, b"", (stranger, member)) is member


@for_all
def test_a_backend_may_be_named_twice_among_the_avoided(row: Spec) -> None:
    """A call that has failed twice at the only backend comes with it named twice."""
    only, late = servers(1, 1)
    strategy = joined(build(row, Draws()), [only])
    for _ in range(3):
        assert send(strategy, avoid=(only, only)) is only
    strategy.leave(only, 0.0)
    assert strategy.pick(0.0) is None
    strategy.join(late, 0.0)
    assert strategy.pick(0.0) is late


@for_all
def test_an_empty_strategy_answers_none(row: Spec) -> None:
    assert build(row, Draws()).pick(0.0) is None


@for_all
def test_an_empty_strategy_explains_that_there_is_nobody(row: Spec) -> None:
    asked: Any = build(row, Draws())
    assert len(asked.explain(0.0, b"key").candidates) == 0


@for_all
def test_a_blocked_backend_returns(row: Spec) -> None:
    first, second = members = servers(1, 1)
    strategy = joined(build(row, Random(4)), members)
    strategy.block(first, 0.0)
    assert {send(strategy) for _ in range(20)} == {second}
    strategy.unblock(first, 0.0)
    strategy.block(second, 0.0)
    assert {send(strategy) for _ in range(20)} == {first}
    strategy.unblock(second, 0.0)
    assert {strategy.pick(0.0, b"", (other,)) for other in members} == {first, second}


@for_all
def test_a_blocked_backend_may_leave_and_comes_back_unblocked(row: Spec) -> None:
    first, second = members = servers(1, 1)
    strategy = joined(build(row, Random(5)), members)
    strategy.block(first, 0.0)
    strategy.leave(first, 0.0)
    assert {send(strategy) for _ in range(10)} == {second}
    strategy.join(first, 0.0)
    assert strategy.pick(0.0, b"", (second,)) is first


# --- what it depends on


@for_any_course
@given(events=EVENTS, joining=st.permutations(range(SIZE)))
def test_the_order_of_joining_never_matters(
    row: Spec, events: list[Event], joining: list[int]
) -> None:
    assert replay(row, Random, events, joining) == replay(row, Random, events)


@for_any_course
@given(events=EVENTS)
def test_the_same_seed_and_events_give_the_same_picks(row: Spec, events: list[Event]) -> None:
    assert replay(row, Random, events) == replay(row, Random, events)


@for_any_course
@given(events=EVENTS)
def test_what_is_explained_is_picked_and_to_ask_changes_nothing(
    row: Spec, events: list[Event]
) -> None:
    assert reasons_hold(row, Random, events) == replay(row, Random, events)


@for_all
def test_the_largest_random_number_is_no_backend_too_far(row: Spec) -> None:
    members = servers(1, 1, 1)
    strategy = joined(build(row, Draws(*[1 - 2**-53] * 100)), members)
    assert all(strategy.pick(0.0) in members for _ in range(10))


# --- what it keeps


def send_until(strategy: Strategy[Any], enough: Callable[[], bool]) -> None:
    """Calls of different keys."""
    for number in range(1000):
        if enough():
            return
        send(strategy, key=b"%d" % number)
    raise AssertionError("a backend is never picked")


@for_all
def test_a_call_may_end_after_its_backend_has_left(row: Spec) -> None:
    gone, stays = members = servers(1, 1)
    strategy = joined(build(row, Random(6)), members)
    send_until(strategy, lambda: gone.active == 3)
    strategy.leave(gone, 0.0)
    while gone.active:
        end(strategy, gone)
    assert {send(strategy) for _ in range(10)} == {stays}
    strategy.join(gone, 0.0)
    strategy.leave(stays, 0.0)
    assert send(strategy) is gone


@for_all
@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_may_end_a_call(row: Spec, outcome: Outcome) -> None:
    members = servers(1, 1)
    strategy = joined(build(row, Random(8)), members)
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


@for_all
@pytest.mark.parametrize(
    "depart", [leave_idle, leave_busy, leave_blocked, leave_avoided, leave_reweighed]
)
def test_a_departed_backend_is_not_kept_alive(
    row: Spec, depart: Callable[[Strategy[Any], Server], None]
) -> None:
    members = servers(1, 2, 3)
    strategy = joined(build(row, Random(9)), members)
    gone = weakref.ref(members[1])
    depart(strategy, members.pop(1))
    gc.collect()
    assert gone() is None
    assert strategy.pick(0.0) in members


@pytest.mark.parametrize("name", REGISTRY)
@pytest.mark.parametrize("successor", REGISTRY)
def test_an_exchange_of_algorithms_forgets_no_call_in_flight(name: str, successor: str) -> None:
    balancer = Balancer(
        Setup(
            tuple(Settings(f"10.0.0.{i}:80", weight=i) for i in (1, 2, 3)),
            name,
            health=HealthPolicy(enabled=False),
        ),
        Random(10),
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


@for_all
def test_its_row_says_what_people_must_know(row: Spec) -> None:
    assert REGISTRY[row.name].name == row.name
    assert row.summary
    assert row.cost.startswith("O(")
    assert row.avoid_when
    assert row.needs <= {"key", "weights", "latency", "probes", "reports", "sets_cookie"}
    assert row.claims <= CLAIMS
    assert is_dataclass(row.params)


@for_all
def test_an_unknown_parameter_is_refused_by_name(row: Spec) -> None:
    with pytest.raises(UsageError, match=f"{row.name} has no parameter 'nonsense'"):
        build(row, Random(0), {"nonsense": 1})
