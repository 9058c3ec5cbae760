"""Round robin: configured order, and a cursor that survives everyone's coming and going."""

from __future__ import annotations

from typing import Any

import pytest

from lb.strategies import Strategy, create
from tests.doubles import Draws, joined, sequence, servers


def ring(n: int) -> tuple[Strategy[Any], list[Any]]:
    members = servers(*[1] * n)
    return joined(create("round_robin", Draws()), members), members


@pytest.mark.parametrize(
    ("n", "expected"), [(1, "aaaa"), (2, "abab"), (3, "abcabca"), (5, "abcdeabcdeab")]
)
def test_everyone_in_turn_in_configured_order(n: int, expected: str) -> None:
    strategy, _ = ring(n)
    assert sequence(strategy, len(expected)) == expected


def test_weights_and_load_mean_nothing() -> None:
    members = servers(5, 1, 1)
    members[1].active = 100
    assert sequence(joined(create("round_robin", Draws()), members), 6) == "abcabc"


TOLD = {
    # events after "a" and "b" were picked of a b c d; what follows
    "nothing": ([], "cdab"),
    "the last picked leaves": (["leave b"], "cdac"),
    "the last picked is blocked": (["block b"], "cdac"),
    "the last picked leaves and rejoins": (["leave b", "join b"], "cdab"),
    "the last picked is blocked and returns": (["block b", "unblock b"], "cdab"),
    "the next leaves": (["leave c"], "dabd"),
    "the next is blocked": (["block c"], "dabd"),
    "one before leaves": (["leave a"], "cdbc"),
    "all after leave": (["leave c", "leave d"], "abab"),
    "last and next leave": (["leave b", "leave c"], "dada"),
    "only the last picked stays": (["leave a", "leave c", "leave d"], "bbbb"),
    "all leave and rejoin backwards": (
        [f"{what} {who}" for what in ("leave", "join") for who in "dcba"],
        "cdab",
    ),
    "a newcomer at the end": (["join e"], "cdea"),
}


@pytest.mark.parametrize(("events", "expected"), TOLD.values(), ids=TOLD)
def test_the_cursor_stands_where_it_stood(events: list[str], expected: str) -> None:
    members = dict(zip("abcde", servers(1, 1, 1, 1, 1), strict=True))
    strategy = joined(create("round_robin", Draws()), list(members.values())[:4])
    assert sequence(strategy, 2) == "ab"
    for event in events:
        what, who = event.split()
        getattr(strategy, what)(members[who], 0.0)
    assert sequence(strategy, 4) == expected


@pytest.mark.parametrize(
    ("avoid", "expected"),
    [("", "b"), ("b", "c"), ("bc", "a"), ("a", "b"), ("abc", "b"), ("c", "b")],
)
def test_avoiding_takes_the_next_that_may_be_used(avoid: str, expected: str) -> None:
    strategy, members = ring(3)
    assert sequence(strategy, 1) == "a"
    named = [member for member in members if repr(member) in avoid]
    assert repr(strategy.pick(0.0, b"", named)) == expected


def test_after_avoiding_the_turn_goes_on_from_the_one_picked() -> None:
    strategy, members = ring(4)
    assert repr(strategy.pick(0.0, b"", members[:2])) == "c"
    assert sequence(strategy, 3) == "dab"
