"""Random draws of usable backends, uniform or by weight, alone or several at a time.

Uniform draws read a position. With weights that differ a tree of partial sums answers in O(log n):
being blocked sets one leaf to zero and rebuilds nothing; joining and leaving rebuild it at the next
draw.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence

from lb.native.marks import mypyc_attr
from lb.strategies.base import Random
from lb.strategies.candidate import B
from lb.strategies.parts.ring import Ring, past
from lb.strategies.reasons import Reasons, Rule, others


class WeightTree:
    """Partial sums of weights by position.

    Source: Fenwick, "A new data structure for cumulative frequency tables", 1994.
    """

    __slots__ = ("_leaves", "_size", "_sums", "_top")

    def __init__(self, weights: Sequence[float]) -> None:
        self._leaves = list(weights)
        self._size = len(self._leaves)
        self._top = 1 << self._size.bit_length() >> 1  # largest power of two within the size
        sums = [0.0, *self._leaves]
        for i in range(1, self._size + 1):
            above = i + (i & -i)
            if above <= self._size:
                sums[above] += sums[i]
        self._sums = sums

    @property
    def total(self) -> float:
        total, i = 0.0, self._size
        while i:
            total += self._sums[i]
            i &= i - 1
        return total

    def __getitem__(self, at: int) -> float:
        return self._leaves[at]

    def set(self, at: int, weight: float) -> None:
        change = weight - self._leaves[at]
        self._leaves[at] = weight
        i = at + 1
        while i <= self._size:
            self._sums[i] += change
            i += i & -i

    def find(self, mass: float) -> int:
        """The position whose interval of partial sums holds `mass`; never one of weight zero."""
        at, step, sums = 0, self._top, self._sums
        while step:
            nearer = at + step
            if nearer <= self._size and sums[nearer] <= mass:
                mass -= sums[nearer]
                at = nearer
            step >>= 1
        # Rounding may carry `mass` past the last weight; the nearest usable one is meant.
        at = min(at, self._size - 1)
        while at and not self._leaves[at]:
            at -= 1
        while not self._leaves[at]:
            at += 1
        return at


@mypyc_attr(allow_interpreted_subclasses=True)
class Sampler(Ring[B]):
    """A ring that can be drawn from in proportion to weight.

    `members` are the unblocked; the tree holds the blocked too, with no mass.
    """

    def __init__(self, rng: Random) -> None:
        super().__init__()
        self._random = rng.random
        self._joined: dict[int, B] = {}  # by order, blocked ones too
        self._weights: dict[int, float] = {}  # as counted in the tree, by order
        self._having: dict[float, int] = {}  # how many have a weight
        self.weighted = False
        """Whether the weights differ at all."""
        self._tree: WeightTree | None = None  # made when first needed
        self._leaves: list[int] = []  # orders, by position in the tree

    def join(self, backend: B, now: float) -> None:
        super().join(backend, now)
        self._joined[backend.order] = backend
        self._count(backend.order, backend.weight)

    def leave(self, backend: B, now: float) -> None:
        super().leave(backend, now)
        if self._joined.pop(backend.order, None) is not None:
            self._discount(backend.order)

    def block(self, backend: B, now: float) -> None:
        super().leave(backend, now)
        self._set_leaf(backend.order, 0.0)

    def unblock(self, backend: B, now: float) -> None:
        if backend.order in self._joined:
            super().join(backend, now)
            self._set_leaf(backend.order, self._weights[backend.order])

    def reweigh(self, backend: B, now: float) -> None:
        if backend.order in self._joined:
            self._discount(backend.order)
            self._count(backend.order, backend.weight)

    def sample(self, n: int, avoid: Sequence[B] = ()) -> list[B]:
        """Up to `n` different members in the order drawn, each in proportion to weight.

        `avoid` is soft: it counts only while others are left.
        """
        members = self.members
        hidden = self.hidden(avoid) if avoid else []
        left = len(members) - len(hidden)
        n = min(n, left)
        if n < 1 or left == 1:
            return [members[past(0, hidden)]] if n > 0 else []
        if not self.weighted:
            return [members[at] for at in self._positions(n, hidden)]
        tree, leaves = self._standing_tree(), self._leaves
        masses = []
        for at in hidden:
            leaf = bisect_left(leaves, self.orders[at])
            masses.append((leaf, tree[leaf]))
            tree.set(leaf, 0.0)
        drawn = self._masses(n, tree)
        for leaf, mass in masses:
            tree.set(leaf, mass)
        return [self._joined[leaves[at]] for at in drawn]

    def by_weight(self, why: str, avoid: Sequence[B]) -> Reasons:
        """What there is to say of a single draw."""
        drawn = [(it, self._weights[it.order]) for it in others(self.members, avoid)]
        return Reasons(why, Rule.DRAWN, "weight", drawn)

    def _positions(self, n: int, hidden: list[int]) -> list[int]:
        """`n` different positions, every ordered choice equally likely, one draw each."""
        size, taken = len(self.members) - len(hidden), hidden.copy()
        drawn: list[int] = []
        for k in range(n):
            at = int(self._random() * (size - k))
            for other in taken:  # as `past`, whose call costs as much as the draw
                if at < other:
                    break
                at += 1
            insort(taken, at)
            drawn.append(at)
        return drawn

    def _masses(self, n: int, tree: WeightTree) -> list[int]:
        """`n` different leaves, each in proportion to its mass among those left."""
        drawn: list[tuple[int, float]] = []
        total = tree.total
        for _ in range(n):
            at = tree.find(self._random() * total)
            mass = tree[at]
            drawn.append((at, mass))
            if len(drawn) < n:
                total -= mass
                tree.set(at, 0.0)
        for at, mass in drawn[:-1]:
            tree.set(at, mass)
        return [at for at, _ in drawn]

    def _standing_tree(self) -> WeightTree:
        if self._tree is None:
            self._leaves = sorted(self._joined)
            free = set(self.orders)
            self._tree = WeightTree(
                [self._weights[order] if order in free else 0.0 for order in self._leaves]
            )
        return self._tree

    def _set_leaf(self, order: int, mass: float) -> None:
        if self._tree is not None:
            self._tree.set(bisect_left(self._leaves, order), mass)

    def _count(self, order: int, weight: float) -> None:
        self._weights[order] = weight
        self._having[weight] = self._having.get(weight, 0) + 1
        self.weighted = len(self._having) > 1
        self._tree = None

    def _discount(self, order: int) -> None:
        weight = self._weights.pop(order)
        self._having[weight] -= 1
        if not self._having[weight]:
            del self._having[weight]
        self.weighted = len(self._having) > 1
        self._tree = None
