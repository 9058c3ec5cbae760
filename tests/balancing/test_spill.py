"""Shares of tiers: Envoy's formula, and what its documentation gives as examples."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.balancing.spill import position, shares

HEALTHS = st.lists(st.fractions(0, 1, max_denominator=50), min_size=1, max_size=5)


def envoy(healths: list[Fraction]) -> list[Fraction]:
    """As the documentation has it: each takes its health over that of all, from what is left."""
    whole = min(Fraction(1), sum(healths, Fraction(0)))
    loads: list[Fraction] = []
    for health in healths:
        loads.append(min(1 - sum(loads, Fraction(0)), health / whole) if whole else Fraction(0))
    return loads


@pytest.mark.parametrize(
    ("healthy", "loads"),
    [
        # per cent of each priority's hosts, and what Envoy's tables say at a factor of 1.4
        ((100, 100), (100, 0)),
        ((72, 72), (100, 0)),
        ((50, 100), (70, 30)),
        ((25, 100), (35, 65)),
        ((25, 25), (50, 50)),
        ((0, 100), (0, 100)),
        ((25, 50, 100), (35, 65, 0)),
        ((0, 25, 25), (0, 50, 50)),
        ((5, 5, 40), (10, 10, 80)),
        ((0, 0), (0, 0)),
    ],
)
def test_shares_are_those_of_envoys_tables(
    healthy: tuple[int, ...], loads: tuple[int, ...]
) -> None:
    given = shares([min(1.0, 1.4 * part / 100) for part in healthy])
    assert given == pytest.approx([load / 100 for load in loads])


@given(HEALTHS)
def test_shares_are_by_envoys_formula(healths: list[Fraction]) -> None:
    given = shares([float(health) for health in healths])
    assert given == pytest.approx([float(load) for load in envoy(healths)], abs=1e-9)


@given(HEALTHS)
def test_shares_are_of_one_whole_and_the_first_is_first(healths: list[Fraction]) -> None:
    given = shares([float(health) for health in healths])
    assert sum(given) == pytest.approx(1.0 if any(healths) else 0.0)
    assert given[0] >= float(healths[0]) - 1e-9, "whoever comes first takes what it can"


@given(HEALTHS, st.integers(0), st.fractions(0, 1, max_denominator=50))
def test_a_tier_that_gets_better_gets_no_less(
    healths: list[Fraction], which: int, better: Fraction
) -> None:
    at = which % len(healths)
    before = shares([float(health) for health in healths])[at]
    healths[at] = max(healths[at], better)
    assert shares([float(health) for health in healths])[at] >= before - 1e-9


def test_keys_are_spread_evenly_and_each_stands_still() -> None:
    places = Counter(int(position(b"user %d" % n) * 10) for n in range(10_000))
    assert set(places) == set(range(10))
    assert all(880 < count < 1120 for count in places.values())  # 4 standard deviations
    assert position(b"ann") == position(b"ann") != position(b"bob")
