"""Rendezvous: the highest score, and nothing moves that need not."""

from __future__ import annotations

from collections import Counter
from hashlib import blake2b
from math import log
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.strategies import create
from lb.strategies.rendezvous import uniform
from tests.doubles import Draws, Server, servers
from tests.operations import counted, operations
from tests.strategies.hashing import (
    EVENTS,
    KEYS,
    SIZE,
    Fleet,
    made,
    moved,
    owners,
    p_value,
    recorded,
    weighing,
)

RECORDED = recorded("rendezvous")
U64 = 2**64


@pytest.mark.parametrize(("weights", "letters"), RECORDED["sequences"].items())
def test_no_release_moves_a_key_unnoticed(weights: str, letters: str) -> None:
    strategy, _ = weighing("rendezvous", *map(int, weights.split(",")))
    assert "".join(map(repr, owners(strategy, [k.encode() for k in RECORDED["keys"]]))) == letters


def score(server: Server, key: bytes) -> float:
    """As documented: -weight / ln(u), u from both hashes mixed."""
    word = 0
    for part in (key, server.address.encode()):
        word ^= int.from_bytes(blake2b(part, digest_size=8).digest(), "big")
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        word = (word ^ word >> 33) * factor % U64
    word ^= word >> 33
    return -server.weight / log((word // 4096 | 1) / 2**52)


@given(
    weights=st.lists(st.floats(0.1, 9), min_size=SIZE, max_size=SIZE),
    events=EVENTS,
)
def test_it_picks_the_highest_score_of_those_that_may_be_picked(
    weights: list[float], events: list[tuple[Any, ...]]
) -> None:
    fleet = Fleet(create("rendezvous", Draws()), weights)
    for event in events:
        match event:
            case "pick", key, avoid:
                allowed = fleet.allowed(avoid)
                expected = max(allowed, key=lambda server: score(server, key), default=None)
                avoided = [fleet.servers[order] for order in sorted(avoid)]
                assert fleet.strategy.pick(0.0, key, avoided) is expected
            case "end", _:
                pass
            case _:
                fleet.tell(*event)


@pytest.mark.parametrize("weights", [(1, 1), (1, 1, 1, 1, 1), (1, 2, 5), (0.1, 0.2, 0.7)])
def test_keys_are_shared_by_weight(weights: tuple[float, ...]) -> None:
    strategy, members = weighing("rendezvous", *weights)
    assert p_value(owners(strategy), members, weights) > 0.001


def test_the_second_best_are_spread_by_weight_too() -> None:
    strategy, members = weighing("rendezvous", 1, 2, 3, 4)
    mine = [key for key in KEYS if strategy.pick(0.0, key) is members[3]]
    strategy.leave(members[3], 0.0)
    assert p_value(owners(strategy, mine), members[:3], [1, 2, 3]) > 0.001


@pytest.mark.parametrize("event", ["leave", "block"])
def test_only_the_keys_of_whoever_goes_move(event: str) -> None:
    strategy, members = weighing("rendezvous", 1, 2, 3, 1)
    before = owners(strategy)
    getattr(strategy, event)(members[1], 0.0)
    movements = moved(before, owners(strategy))
    assert {one for one, _ in movements} == {members[1]}
    assert len(movements) == Counter(before)[members[1]]
    (strategy.join if event == "leave" else strategy.unblock)(members[1], 0.0)
    assert owners(strategy) == before


def test_more_weight_only_attracts_keys() -> None:
    strategy, members = weighing("rendezvous", 2, 2, 2)
    before = owners(strategy)
    members[0].weight = 2.5
    strategy.reweigh(members[0], 0.0)
    assert {other for _, other in moved(before, owners(strategy))} == {members[0]}


def test_of_equal_scores_the_first_in_order_wins() -> None:
    members = [Server(order, 1, 0, "same:1") for order in range(3)]
    assert set(owners(made("rendezvous", reversed(members)), KEYS[:100])) == {members[0]}


@pytest.mark.parametrize("word", [0, 1, U64 - 1, 1 << 63, 0xFFFFFFFF])
def test_a_uniform_number_is_strictly_between_zero_and_one(word: int) -> None:
    assert 0 < uniform(word) < 1
    assert log(uniform(word)) < 0


@counted
def test_the_cost_grows_with_the_number_and_no_faster() -> None:
    cost = []
    for size in (8, 1024):
        strategy, _ = weighing("rendezvous", *[1] * size)
        cost.append(operations(strategy.pick, 0.0, KEYS[0]))
    assert cost[1] / cost[0] <= 1024 / 8


@counted
def test_a_single_backend_is_not_scored() -> None:
    only, other = servers(1, 1)
    strategy = made("rendezvous", [only, other])
    whole = operations(strategy.pick, 0.0, b"x")
    strategy.block(other, 0.0)
    assert operations(strategy.pick, 0.0, b"x") < whole / 4
