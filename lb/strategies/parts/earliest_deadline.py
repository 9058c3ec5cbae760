"""Weighted round robin's other sequence: earliest deadline first.

A backend of weight w is due every 1/w of virtual time; the one due first is picked, and of those
due together the one that has waited longest. Times are whole numbers of a common unit, so ties are
ties: with binary fractions ten tenths are less than one. 5,1,1 gives a a a a b c a.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from heapq import heapify, heappop, heappush
from math import lcm
from typing import Generic

from lb.strategies.base import B, Outcome, pick_avoiding

FINEST = 1000
"""Weights are taken to a thousandth; coarser ones, whole numbers first of all, are exact."""

Entry = tuple[int, int, int]
"""Deadline, the turn it was set at, order. The turn makes ties first in, first out."""


class EarliestDeadline(Generic[B]):
    """A heap of deadlines. Stale entries are dropped when they come up."""

    def __init__(self) -> None:
        self._members: dict[int, B] = {}  # by order, blocked ones too
        self._weights: dict[int, Fraction] = {}  # by order
        self._entry: dict[int, Entry] = {}  # of those that take turns, by order
        self._kept: dict[int, int] = {}  # what was left to the deadline of the blocked, by order
        self._heap: list[Entry] = []
        self._unit = 1  # parts of virtual time that one is divided into
        self._now = 0
        self._turn = 0

    def join(self, backend: B, now: float) -> None:
        order = backend.order
        self._members[order] = backend
        self._set_weight(backend)
        self._enter(order, self._now + self._step(order))

    def leave(self, backend: B, now: float) -> None:
        order = backend.order
        if self._members.pop(order, None) is not None:
            self._entry.pop(order, None)
            self._kept.pop(order, None)
            del self._weights[order]

    def block(self, backend: B, now: float) -> None:
        entry = self._entry.pop(backend.order, None)
        if entry is not None:
            self._kept[backend.order] = entry[0] - self._now

    def unblock(self, backend: B, now: float) -> None:
        left = self._kept.pop(backend.order, None)
        if left is not None:
            self._enter(backend.order, self._now + left)

    def reweigh(self, backend: B, now: float) -> None:
        order = backend.order
        if order in self._members:
            self._set_weight(backend)
            step = self._step(order)
            # A heavier backend need not sit out the long wait of a light one.
            if order in self._kept:
                self._kept[order] = min(self._kept[order], step)
            else:
                self._enter(order, min(self._entry[order][0], self._now + step))

    def started(self, backend: B, now: float) -> None: ...

    def finished(self, backend: B, now: float, outcome: Outcome, latency: float) -> None: ...

    def pick(self, now: float, key: bytes = b"", avoid: Sequence[B] = ()) -> B | None:
        if avoid:
            return pick_avoiding(self, self._entry, now, key, avoid)
        heap = self._heap
        while heap:
            entry = heappop(heap)
            order = entry[2]
            if self._entry.get(order) == entry:
                self._now = entry[0]
                self._turn += 1
                self._enter(order, entry[0] + self._step(order))
                return self._members[order]
        return None

    def _enter(self, order: int, deadline: int) -> None:
        entry = self._entry[order] = (deadline, self._turn, order)
        heappush(self._heap, entry)
        if len(self._heap) > 2 * len(self._entry) + 8:
            self._heap = list(self._entry.values())
            heapify(self._heap)

    def _step(self, order: int) -> int:
        return int(self._unit / self._weights[order])

    def _set_weight(self, backend: B) -> None:
        """Take the backend's weight, and a finer unit of time if it needs one."""
        weight = max(Fraction(backend.weight).limit_denominator(FINEST), Fraction(1, FINEST))
        self._weights[backend.order] = weight
        finer = lcm(self._unit, weight.numerator) // self._unit
        if finer > 1:
            self._unit *= finer
            self._now *= finer
            self._kept = {order: left * finer for order, left in self._kept.items()}
            self._entry = {o: (d * finer, turn, o) for o, (d, turn, _) in self._entry.items()}
            self._heap = list(self._entry.values())
            heapify(self._heap)
