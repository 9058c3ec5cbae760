"""An index of the backends by load: the least loaded one, uniformly among ties.

What the load of a backend is, its strategy says; it may change only with an event of that backend.
"""

from __future__ import annotations

from abc import abstractmethod
from bisect import bisect_left, insort
from collections.abc import Sequence
from heapq import heapify, heappop, heappush

from lb.native.marks import mypyc_attr
from lb.strategies.base import Outcome, Random
from lb.strategies.candidate import B
from lb.strategies.parts.avoiding import pick_avoiding
from lb.strategies.parts.heedless import Index
from lb.strategies.reasons import Reasons, Rule, others


@mypyc_attr(allow_interpreted_subclasses=True)
class LeastLoaded(Index[B]):
    """Backends in buckets of equal load, and a heap of the loads.

    An emptied bucket stays until its load reaches the top of the heap, or most buckets are empty.
    That happens at once for the bucket that picks come from, and keeps every load in the heap once.
    """

    measure = "requests in flight per weight, with this one"
    """What loads are."""

    def __init__(self, rng: Random) -> None:
        self._draw = rng.random
        self._members: dict[int, B] = {}  # by order
        self._loads: dict[int, float] = {}  # by order
        self._buckets: dict[float, list[int]] = {}  # orders, sorted
        self._heap: list[float] = []  # the keys of _buckets

    @abstractmethod
    def load(self, backend: B) -> float:
        """What backends are compared by."""

    def join(self, backend: B, now: float) -> None:
        order = backend.order
        self._members[order] = backend
        self._enter(order, self.load(backend))

    def leave(self, backend: B, now: float) -> None:
        self.block(backend, now)

    def block(self, backend: B, now: float) -> None:
        order = backend.order
        if self._members.pop(order, None) is not None:
            self._remove(order, self._loads.pop(order))

    def unblock(self, backend: B, now: float) -> None:
        LeastLoaded.join(self, backend, now)

    def reweigh(self, backend: B, now: float) -> None:
        self.moved(backend)

    def started(self, backend: B, now: float) -> None:
        self.moved(backend)

    def finished(self, backend: B, now: float, outcome: Outcome, latency: float) -> None:
        self.moved(backend)

    def moved(self, backend: B) -> None:
        """To the bucket of its new load."""
        order = backend.order
        if order in self._members:  # else it has left, or is at its limit
            self._remove(order, self._loads[order])
            self._enter(order, self.load(backend))

    def pick(self, now: float, key: bytes = b"", avoid: Sequence[B] = ()) -> B | None:
        if avoid:
            return pick_avoiding(self, self._members, now, key, avoid)
        heap, buckets = self._heap, self._buckets
        while heap:
            bucket = buckets[heap[0]]
            n = len(bucket)
            if n > 1:
                return self._members[bucket[int(self._draw() * n)]]
            if n:
                return self._members[bucket[0]]
            del buckets[heappop(heap)]
        return None

    def explain(self, now: float, key: bytes = b"", avoid: Sequence[B] = ()) -> Reasons | None:
        loads = [(it, self._loads[it.order]) for it in others(self._members.values(), avoid)]
        return Reasons("of all the one with the least to do", Rule.LOWEST, self.measure, loads)

    def _enter(self, order: int, load: float) -> None:
        self._loads[order] = load
        bucket = self._buckets.get(load)
        if bucket is not None:
            insort(bucket, order)
            return
        self._buckets[load] = [order]
        heap = self._heap
        heappush(heap, load)
        if len(heap) > 2 * len(self._loads) + 16:
            self._buckets = {load: bucket for load, bucket in self._buckets.items() if bucket}
            heap[:] = self._buckets
            heapify(heap)

    def _remove(self, order: int, load: float) -> None:
        bucket = self._buckets[load]
        del bucket[bisect_left(bucket, order)]
