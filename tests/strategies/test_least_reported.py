"""Least reported: what stands on the board, and who is compared by it."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest

from lb.errors import UsageError
from lb.strategies import create
from tests.doubles import Server, joined, servers

ALL = {"choices": 0}
BY_BOARD = {"choices": 0, "own": False}


def board(settings: dict[str, object], members: list[Server]) -> Any:
    return joined(create("least_reported", Random(5), settings), members)


def told(strategy: Any, held: list[int], members: list[Server], now: float) -> None:
    assert list(strategy.probes(now)) == members
    for member, number in zip(members, held, strict=True):
        strategy.probed(member, now, number, 0.1)


def picks(strategy: Any, now: float, n: int = 40) -> Counter[int]:
    """Without anybody hearing of them."""
    return Counter(strategy.pick(now).order for _ in range(n))


@pytest.mark.parametrize("settings", [ALL, BY_BOARD, {"choices": 3, "own": False}])
def test_the_least_loaded_by_their_own_word_is_picked(settings: dict[str, object]) -> None:
    members = servers(1, 1, 1)
    strategy = board(settings, members)
    told(strategy, [5, 2, 3], members, 0.5)
    assert set(picks(strategy, 0.6)) == {1}
    assert strategy.pick(0.6, avoid=[members[1]]) is members[2]


def test_two_choices_never_take_the_most_loaded() -> None:
    members = servers(1, 1, 1)
    strategy = board({"own": False}, members)
    told(strategy, [5, 2, 3], members, 0.5)
    few = picks(strategy, 0.6, 300)
    assert set(few) == {1, 2}
    assert few[1] > few[2]  # of three pairs it is in two


def test_all_are_asked_again_when_it_is_time_and_when_somebody_joins() -> None:
    members = servers(1, 1, 1)
    strategy = board({"every": "2s"}, members)
    assert list(strategy.probes(0.5)) == members
    assert strategy.probes(1.9) == ()
    assert list(strategy.probes(2.0)) == members
    newcomer = Server(3, weight=1)
    strategy.join(newcomer, 2.5)
    assert list(strategy.probes(2.5)) == [*members, newcomer]
    assert strategy.probes(3.9) == ()


def test_what_is_said_without_being_asked_does_not_change_the_board() -> None:
    members = servers(1, 1)
    strategy = board(BY_BOARD, members)
    told(strategy, [1, 2], members, 0.0)
    strategy.probed(members[0], 0.5, 9, 0.1)  # with an answer
    assert set(picks(strategy, 0.5)) == {0}


def test_ones_own_requests_count_on_top_of_the_board() -> None:
    members = servers(1, 1)
    strategy = board(ALL, members)
    told(strategy, [1, 3], members, 0.0)
    sent = []
    for _ in range(4):
        picked = strategy.pick(0.1)
        picked.active += 1
        strategy.started(picked, 0.1)
        sent.append(picked.order)
    assert sent[:2] == [0, 0]
    assert sorted(sent[2:]) == [0, 1]  # 3 and 3: both, in either order
    blind = board(BY_BOARD, members)
    told(blind, [1, 3], members, 0.0)
    members[0].active += 9
    blind.started(members[0], 0.1)
    assert set(picks(blind, 0.1)) == {0}


def test_who_has_left_is_forgotten_and_who_is_full_is_not() -> None:
    members = servers(1, 1, 1)
    strategy = board(BY_BOARD, members)
    told(strategy, [1, 2, 3], members, 0.0)
    strategy.block(members[0], 0.1)
    assert set(picks(strategy, 0.1)) == {1}
    strategy.unblock(members[0], 0.1)
    assert set(picks(strategy, 0.1)) == {0}
    strategy.probes(1.0)
    strategy.leave(members[0], 1.0)
    strategy.probed(members[0], 1.0, 0, 0.1)
    strategy.unblock(members[0], 1.0)
    assert set(picks(strategy, 1.0)) == {1}
    for member in members:
        strategy.leave(member, 1.0)
    assert strategy.pick(1.0) is None


@pytest.mark.parametrize("wrong", [{"every": "0s"}, {"choices": -1}])
def test_settings_that_cannot_be_meant(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="every must be above zero, and choices not below it"):
        create("least_reported", Random(5), wrong)
