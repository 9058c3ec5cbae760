"""Consistent hash with loads that are bounded at every step."""

from __future__ import annotations

from fractions import Fraction
from math import ceil
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.errors import UsageError
from lb.strategies import create
from tests.doubles import Draws, Server, end, send, servers
from tests.operations import counted, operations
from tests.strategies.hashing import EVENTS, KEYS, SIZE, Fleet, Ring, made, owners, weighing

WEIGHTS = st.lists(st.integers(1, 5), min_size=SIZE, max_size=SIZE)


class Bounded(Fleet):
    """Calls in flight, and the bound that holds for the next one."""

    def __init__(self, factor: float, weights: list[int]) -> None:
        super().__init__(create("consistent_hash", Draws(), {"balance_factor": factor}), weights)
        self.factor = Fraction(str(factor))

    def bound(self, server: Server, among: list[Server]) -> int:
        calls = sum(other.active for other in among) + 1
        weight = sum(Fraction(other.weight) for other in among)
        return ceil(self.factor * calls * Fraction(server.weight) / weight)

    def expected(self, key: bytes, among: list[Server]) -> Server | None:
        ring = Ring([self.servers[order] for order in sorted(self.joined)])
        for server in ring.from_key(key):
            if server in among and server.active < self.bound(server, among):
                return server
        return None


@given(weights=WEIGHTS, factor=st.sampled_from([1, 1.1, 1.25, 2, 3]), events=EVENTS)
def test_nobody_is_ever_sent_more_than_the_bound(
    weights: list[int], factor: float, events: list[tuple[Any, ...]]
) -> None:
    fleet = Bounded(factor, weights)
    for event in events:
        match event:
            case "pick", key, avoid:
                among = fleet.allowed(avoid)
                expected = fleet.expected(key, among)
                avoided = tuple(fleet.servers[order] for order in sorted(avoid))
                picked = send(fleet.strategy, avoided, key=key)
                assert picked is expected
                assert (picked is None) == (not fleet.usable)
            case "end", order:
                if fleet.servers[order].active:
                    end(fleet.strategy, fleet.servers[order])
            case _:
                fleet.tell(*event)


@pytest.mark.parametrize("factor", [1, 1.25, 2])
def test_one_hot_key_is_spread_no_wider_than_needed(factor: float) -> None:
    fleet = Bounded(factor, [1] * SIZE)
    for calls in range(1, 301):
        picked = send(fleet.strategy, key=b"hot")
        assert picked.active <= ceil(Fraction(str(factor)) * calls / SIZE)
    loads = sorted(server.active for server in fleet.servers)
    if factor == 1:
        assert loads == [50] * SIZE
    else:
        assert loads[-1] == ceil(Fraction(str(factor)) * 300 / SIZE)


def test_while_there_is_room_keys_stay_where_they_belong() -> None:
    members = [Server(order, 1, active=10) for order in range(8)]
    bounded = made("consistent_hash", members, balance_factor=1.25)
    assert owners(bounded) == owners(made("consistent_hash", members))


def test_calls_in_flight_from_before_an_exchange_of_algorithms_count() -> None:
    members = [Server(order, 1, active) for order, active in enumerate((9, 0, 0))]
    strategy = made("consistent_hash", members, balance_factor=1)
    assert members[0] not in owners(strategy)


def test_nothing_is_left_over_when_all_have_gone() -> None:
    strategy, members = weighing("consistent_hash", 0.1, 0.2, 0.7, balance_factor=1)
    for server in members:
        send(strategy)
        strategy.leave(server, 0.0)
    assert (strategy._weight, strategy._in_flight, strategy._shares) == (0, 0, {})


@pytest.mark.parametrize("factor", [0.5, -1, 1e9, "nan"])
def test_a_bound_below_the_average_is_refused(factor: object) -> None:
    with pytest.raises(UsageError, match="balance_factor must be 0 or at least 1"):
        create("consistent_hash", Draws(), {"balance_factor": factor})


@counted
def test_the_search_for_room_does_not_grow_with_the_number_of_backends() -> None:
    """Four calls in flight each, a quarter more allowed: few full ones stand in a row."""
    cost = {}
    for size in (16, 1024):
        strategy, _ = weighing("consistent_hash", *[1] * size, balance_factor=1.25)
        under_way = [send(strategy, key=key) for key in (KEYS * 2)[: 4 * size]]
        total = 0
        for done, key in zip(under_way, reversed(KEYS[-200:]), strict=False):
            end(strategy, done)
            total += operations(strategy.pick, 0.0, key)
            send(strategy, key=key)
        cost[size] = total / min(len(under_way), 200)
    assert cost[1024] < 2 * cost[16]


def test_when_rounding_leaves_nobody_room_backends_take_turns() -> None:
    """Ten quadrillion came and went, and the sum of the weights is 8 instead of 6."""
    heavy, *rest = members = servers(1e16, 3, 3)
    strategy = made("consistent_hash", members, balance_factor=1)
    strategy.leave(heavy, 0.0)
    picked = [send(strategy, key=b"%d" % n) for n in range(12)]
    assert [picked.count(server) for server in rest] == [6, 6]


def test_who_was_not_blocked_is_not_counted_twice() -> None:
    strategy, (first, _) = weighing("consistent_hash", 1, 1, balance_factor=1)
    send(strategy, key=b"x")
    before = strategy._weight, strategy._in_flight
    strategy.unblock(first, 0.0)
    assert (strategy._weight, strategy._in_flight) == before
