"""Weighted round robin's sequence of HAProxy's `roundrobin`: turns spread over a period.

A period is as many turns as all weights together, in sixteenths. Whoever has begun is due every
total/weight turns, whatever is left of the division carried on; where nobody is due the heaviest of
those begins that have not yet, and whose next turn would be beyond the period begins anew in the
next one. 5,1,1 gives a a a b a a c.

Source: HAProxy, "fast weighted round robin" (src/lb_fwrr.c, its comment on trees and positions).
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heapify, heappop, heappush
from typing import Any

from lb.native.marks import mypyc_attr
from lb.strategies.candidate import B
from lb.strategies.parts.avoiding import pick_avoiding
from lb.strategies.parts.heedless import Heedless
from lb.strategies.reasons import Reasons, Rule, others

PARTS = 16
"""Of a weight of one: what HAProxy divides it into, so that slow start has steps."""
Entry = Any
"""Of those who have begun: when due, what is left of divisions less the weight, turn, order. Of the
others: minus the weight, the period they take part from, turn, order. The turn at which it was made
lets equals go first in, first out; compiled code does not take such tuples apart."""


@mypyc_attr(allow_interpreted_subclasses=True)
class FastWeighted(Heedless[B]):
    """Three heaps: due in this period, not begun, and done with it. Stale entries are dropped when
    they come up: those that are not their backend's own any more.
    """

    def __init__(self) -> None:
        self._members: dict[int, B] = {}  # by order, blocked ones too
        self._weights: dict[int, int] = {}  # in parts, by order
        self._left: dict[int, int] = {}  # of divisions, of those who have begun, by order
        self._entry: dict[int, Entry] = {}  # of those that take turns, by order
        self._kept: dict[int, Entry] = {}  # of the blocked, by order
        self._due: list[Entry] = []
        self._new: list[Entry] = []
        self._over: list[Entry] = []
        self._total = 0  # weights of all members
        self._length = 0  # of this period: the total when it began
        self._at = 0  # turns of it that are taken
        self._turn = 0
        self._period = 0

    def join(self, backend: B, now: float) -> None:
        order = backend.order
        self._members[order] = backend
        weight = self._weigh(backend)
        if self._turn:
            self._left[order] = 0
            self._enter(order, self._at + (self._total - self._at) // weight)
        else:
            self._length = self._total
            self._begin_anew(order, self._period)

    def leave(self, backend: B, now: float) -> None:
        order = backend.order
        if self._members.pop(order, None) is not None:
            self._total -= self._weights.pop(order)
            self._entry.pop(order, None)
            self._kept.pop(order, None)
            self._left.pop(order, None)

    def block(self, backend: B, now: float) -> None:
        entry = self._entry.pop(backend.order, None)
        if entry is not None:
            self._kept[backend.order] = entry

    def unblock(self, backend: B, now: float) -> None:
        order = backend.order
        entry = self._kept.pop(order, None)
        if entry is None:
            return
        if order in self._left:  # turns that it has missed are lost
            due: int = entry[0]
            self._enter(order, max(due, self._at))
        else:
            self._begin_anew(order, max(entry[1], self._period))

    def reweigh(self, backend: B, now: float) -> None:
        order = backend.order
        if order not in self._members:
            return
        weight = self._weigh(backend)
        blocked = self._kept.pop(order, None)
        entry: Any = self._entry.get(order) if blocked is None else blocked
        if order in self._left:
            due: int = entry[0]
            self._left[order] = 0
            self._enter(order, min(due, self._at + self._total // weight))
        else:
            self._begin_anew(order, entry[1])
        if blocked is not None:
            self._kept[order] = self._entry.pop(order)

    def pick(self, now: float, key: bytes = b"", avoid: Sequence[B] = ()) -> B | None:
        if avoid:
            return pick_avoiding(self, self._entry, now, key, avoid)
        if not self._entry:
            return None
        due, new = self._top(self._due), self._top(self._new)
        if due is None and new is None:
            self._next_period()
            new = self._top(self._new)
        if due is not None and (due[0] <= self._at or new is None):
            entry: Any = heappop(self._due)
            at: int = entry[0]
        else:
            entry = heappop(self._new)
            at = self._at
        order: int = entry[3]
        self._turn += 1
        self._at += 1
        weight = self._weights[order]
        left = self._left.get(order, 0) + self._total % weight
        carried = 1 if left >= weight else 0
        self._left[order] = left - weight * carried
        self._enter(order, at + self._total // weight + carried)
        return self._members[order]

    def explain(self, now: float, key: bytes = b"", avoid: Sequence[B] = ()) -> Reasons | None:
        waiting = others([self._members[order] for order in self._entry], avoid)
        looked = [(self._rank(it.order), it) for it in waiting]
        looked.sort(key=lambda one: one[0], reverse=True)
        dues = [
            (it, float(self._entry[it.order][0] - self._at) if it.order in self._left else 0.0)
            for _, it in looked
        ]
        return Reasons("whose turn of the period it is", Rule.FOUND, "turns until due", dues)

    def _rank(self, order: int) -> tuple[int, Entry]:
        """Who comes first: the due, who has not begun, the not yet due, who is done."""
        entry: Any = self._entry[order]
        if order in self._left:
            return (0 if entry[0] <= self._at else 2, entry)
        return (1 if entry[1] <= self._period else 3, entry)

    def _weigh(self, backend: B) -> int:
        order = backend.order
        weight = max(1, round(PARTS * backend.weight))
        self._total += weight - self._weights.get(order, 0)
        self._weights[order] = weight
        return weight

    def _enter(self, order: int, due: int) -> None:
        """Due then, or done where that is beyond this period."""
        if due >= min(self._length, self._total):
            del self._left[order]
            self._begin_anew(order, self._period + 1)
            return
        entry: Any = (due, self._left[order] - self._weights[order], self._turn, order)
        self._put(self._due, entry)

    def _begin_anew(self, order: int, period: int) -> None:
        entry: Any = (-self._weights[order], period, self._turn, order)
        self._put(self._over if period > self._period else self._new, entry)

    def _put(self, heap: list[Entry], entry: Entry) -> None:
        order: int = entry[3]
        self._entry[order] = entry
        heappush(heap, entry)
        if len(heap) > 2 * len(self._entry) + 8:
            heap[:] = [it for it in heap if self._entry.get(it[3]) is it]
            heapify(heap)

    def _top(self, heap: list[Entry]) -> Entry:
        """The first that is not stale, or None."""
        while heap:
            entry: Any = heap[0]
            if self._entry.get(entry[3]) is entry:
                return entry
            heappop(heap)
        return None

    def _next_period(self) -> None:
        self._due.clear()
        self._new, self._over = self._over, []
        self._period += 1
        self._at, self._length = 0, self._total
        for order in [order for order in self._kept if order in self._left]:
            del self._left[order]  # blocked ones begin anew as well
            self._kept[order] = (-self._weights[order], self._period, self._turn, order)
