"""Least connections as nginx has it: in flight by weight, and those that are equal take turns.

The load of a backend is in flight / weight, without the request that is to be placed. Of equals
each earns its weight, the one with the most credit is picked (the first in configured order on a
tie) and pays back what they have earned together.

Source: nginx, src/http/modules/ngx_http_upstream_least_conn_module.c.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop

from lb.strategies.base import Random
from lb.strategies.candidate import B
from lb.strategies.parts.avoiding import pick_avoiding
from lb.strategies.parts.least_loaded import LeastLoaded


class TiedTurns(LeastLoaded[B]):
    """Least loaded, and the credit of each; a pick costs as much as there are equals."""

    measure = "requests in flight per weight"

    def __init__(self, rng: Random) -> None:
        super().__init__(rng)
        self._credit: dict[int, float] = {}  # by order

    def load(self, backend: B) -> float:
        return backend.active / backend.weight

    def leave(self, backend: B, now: float) -> None:
        super().leave(backend, now)
        self._credit.pop(backend.order, None)

    def pick(self, now: float, key: bytes = b"", avoid: Sequence[B] = ()) -> B | None:
        if avoid:
            return pick_avoiding(self, self._members, now, key, avoid)
        heap, buckets = self._heap, self._buckets
        while heap:
            tied = buckets[heap[0]]
            if tied:
                return self._members[self._turn(tied) if len(tied) > 1 else tied[0]]
            del buckets[heappop(heap)]
        return None

    def _turn(self, tied: Sequence[int]) -> int:
        credit, best, total = self._credit, tied[0], 0.0
        for order in tied:
            weight = self._members[order].weight
            credit[order] = credit.get(order, 0.0) + weight
            total += weight
            if credit[order] > credit[best]:
                best = order
        credit[best] -= total
        return best
