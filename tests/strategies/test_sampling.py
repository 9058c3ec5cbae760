"""Draws by weight: the tree of partial sums, and what rounding leaves in it."""

from __future__ import annotations

from itertools import accumulate
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.strategies.parts.sampling import Sampler, WeightTree
from tests.doubles import Draws, Server, joined, servers

LEAVES = st.lists(st.integers(0, 9), min_size=1, max_size=40).filter(any)


@given(leaves=LEAVES, changes=st.lists(st.tuples(st.integers(0, 39), st.integers(1, 9))))
def test_every_mass_finds_the_leaf_whose_interval_holds_it(
    leaves: list[int], changes: list[tuple[int, int]]
) -> None:
    tree = WeightTree(leaves)
    for at, weight in changes:
        if at < len(leaves):
            tree.set(at, weight)
            leaves[at] = weight
    assert tree.total == sum(leaves)
    assert [tree[at] for at in range(len(leaves))] == leaves
    sums = list(accumulate(leaves))
    for mass in range(sums[-1]):
        assert tree.find(mass) == next(at for at, total in enumerate(sums) if total > mass)
        assert tree.find(mass + 0.5) == tree.find(mass)


@pytest.mark.parametrize(("leaves", "last"), [((2, 1, 3), 2), ((2, 1, 0), 1), ((2, 0, 0, 0), 0)])
def test_a_mass_that_rounding_carried_past_the_end_is_the_last_weight(
    leaves: tuple[float, ...], last: int
) -> None:
    tree = WeightTree(leaves)
    assert tree.find(tree.total) == last
    assert tree.find(tree.total + 1) == last


def test_what_rounding_left_of_a_weight_is_nobody() -> None:
    """0.1 to 1.1 and back to nothing leaves 8e-17 in the sums."""
    tree = WeightTree([0.1, 1.0])
    for weight in (1.1, 0.1, 0.0):
        tree.set(0, weight)
    assert tree[0] == 0.0
    assert tree.find(0.0) == 1


def test_a_draw_from_what_rounding_left_is_a_usable_backend() -> None:
    members = servers(0.1, 1.0, 2.0)
    sampler: Sampler[Any] = joined(Sampler(Draws(*[0.0] * 9)), members)  # type: ignore[assignment]
    for _ in range(3):
        assert sampler.sample(1)[0] is members[0]
        sampler.block(members[0], 0.0)
        assert sampler.sample(1)[0] is members[1]
        sampler.unblock(members[0], 0.0)


@given(weights=st.lists(st.sampled_from([0.1, 0.3, 1, 7]), min_size=2, max_size=8), data=st.data())
def test_what_is_drawn_is_different_and_neither_blocked_nor_avoided(
    weights: list[float], data: st.DataObject
) -> None:
    members = servers(*weights)
    sampler: Any = joined(Sampler(Random(3)), members)  # type: ignore[arg-type]
    some = st.lists(st.sampled_from(members), unique=True, max_size=len(members) - 1)
    for _ in range(4):
        blocked = data.draw(some)
        avoid = data.draw(st.lists(st.sampled_from(members), max_size=4))
        for server in blocked:
            sampler.block(server, 0.0)
        free = [server for server in members if server not in blocked]
        left = [server for server in free if server not in avoid] or free
        for n in range(len(members) + 1):
            drawn = sampler.sample(n, avoid)
            assert len(drawn) == len(set(drawn)) == min(n, len(left))
            assert set(drawn) <= set(left)
        for server in blocked:
            sampler.unblock(server, 0.0)
    assert sampler.sample(len(members)) != []


def test_draws_are_in_proportion_to_what_is_left() -> None:
    """Of 1, 2, 5 by script: the second draw sees the masses without the first."""
    for script, expected in [
        ((0.0, 0.0), "ab"),
        ((0.124, 0.28), "ab"),  # 2/7 of the rest is b's
        ((0.124, 0.29), "ac"),
        ((0.126, 0.16), "ba"),  # 1/6 of the rest is a's
        ((0.126, 0.17), "bc"),
        ((0.374, 0.9), "bc"),
        ((0.376, 0.33), "ca"),
        ((0.376, 0.34), "cb"),
    ]:
        sampler: Any = joined(Sampler(Draws(*script)), servers(1, 2, 5))  # type: ignore[arg-type]
        assert "".join(map(repr, sampler.sample(2))) == expected
        assert sampler._tree.total == 8, "and is put back"


def test_weights_that_are_alike_again_need_no_tree() -> None:
    members = servers(1, 1, 5)
    sampler: Sampler[Any] = joined(Sampler(Draws()), members)  # type: ignore[assignment]
    assert sampler.weighted
    members[2].weight = 1
    sampler.reweigh(members[2], 0.0)
    assert not sampler.weighted
    heavy = Server(3, 9)
    sampler.join(heavy, 0.0)
    assert sampler.weighted
    sampler.leave(heavy, 0.0)
    assert not sampler.weighted


def test_of_the_strange_nothing_is_kept() -> None:
    sampler: Sampler[Any] = Sampler(Draws())
    stranger = Server(0, 3)
    for event in (sampler.block, sampler.unblock, sampler.reweigh, sampler.leave):
        event(stranger, 0.0)
        assert sampler.sample(1) == []
        assert not sampler.weighted
