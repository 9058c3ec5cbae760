"""Laws that hold for every algorithm in the registry, whatever it is for."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterable
from dataclasses import is_dataclass
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.balancing import Balancer, HealthPolicy, Settings
from lb.errors import UsageError
from lb.strategies import REGISTRY, Outcome, Strategy, create, spec
from tests.doubles import Draws, Request, Server, end, joined, send, servers

pytestmark = pytest.mark.parametrize("name", REGISTRY)

SIZE = 5
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


class Fleet:
    """A strategy, the servers it may hear of, and what it has been told about them.

    Events that make no sense in the present state are passed over, as the balancer would.
    """

    def __init__(self, strategy: Strategy[Any], joining: Iterable[int] = range(SIZE)) -> None:
        self.strategy = strategy
        self.servers = servers(*range(1, SIZE + 1))
        self.members: set[int] = set()
        self.blocked: set[int] = set()
        self.picks: list[int | None] = []
        for order in joining:
            self.join(order)

    @property
    def usable(self) -> set[int]:
        return self.members - self.blocked

    def apply(self, event: tuple[Any, ...]) -> None:
        kind, *arguments = event
        getattr(self, kind)(*arguments)

    def join(self, order: int) -> None:
        if order not in self.members:
            self.members.add(order)
            self.strategy.join(self.servers[order], 0.0)

    def leave(self, order: int) -> None:
        if order in self.members:
            self.members.discard(order)
            self.blocked.discard(order)
            self.strategy.leave(self.servers[order], 0.0)

    def block(self, order: int) -> None:
        if order in self.usable:
            self.blocked.add(order)
            self.strategy.block(self.servers[order], 0.0)

    def unblock(self, order: int) -> None:
        if order in self.blocked:
            self.blocked.discard(order)
            self.strategy.unblock(self.servers[order], 0.0)

    def reweigh(self, order: int, weight: float) -> None:
        self.servers[order].weight = weight
        if order in self.members:
            self.strategy.reweigh(self.servers[order], 0.0)

    def send(self, avoid: frozenset[int] = frozenset()) -> None:
        avoided = tuple(self.servers[order] for order in sorted(avoid))
        picked = send(self.strategy, avoided, key=b"%d" % len(self.picks))
        self.picks.append(None if picked is None else picked.order)

    def end(self, order: int) -> None:
        if self.servers[order].active:
            end(self.strategy, self.servers[order])


def replay(name: str, events: Iterable[tuple[Any, ...]], joining: Iterable[int]) -> list[Any]:
    fleet = Fleet(create(name, Random(7)), joining)
    for event in events:
        fleet.apply(event)
    for _ in range(2 * SIZE):
        fleet.send()
    return fleet.picks


# --- what is picked


@given(events=EVENTS)
def test_a_pick_is_usable_and_there_is_one_whenever_anyone_is(
    name: str, events: list[tuple[Any, ...]]
) -> None:
    fleet = Fleet(create(name, Random(1)), joining=())
    for event in events:
        fleet.apply(event)
        fleet.send()
        assert (fleet.picks[-1] in fleet.usable) if fleet.usable else (fleet.picks[-1] is None)


@given(events=EVENTS, avoid=st.frozensets(ORDERS))
def test_avoided_backends_are_picked_only_when_no_other_is_left(
    name: str, events: list[tuple[Any, ...]], avoid: frozenset[int]
) -> None:
    fleet = Fleet(create(name, Random(2)))
    for event in events:
        fleet.apply(event)
        fleet.send(avoid)
        allowed = fleet.usable - avoid or fleet.usable or {None}
        assert fleet.picks[-1] in allowed


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
    name: str, events: list[tuple[Any, ...]], joining: list[int]
) -> None:
    assert replay(name, events, joining) == replay(name, events, range(SIZE))


@given(events=EVENTS)
def test_the_same_seed_and_events_give_the_same_picks(
    name: str, events: list[tuple[Any, ...]]
) -> None:
    assert replay(name, events, range(SIZE)) == replay(name, events, range(SIZE))


def test_nothing_is_drawn_while_one_backend_is_usable(name: str) -> None:
    members = servers(1, 2, 3)
    strategy = joined(create(name, Draws()), members)
    strategy.block(members[0], 0.0)
    strategy.leave(members[1], 0.0)
    assert [send(strategy) for _ in range(5)] == [members[2]] * 5
    end(strategy, members[2])
    assert send(strategy, avoid=(members[2],)) is members[2]


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
    assert is_dataclass(row.params)


def test_an_unknown_parameter_is_refused_by_name(name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} has no parameter 'nonsense'"):
        create(name, Random(0), {"nonsense": 1})
