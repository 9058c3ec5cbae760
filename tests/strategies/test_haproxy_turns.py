"""HAProxy's two sequences of weighted round robin: as recorded, and against scans of everyone."""

from __future__ import annotations

from math import gcd
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.strategies import create
from lb.strategies.parts.turn_map import MOST, whole
from tests.doubles import Draws, Server, joined, sequence, servers

RECORDED = {
    (1, 2): ("bba", "abb"),
    (11, 3): ("aaaabaaabaaaab", "aaaabaaaabaaab"),
    (1, 1, 5): ("cccaccb", "accbccc"),
    (1, 2, 3): ("cbcacb", "acbcbc"),
    (3, 2, 1): ("abacab", "aababc"),
    (4, 2, 1): ("aabacab", "aababac"),
    (4, 2, 2): ("abacabac", "aabcaabc"),
    (5, 1, 1): ("aaabaac", "aaabaac"),
    (7, 5, 3): ("abacbaabcabaabc", "ababcaabacababc"),
    (10, 3, 3): ("aabaacabaacaabac", "aabaacaabacaabac"),
    (1, 2, 3, 4): ("dcdbcdadcb", "abdcdbcdcd"),
}
"""Of HAProxy 2.6.12 with one thread, requests one after another: roundrobin and static-rr, a round
each, which repeats."""
WEIGHTS = st.lists(st.sampled_from([1, 2, 3, 4, 5, 7, 13]), min_size=1, max_size=6)


def turns(kind: str, *weights: float) -> tuple[Any, list[Server]]:
    members = servers(*weights)
    return joined(create("weighted_round_robin", Draws(), {"sequence": kind}), members), members


@pytest.mark.parametrize("weights", RECORDED)
def test_what_haproxy_itself_was_seen_to_do(weights: tuple[int, ...]) -> None:
    for kind, expected in zip(("fwrr", "static"), RECORDED[weights], strict=True):
        strategy, _ = turns(kind, *weights)
        assert sequence(strategy, 5 * len(expected)) == 5 * expected


def scanned_map(weights: list[int]) -> str:
    """A round: the first of those that have earned the most whole turns."""
    total, score, found = sum(weights), [0] * len(weights), ""
    for _ in range(total):
        score = [it + weight for it, weight in zip(score, weights, strict=True)]
        best = max(range(len(score)), key=lambda place: ((score[place] + total) // total, -place))
        score[best] -= total
        found += chr(ord("a") + best)
    return found


@given(weights=WEIGHTS)
def test_the_map_is_as_a_scan_makes_it(weights: list[int]) -> None:
    strategy, _ = turns("static", *weights)
    expected = scanned_map([weight // gcd(*weights) for weight in weights])
    assert sequence(strategy, 3 * len(expected)) == 3 * expected


def scanned_positions(weights: list[int], count: int) -> str:
    """Everyone's next position, period after period; equals first in, first out."""
    parts, turn, found = [16 * weight for weight in weights], 0, ""
    total, waiting = sum(parts), list(range(len(weights)))
    while len(found) < count:
        waiting.sort(key=lambda place: -parts[place])
        due: dict[int, tuple[int, int, int]] = {}
        left = dict.fromkeys(waiting, 0)
        done: list[int] = []
        at = 0
        while waiting or due:
            best = min(due, key=due.__getitem__, default=-1)
            if waiting and (best < 0 or due[best][0] > at):
                best = waiting.pop(0)
                due[best] = (at, 0, 0)
            carried, left[best] = divmod(left[best] + total % parts[best], parts[best])
            following = due.pop(best)[0] + total // parts[best] + carried
            at, turn = at + 1, turn + 1
            found += chr(ord("a") + best)
            if following >= total:
                done.append(best)
            else:
                due[best] = (following, left[best] - parts[best], turn)
        waiting = done
    return found[:count]


@given(weights=WEIGHTS)
def test_positions_are_as_a_scan_finds_them(weights: list[int]) -> None:
    strategy, _ = turns("fwrr", *weights)
    count = min(20 * sum(weights), 400)
    assert sequence(strategy, count) == scanned_positions(weights, count)


@pytest.mark.parametrize("kind", ["fwrr", "static"])
def test_whoever_is_away_loses_turns_and_nobody_else_does(kind: str) -> None:
    strategy, (a, b, c) = turns(kind, 2, 1, 1)
    strategy.block(a, 0.0)
    assert sorted(sequence(strategy, 8)) == sorted("bbbbcccc")
    strategy.unblock(a, 0.0)
    assert sequence(strategy, 400).count("a") == pytest.approx(200, abs=4)
    strategy.leave(b, 0.0)
    assert sequence(strategy, 600).count("a") == pytest.approx(400, abs=4)
    strategy.join(b, 0.0)
    c.weight = 5
    strategy.reweigh(c, 0.0)
    found = sequence(strategy, 800)
    assert [found.count(name) / 100 for name in "abc"] == pytest.approx([2, 1, 5], abs=0.05)


@pytest.mark.parametrize("kind", ["fwrr", "static"])
def test_who_is_blocked_keeps_a_new_weight(kind: str) -> None:
    strategy, (a, b) = turns(kind, 1, 1)
    for count in (0, 3):
        sequence(strategy, count)
        strategy.block(b, 0.0)
        b.weight += 1
        strategy.reweigh(b, 0.0)
        assert sequence(strategy, 4) == "aaaa"
        strategy.unblock(b, 0.0)
        share = sequence(strategy, 600).count("b") / 600
        assert share == pytest.approx(b.weight / (b.weight + a.weight), abs=0.02)


def test_an_avoided_one_is_passed_over_and_is_better_than_none() -> None:
    for kind in ("fwrr", "static"):
        strategy, (a, b) = turns(kind, 3, 1)
        assert strategy.pick(0.0, b"", [a]) is b
        assert strategy.pick(0.0, b"", [a, b]) in (a, b)
        strategy.block(b, 0.0)
        assert strategy.pick(0.0, b"", [a]) is a


def test_stale_entries_are_swept_out() -> None:
    strategy, members = turns("fwrr", 1, 1, 2)
    for turn in range(300):
        strategy.pick(0.0)
        strategy.block(members[turn % 3], 0.0)
        strategy.unblock(members[turn % 3], 0.0)
        assert len(strategy._due) + len(strategy._new) + len(strategy._over) <= 3 * (2 * 3 + 9)


def test_weights_are_whole_numbers_as_small_as_can_be() -> None:
    assert whole([4, 2, 2]) == [2, 1, 1]
    assert whole([0.5, 1.5]) == [1, 3]
    assert whole([1e-9, 1]) == [1, 16]
    assert whole([1000, 500, 1]) == [MOST, 128, 1]
