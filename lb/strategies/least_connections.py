"""Least connections: a backend with the fewest requests in flight for its weight.

The load of a backend is (in flight + 1) / weight, what it would carry after the pick; ties are
broken uniformly at random, or the first backend in the file would take every request of a quiet
service. With perfect information and equal servers this is join-the-shortest-queue.

Cost: O(log n) per event. Wrong when several balancers share the backends and each sees only its own
requests, and when a broken backend answers errors faster than the others answer at all.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Generic

from lb.strategies.base import B, Outcome, Random


@dataclass(frozen=True)
class Params:
    """Least connections has no settings."""


class LeastConnections(Generic[B]):
    """Backends in buckets of equal load, and a heap of the loads.

    An emptied bucket stays until its load reaches the top of the heap: that happens at once for the
    bucket that picks come from, and it keeps every load in the heap exactly once.
    """

    def __init__(self, params: Params, rng: Random) -> None:  # noqa: ARG002 - every factory's signature
        self._draw = rng.random
        self._members: dict[int, B] = {}  # by order
        self._load: dict[int, float] = {}  # by order
        self._buckets: dict[float, list[int]] = {}  # orders, sorted
        self._loads: list[float] = []  # heap of the keys of _buckets

    def join(self, backend: B, now: float) -> None:  # noqa: ARG002
        order = backend.order
        self._members[order] = backend
        self._enter(order, (backend.active + 1) / backend.weight)

    def leave(self, backend: B, now: float) -> None:  # noqa: ARG002
        order = backend.order
        if self._members.pop(order, None) is not None:
            self._remove(order, self._load.pop(order))

    def block(self, backend: B, now: float) -> None:
        self.leave(backend, now)

    def unblock(self, backend: B, now: float) -> None:
        self.join(backend, now)

    def reweigh(self, backend: B, now: float) -> None:
        self.started(backend, now)

    def started(
        self, backend: B, now: float, outcome: Outcome = Outcome.OK, latency: float = 0.0
    ) -> None:
        """Move the backend to the bucket of its new load; `finished` is the same move."""
        order = backend.order
        old = self._load.get(order)
        if old is None:
            return  # it has left, or is at its limit
        buckets = self._buckets
        bucket = buckets[old]
        del bucket[bisect_left(bucket, order)]
        self._load[order] = load = (backend.active + 1) / backend.weight
        if load in buckets:
            insort(buckets[load], order)
        else:
            buckets[load] = [order]
            heappush(self._loads, load)

    finished = started

    def pick(self, now: float, key: bytes = b"", avoid: Sequence[B] = ()) -> B | None:
        if avoid:
            return self._pick_avoiding(now, key, avoid)
        loads, buckets = self._loads, self._buckets
        while loads:
            bucket = buckets[loads[0]]
            n = len(bucket)
            if n > 1:
                return self._members[bucket[int(self._draw() * n)]]
            if n:
                return self._members[bucket[0]]
            del buckets[heappop(loads)]
        return None

    def _pick_avoiding(self, now: float, key: bytes, avoid: Sequence[B]) -> B | None:
        hidden = {backend.order: backend for backend in avoid if backend.order in self._members}
        for backend in hidden.values():
            self.leave(backend, now)
        best = self.pick(now, key)
        for backend in hidden.values():
            self.join(backend, now)
        return best or self.pick(now, key)

    def _enter(self, order: int, load: float) -> None:
        self._load[order] = load
        bucket = self._buckets.get(load)
        if bucket is None:
            self._buckets[load] = [order]
            heappush(self._loads, load)
        else:
            insort(bucket, order)

    def _remove(self, order: int, load: float) -> None:
        bucket = self._buckets[load]
        del bucket[bisect_left(bucket, order)]
