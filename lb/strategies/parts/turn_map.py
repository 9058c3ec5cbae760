"""Weighted round robin's sequence of HAProxy's `static-rr`: a map of turns that is walked round.

At every turn each backend earns its weight, and a turn costs as much as all weights together: of
those that have earned the most whole turns the first in configured order has it. 5,1,1 gives
a a a b a a c, and 1,1,5 gives a c c b c c c. Who may not be picked is passed over, its turn lost.

Source: HAProxy, src/lb_map.c.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush
from math import gcd

from lb.native.marks import mypyc_attr
from lb.strategies.candidate import B
from lb.strategies.parts.fast_weighted import PARTS
from lb.strategies.parts.heedless import Heedless
from lb.strategies.reasons import Reasons, Rule

MOST = 256
"""Turns of one backend in a round at most, as HAProxy has it: the map has that many entries."""


@mypyc_attr(allow_interpreted_subclasses=True)
class TurnMap(Heedless[B]):
    """The map, made when it is first needed, and the place in it."""

    def __init__(self) -> None:
        self._members: dict[int, B] = {}  # by order, blocked ones too
        self._usable: dict[int, B] = {}  # by order
        self._weights: dict[int, float] = {}  # by order
        self._map: list[int] = []  # orders
        self._at = 0
        self._stale = False

    def join(self, backend: B, now: float) -> None:
        self._members[backend.order] = self._usable[backend.order] = backend
        self._weights[backend.order] = backend.weight
        self._stale = True

    def leave(self, backend: B, now: float) -> None:
        if self._members.pop(backend.order, None) is not None:
            self._usable.pop(backend.order, None)
            del self._weights[backend.order]
            self._stale = True

    def block(self, backend: B, now: float) -> None:
        self._usable.pop(backend.order, None)

    def unblock(self, backend: B, now: float) -> None:
        if backend.order in self._members:
            self._usable[backend.order] = backend

    def reweigh(self, backend: B, now: float) -> None:
        if backend.order in self._members:
            self._weights[backend.order] = backend.weight
            self._stale = True

    def pick(self, now: float, key: bytes = b"", avoid: Sequence[B] = ()) -> B | None:
        if not self._usable:
            return None
        place, backend = self._walk(avoid)
        self._at = (place + 1) % len(self._map)
        return backend

    def explain(self, now: float, key: bytes = b"", avoid: Sequence[B] = ()) -> Reasons | None:
        looked: list[tuple[B, float]] = []
        if self._usable:
            place, backend = self._walk(avoid)
            ahead = (place - self._at) % len(self._map)
            looked.append((backend, float(ahead)))
        return Reasons("the next in the map of turns", Rule.FOUND, "turns passed over", looked)

    def _walk(self, avoid: Sequence[B]) -> tuple[int, B]:
        """The place of the next that may be picked, and who that is; there is one."""
        if self._stale:
            self._make()
        size = len(self._map)
        avoided = -1
        for step in range(size):
            place = (self._at + step) % size
            backend = self._usable.get(self._map[place])
            if backend is None:
                continue
            if backend not in avoid:
                return place, backend
            if avoided < 0:
                avoided = place
        return avoided, self._usable[self._map[avoided]]

    def _make(self) -> None:
        orders = sorted(self._members)
        turns = turns_of(whole([self._weights[order] for order in orders]))
        self._map = [orders[position] for position in turns]
        self._at %= len(self._map)
        self._stale = False


def whole(weights: Sequence[float]) -> list[int]:
    """To a sixteenth, in whole numbers as small as they can be and none above MOST."""
    parts = [max(1, round(PARTS * weight)) for weight in weights]
    common = gcd(*parts)
    found = [part // common for part in parts]
    most = max(found)
    return found if most <= MOST else [max(1, round(it * MOST / most)) for it in found]


def turns_of(weights: Sequence[int]) -> list[int]:
    """The positions of a round, each as often as its weight."""
    total = sum(weights)
    earning: list[list[int]] = [[] for _ in range(total + 1)]  # who has a further turn from then on
    for position, weight in enumerate(weights):
        for turn in range(1, weight + 1):
            earning[-(-turn * total // weight)].append(position)
    earned = [1] * len(weights)
    first = [(-1, position) for position in range(len(weights))]  # a heap; what is stale stays
    found: list[int] = []
    for turn in range(1, total + 1):
        for position in earning[turn]:
            earned[position] += 1
            heappush(first, (-earned[position], position))
        while -first[0][0] != earned[first[0][1]]:
            heappop(first)
        position = heappop(first)[1]
        earned[position] -= 1
        if earned[position]:
            heappush(first, (-earned[position], position))
        found.append(position)
    return found
