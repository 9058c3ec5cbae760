"""Random: equal probability, independent of everything."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from scipy import stats

from lb.strategies import create
from tests.doubles import Draws, joined, servers

SIGNIFICANCE = 0.001
DRAWS = 100_000


@pytest.mark.parametrize(
    ("draw", "expected"),
    [(0.0, "a"), (0.24999, "a"), (0.25, "b"), (0.5, "c"), (0.75, "d"), (1 - 2**-53, "d")],
)
def test_the_draw_divides_the_usable_evenly(draw: float, expected: str) -> None:
    strategy = joined(create("random", Draws(draw)), servers(1, 1, 1, 1))
    assert repr(strategy.pick(0.0)) == expected


@pytest.mark.parametrize(("draw", "expected"), [(0.0, "a"), (0.49, "a"), (0.5, "c"), (0.99, "c")])
def test_the_avoided_take_no_part_in_the_draw(draw: float, expected: str) -> None:
    members = servers(1, 1, 1)
    strategy = joined(create("random", Draws(draw)), members)
    assert repr(strategy.pick(0.0, b"", [members[1]])) == expected


@pytest.mark.parametrize("n", [2, 3, 7])
def test_every_backend_is_equally_likely(n: int) -> None:
    strategy = joined(create("random", Random(n)), servers(*range(1, n + 1)))
    counts = Counter(strategy.pick(0.0).order for _ in range(DRAWS))
    assert stats.chisquare([counts[i] for i in range(n)]).pvalue > SIGNIFICANCE


def test_a_pick_says_nothing_about_the_next() -> None:
    strategy = joined(create("random", Random(20261123)), servers(1, 1, 1))
    pairs = Counter((strategy.pick(0.0).order, strategy.pick(0.0).order) for _ in range(DRAWS))
    seen = [pairs[first, second] for first in range(3) for second in range(3)]
    assert stats.chisquare(seen).pvalue > SIGNIFICANCE


def test_the_rest_stay_equally_likely_when_one_is_blocked() -> None:
    members = servers(1, 1, 1, 1)
    strategy = joined(create("random", Random(5)), members)
    strategy.block(members[1], 0.0)
    counts = Counter(repr(strategy.pick(0.0)) for _ in range(DRAWS))
    assert set(counts) == set("acd")
    assert stats.chisquare(list(counts.values())).pvalue > SIGNIFICANCE
