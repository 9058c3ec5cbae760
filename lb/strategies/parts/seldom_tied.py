"""The index by load for loads that are hardly ever equal, such as measured ones."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from lb.strategies.base import B, Outcome, Random, pick_avoiding
from lb.strategies.parts.least_loaded import LeastLoaded


class SeldomTied(LeastLoaded[B]):
    """All loads in one sorted list, and beside it whose they are.

    To make and drop a bucket at every event, and to clear a heap of loads that nobody has any more,
    took twice as long.
    """

    def __init__(self, rng: Random) -> None:
        super().__init__(rng)
        self._sorted: list[float] = []
        self._orders: list[int] = []  # of the same places; in order where loads are equal

    def started(
        self, backend: B, now: float, outcome: Outcome = Outcome.OK, latency: float = 0.0
    ) -> None:
        order = backend.order
        old = self._loads.get(order)
        if old is not None:  # else it has left, or is at its limit
            self._remove(order, old)
            self._enter(order, self.load(backend))

    finished = started

    def pick(self, now: float, key: bytes = b"", avoid: Sequence[B] = ()) -> B | None:
        if avoid:
            return pick_avoiding(self, self._members, now, key, avoid)
        loads, orders = self._sorted, self._orders
        if len(loads) > 1 and loads[0] == loads[1]:
            return self._members[orders[int(self._draw() * bisect_right(loads, loads[0]))]]
        return self._members[orders[0]] if orders else None

    def _enter(self, order: int, load: float) -> None:
        loads, orders = self._sorted, self._orders
        self._loads[order] = load
        at = bisect_left(loads, load)
        if at < len(loads) and loads[at] == load:
            at = bisect_left(orders, order, at, bisect_right(loads, load, at))
        loads.insert(at, load)
        orders.insert(at, order)

    def _remove(self, order: int, load: float) -> None:
        loads, orders = self._sorted, self._orders
        at = bisect_left(loads, load)
        if orders[at] != order:
            at = bisect_left(orders, order, at, bisect_right(loads, load, at))
        del loads[at], orders[at]
