"""Turns in proportion to weight, spread as evenly as they go: nginx's smooth sequence.

At every pick each backend's credit grows by its weight, the largest credit wins (the first in
configured order on a tie) and pays back the sum of the weights. 5,1,1 gives a a b a c a a. All
backends of one weight earn at the same pace, so their order among themselves changes by picks only
and one heap per weight holds it exactly.

Source: nginx, "Upstream: smooth weighted round-robin balancing" (changeset 52327e0627f4, 2012).
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heapify, heappop, heappush, heapreplace
from math import fsum
from typing import Any

from lb.native.marks import mypyc_attr
from lb.strategies.candidate import B
from lb.strategies.parts.avoiding import pick_avoiding
from lb.strategies.parts.heedless import Heedless
from lb.strategies.reasons import Reasons, Rule, others


@mypyc_attr(allow_interpreted_subclasses=True)
class SmoothSequence(Heedless[B]):
    """Credits are kept relative to what each weight has earned since the start.

    credit = base + weight x turns. Heap entries are (-base, order); an entry that is no longer the
    backend's own is stale: dropped at the top, and swept out when most of a heap is stale.
    """

    # Entries are `Any`, or compiled code would take each tuple apart, and make it anew where it is
    # kept: they are told apart by identity.

    def __init__(self) -> None:
        self._turns = 0
        self._total = 0.0
        self._heaps: dict[float, list[Any]] = {}  # by weight
        self._earning: dict[float, int] = {}  # backends that take turns, by weight
        self._members: dict[int, B] = {}  # by order, blocked ones too
        self._entry: dict[int, Any] = {}  # by order
        self._weights: dict[int, float] = {}  # as of the entry, by order
        self._frozen: dict[int, float] = {}  # credit of the blocked, by order

    def join(self, backend: B, now: float) -> None:
        self._members[backend.order] = backend
        self._enter(backend, 0)

    def leave(self, backend: B, now: float) -> None:
        known = self._members.pop(backend.order, None) is not None
        if known and self._frozen.pop(backend.order, None) is None:
            self._withdraw(backend.order)

    def block(self, backend: B, now: float) -> None:
        if backend.order in self._entry:
            self._frozen[backend.order] = self._withdraw(backend.order)

    def unblock(self, backend: B, now: float) -> None:
        credit = self._frozen.pop(backend.order, None)
        if credit is not None:
            self._enter(backend, credit)

    def reweigh(self, backend: B, now: float) -> None:
        if backend.order in self._entry:
            self._enter(backend, self._withdraw(backend.order))

    def pick(self, now: float, key: bytes = b"", avoid: Sequence[B] = ()) -> B | None:
        if avoid:
            return pick_avoiding(self, self._entry, now, key, avoid)
        turns = self._turns + 1
        entries = self._entry
        heap: list[Any] | None = None
        lowest, base, first = 0.0, 0.0, 0
        for weight, row in self._heaps.items():
            top = row[0]
            own: float = top[0]
            order: int = top[1]
            while entries.get(order) is not top:
                heappop(row)  # a heap goes with the last backend that takes turns in it
                top = row[0]
                own, order = top[0], top[1]
            bid = own - weight * turns
            if heap is None or bid < lowest or (bid == lowest and order < first):
                heap, lowest, base, first = row, bid, own, order
        if heap is None:
            return None
        self._turns = turns
        entry: Any = (base + self._total, first)
        entries[first] = entry
        heapreplace(heap, entry)
        return self._members[first]

    def explain(self, now: float, key: bytes = b"", avoid: Sequence[B] = ()) -> Reasons | None:
        turns = self._turns + 1
        waiting = others([self._members[order] for order in self._entry], avoid)
        earned = [
            (it, self._weights[it.order] * turns - self._entry[it.order][0]) for it in waiting
        ]
        return Reasons("the one with the most credit", Rule.HIGHEST, "credit", earned)

    def _enter(self, backend: B, credit: float) -> None:
        order, weight = backend.order, backend.weight
        entry: Any = (weight * self._turns - credit, order)
        entries = self._entry
        entries[order] = entry
        self._weights[order] = weight
        earning = self._earning[weight] = self._earning.get(weight, 0) + 1
        heap = self._heaps.setdefault(weight, [])
        heappush(heap, entry)
        if len(heap) > 2 * earning + 8:
            heap[:] = [entry for entry in heap if entries.get(entry[1]) is entry]
            heapify(heap)
        self._add_up()

    def _withdraw(self, order: int) -> float:
        """Take a backend out of the turns and return its credit."""
        base: float = self._entry.pop(order)[0]
        weight = self._weights.pop(order)
        self._earning[weight] -= 1
        if not self._earning[weight]:
            del self._earning[weight], self._heaps[weight]
        self._add_up()
        return weight * self._turns - base

    def _add_up(self) -> None:
        """The sum of the weights, the same whatever the order of events."""
        self._total = fsum([weight * count for weight, count in self._earning.items()])
