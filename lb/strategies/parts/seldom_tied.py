"""The index by load for loads that are hardly ever equal, such as measured ones."""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from heapq import heapify, heappop, heappush

from lb.native.marks import mypyc_attr
from lb.strategies.base import Random
from lb.strategies.candidate import B
from lb.strategies.parts.avoiding import pick_avoiding
from lb.strategies.parts.least_loaded import LeastLoaded


@mypyc_attr(allow_interpreted_subclasses=True)
class SeldomTied(LeastLoaded[B]):
    """Who has a load alone stands for it in a table; buckets are for those who share one.

    To make and drop a bucket at every event took half as long again. A load that nobody has any
    more stays in the heap until it is at the top, or most of the heap is of that kind. (A sorted
    list in its place is faster by a tenth among ten backends, and takes 5 times as long among
    10,000.)
    """

    def __init__(self, rng: Random) -> None:
        super().__init__(rng)
        self._alone: dict[float, int] = {}  # order by load

    def moved(self, backend: B) -> None:
        order = backend.order
        old = self._loads.get(order)
        if old is None:
            return  # it has left, or is at its limit
        load, alone = self.load(backend), self._alone
        if old in alone and load not in alone and load not in self._buckets:
            # _remove and _enter at full length: this runs twice for every request.
            del alone[old]
            alone[load] = order
            self._loads[order] = load
            heap = self._heap
            heappush(heap, load)
            if len(heap) > 2 * len(self._loads) + 16:
                self._sweep()
        else:
            self._remove(order, old)
            self._enter(order, load)

    def pick(self, now: float, key: bytes = b"", avoid: Sequence[B] = ()) -> B | None:
        if avoid:
            return pick_avoiding(self, self._members, now, key, avoid)
        heap, alone, buckets = self._heap, self._alone, self._buckets
        while heap:
            order = alone.get(heap[0])
            if order is not None:
                return self._members[order]
            bucket = buckets.get(heap[0])
            if bucket:
                n = len(bucket)
                return self._members[bucket[int(self._draw() * n) if n > 1 else 0]]
            buckets.pop(heappop(heap), None)
        return None

    def _enter(self, order: int, load: float) -> None:
        self._loads[order] = load
        if load in self._buckets:
            insort(self._buckets[load], order)
        elif load in self._alone:
            self._buckets[load] = sorted((self._alone.pop(load), order))
        else:
            self._alone[load] = order
            heappush(self._heap, load)
            if len(self._heap) > 2 * len(self._loads) + 16:
                self._sweep()

    def _remove(self, order: int, load: float) -> None:
        if self._alone.pop(load, None) is None:
            super()._remove(order, load)

    def _sweep(self) -> None:
        self._buckets = {load: bucket for load, bucket in self._buckets.items() if bucket}
        self._heap[:] = [*self._alone, *self._buckets]
        heapify(self._heap)
