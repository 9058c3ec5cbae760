"""Least connections: a backend with the fewest requests in flight for its weight.

The load of a backend is (in flight + 1) / weight, what it would carry after the pick; ties are
broken uniformly at random, or the first backend in the file would take every request of a quiet
service. With perfect information and equal servers this is join-the-shortest-queue. Set to `load`
otherwise it counts and breaks ties as HAProxy (`idle_first`) or nginx (`before`), for predictions
of them.

Cost: O(log n) per event. Wrong when several balancers share the backends and each sees only its own
requests, and when a broken backend answers errors faster than the others answer at all.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import Any, Literal

from lb.native.marks import mypyc_attr
from lb.strategies.base import Random, Strategy
from lb.strategies.candidate import B
from lb.strategies.parts.idle_first import IdleFirst
from lb.strategies.parts.least_loaded import LeastLoaded
from lb.strategies.parts.tied_turns import TiedTurns
from lb.strategies.spec import Spec, settings


@settings
class Params:
    """Settings of least connections."""

    load: 'Literal["after", "idle_first", "before"]' = "after"
    """What each would carry with the request, ties at random; the same, but the idle first and of
    equals whoever has waited longest, as HAProxy; what each carries without it, of equals in turn
    by weight, as nginx."""


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


def make(params: Params, rng: Random) -> Strategy[Any]:
    """As the settings say."""
    if params.load == "idle_first":
        return IdleFirst()
    return TiedTurns(rng) if params.load == "before" else LeastConnections(params, rng)


SPEC = Spec(
    name="least_connections",
    factory=make,
    params=Params,
    cost="O(log n); O(those that are equal) with before",
    avoid_when="many balancers each see only their own requests",
    variants=({"load": "idle_first"},),
    partial="each counts its own requests only, so that ties grow and busy backends look idle",
)
