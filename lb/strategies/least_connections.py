"""Least connections: a backend with the fewest requests in flight for its weight.

The load of a backend is (in flight + 1) / weight, what it would carry after the pick; ties are
broken uniformly at random, or the first backend in the file would take every request of a quiet
service. With perfect information and equal servers this is join-the-shortest-queue.

Cost: O(log n) per event. Wrong when several balancers share the backends and each sees only its own
requests, and when a broken backend answers errors faster than the others answer at all.
"""

from __future__ import annotations

from bisect import bisect_left, insort

from lb.native.marks import mypyc_attr
from lb.strategies.base import Random
from lb.strategies.candidate import B
from lb.strategies.parts.least_loaded import LeastLoaded
from lb.strategies.spec import Spec, settings


@settings
class Params:
    """Least connections has no settings."""


@mypyc_attr(allow_interpreted_subclasses=True)
class LeastConnections(LeastLoaded[B]):
    """Least loaded, by requests in flight per weight."""

    def __init__(self, params: Params, rng: Random) -> None:
        super().__init__(rng)

    def load(self, backend: B) -> float:
        return (backend.active + 1) / backend.weight

    def moved(self, backend: B) -> None:
        order = backend.order
        old = self._loads.get(order)
        if old is None:
            return  # it has left, or is at its limit
        # As in LeastLoaded, at full length: this runs twice for every request.
        buckets = self._buckets
        had = buckets[old]
        del had[bisect_left(had, order)]
        load = (backend.active + 1) / backend.weight
        bucket = buckets.get(load)
        if bucket is None:
            self._enter(order, load)
        else:
            insort(bucket, order)
            self._loads[order] = load


SPEC = Spec(
    name="least_connections",
    factory=LeastConnections,
    params=Params,
    cost="O(log n)",
    avoid_when="many balancers each see only their own requests",
    partial="each counts its own requests only, so that ties grow and busy backends look idle",
)
