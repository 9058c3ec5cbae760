"""Weighted random: every backend with probability proportional to its weight.

Cost: O(1) per pick while nobody is at a limit, by an alias table made anew at the first pick after
a join, a leave or a new weight; O(log n) from a tree of partial sums while somebody is. Wrong when
an even spread matters: over a short while the shares are as random as the picks.

Source: Walker, "An efficient method for generating discrete random variables with general
distributions", 1977; the table is built as in Vose, "A linear algorithm for generating random
numbers with a given distribution", 1991.
"""

from __future__ import annotations

from collections.abc import Sequence

from lb.strategies.base import Random
from lb.strategies.candidate import B
from lb.strategies.parts.sampling import Sampler
from lb.strategies.reasons import Reasons
from lb.strategies.spec import Spec, settings


@settings
class Params:
    """Weighted random has no settings."""


class WeightedRandom(Sampler[B]):
    """An alias table over all that have joined; the tree draws while it does not fit."""

    def __init__(self, params: Params, rng: Random) -> None:
        super().__init__(rng)
        self._alias: list[tuple[float, B, B]] | None = None  # keep own below this, else the other

    def pick(self, now: float, key: bytes = b"", avoid: Sequence[B] = ()) -> B | None:
        members = self.members
        if avoid or len(members) < len(self._joined) or len(members) < 2:
            drawn = self.sample(1, avoid)
            return drawn[0] if drawn else None
        table = self._alias
        if table is None:
            table = self._alias = alias_table(members, [backend.weight for backend in members])
        # One number serves for both choices: its whole part names a column, the rest the half.
        place = self._random() * len(table)
        column = int(place)
        threshold, own, other = table[column]
        return own if place - column < threshold else other

    def explain(self, now: float, key: bytes = b"", avoid: Sequence[B] = ()) -> Reasons | None:
        return self.by_weight("one of all, as likely as its weight says", avoid)

    def _count(self, order: int, weight: float) -> None:
        super()._count(order, weight)
        self._alias = None

    def _discount(self, order: int) -> None:
        super()._discount(order)
        self._alias = None


def alias_table(members: Sequence[B], weights: Sequence[float]) -> list[tuple[float, B, B]]:
    """Columns of equal mass, each shared by at most two members: (share of the first, both)."""
    n, total = len(members), sum(weights, 0.0)
    mass = [weight * n / total for weight in weights]
    small = [i for i in range(n) if mass[i] < 1]
    large = [i for i in range(n) if mass[i] >= 1]
    table: list[tuple[float, B, B]] = [(1.0, member, member) for member in members]
    while small and large:
        i, j = small.pop(), large.pop()
        table[i] = (mass[i], members[i], members[j])
        mass[j] -= 1 - mass[i]
        (small if mass[j] < 1 else large).append(j)
    return table


SPEC = Spec(
    name="weighted_random",
    factory=WeightedRandom,
    params=Params,
    cost="O(1); O(log n) while somebody is at a limit",
    avoid_when="an even spread over a short while matters",
    static=True,
    needs=frozenset({"weights"}),
    claims=frozenset({"shares"}),
)
