"""The best of a few drawn: who is drawn, who is better, and who wins a tie."""

from __future__ import annotations

from typing import Any

import pytest

from lb.strategies import Outcome, create
from lb.strategies.weighted_random import alias_table
from tests.doubles import Draws, Server, end, joined, send, servers


def made(name: str, members: list[Server], *draws: float, **settings: object) -> Any:
    return joined(create(name, Draws(*draws), settings), members)


def loaded(*active: int, weights: tuple[float, ...] = ()) -> list[Server]:
    weights = weights or (1,) * len(active)
    return [Server(at, weights[at], calls) for at, calls in enumerate(active)]


@pytest.mark.parametrize(
    ("draws", "picked"),
    [
        ((0.0, 0.0), "b"),  # a and b
        ((0.0, 0.34), "a"),  # a and c, a tie: who was drawn first
        ((0.51, 0.0), "c"),  # c and a, the same tie
        ((0.0, 0.67), "a"),  # a and d
        ((0.26, 0.67), "b"),  # b and d
        ((0.99, 0.99), "c"),  # d and c
    ],
)
def test_of_two_the_less_active_and_the_first_on_a_tie(
    draws: tuple[float, float], picked: str
) -> None:
    assert repr(made("p2c", loaded(2, 0, 2, 5), *draws).pick(0.0)) == picked


@pytest.mark.parametrize(
    ("choices", "draws", "picked"),
    [
        (1, (0.99,), "d"),
        (3, (0.0, 0.34, 0.99), "a"),  # a, c, d
        (3, (0.99, 0.99, 0.0), "c"),  # d, c, a
        (4, (0.99, 0.99, 0.99, 0.0), "b"),
        (9, (0.99, 0.99, 0.99, 0.0), "b"),
    ],
)
def test_of_more_or_less_than_two(choices: int, draws: tuple[float, ...], picked: str) -> None:
    assert repr(made("p2c", loaded(2, 0, 2, 5), *draws, choices=choices).pick(0.0)) == picked


def test_with_replacement_one_may_be_drawn_twice() -> None:
    members = loaded(9, 0)
    assert made("p2c", members, 0.0, 0.0, replacement=True).pick(0.0) is members[0]
    assert made("p2c", members, 0.0, 0.5, replacement=True).pick(0.0) is members[1]


def test_activity_counts_per_weight() -> None:
    members = loaded(3, 1, weights=(4, 1))
    assert made("p2c", members, 0.0, 0.0).pick(0.0) is members[0]
    assert made("p2c", members, 0.9, 0.0).pick(0.0) is members[0]


@pytest.mark.parametrize("name", ["p2c", "peak_ewma", "weighted_random", "prequal", "random"])
def test_the_avoided_are_not_drawn(name: str) -> None:
    members = loaded(0, 3, 5)
    strategy = made(name, members, 0.0, 0.0)
    assert strategy.pick(0.0, b"", (members[0], members[2])) is members[1]


def test_peak_ewma_takes_the_shorter_wait() -> None:
    members = loaded(0, 0, 1)
    for server, seconds in zip(members, (0.03, 0.02, 0.011), strict=True):
        server.response_time = seconds
    strategy = made("peak_ewma", members, 0.0, 0.0, 0.0, 0.99, 0.5, 0.99)
    assert [repr(strategy.pick(0.0)) for _ in range(3)] == ["b", "c", "b"]


def test_peak_ewma_learns_from_ends_and_forgets_with_the_backend() -> None:
    members = loaded(0, 0)
    strategy = made("peak_ewma", members, *[0.0] * 8)
    assert send(strategy) is members[0]
    end(strategy, members[0], 0.0, Outcome.OK, 0.5)
    assert send(strategy) is members[1], "unknown"
    end(strategy, members[1], 0.0, Outcome.RESET, 0.001)
    assert send(strategy) is members[0], "a failure counts as a second"
    strategy.leave(members[1], 0.0)
    end(strategy, members[0], 0.0, Outcome.OK, 3.0)
    strategy.finished(members[1], 0.0, Outcome.OK, 9.0)
    strategy.join(members[1], 0.0)
    assert send(strategy) is members[1], "unknown again"


@pytest.mark.parametrize(
    "weights", [(1, 1), (1, 2, 5), (0.5, 1.5, 4, 4), (7,), (1, 1, 1, 97), (3, 3, 2)]
)
def test_the_columns_of_an_alias_table_hold_each_weight_whole(weights: tuple[float, ...]) -> None:
    members = servers(*weights)
    share = dict.fromkeys(members, 0.0)
    for threshold, own, other in alias_table(members, weights):
        assert 0 <= threshold <= 1
        share[own] += threshold
        share[other] += 1 - threshold
    for server in members:
        expected = server.weight / sum(weights) * len(weights)
        assert share[server] == pytest.approx(expected)


def test_one_number_names_the_column_and_the_half() -> None:
    """Of 1 and 3: a quarter is a's, and its column is the first; half of that is b's."""
    for draw, picked in ((0.0, "a"), (0.249, "a"), (0.251, "b"), (0.499, "b"), (0.5, "b")):
        assert repr(made("weighted_random", servers(1, 3), draw).pick(0.0)) == picked


def test_the_alias_table_is_made_once_and_again_after_a_change() -> None:
    members = servers(1, 3, 1)
    strategy = made("weighted_random", members, *[0.99] * 20)
    strategy.pick(0.0)
    table = strategy._alias
    strategy.pick(0.0)
    strategy.block(members[0], 0.0)
    strategy.pick(0.0)
    strategy.unblock(members[0], 0.0)
    strategy.pick(0.0)
    assert strategy._alias is table
    for event in (strategy.reweigh, strategy.leave, strategy.join):
        event(members[0], 0.0)
        assert strategy._alias is None
        strategy.pick(0.0)
        assert strategy._alias is not None
