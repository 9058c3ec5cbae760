"""Weighted round robin: turns in proportion to weight, spread as evenly as they go.

The sequence is nginx's smooth one unless `sequence` says otherwise: at every pick each backend's
credit grows by its weight, the largest credit wins (the first in configured order on a tie) and
pays back the sum of the weights. 5,1,1 gives a a b a c a a, never five a in a row. The others are
those of Envoy (`edf`) and of HAProxy (`fwrr` is its roundrobin, `static` its static-rr): the same
shares in another order, for predictions of them.

Cost: O(log n) per pick for each distinct weight. All backends of one weight earn at the same pace,
so their order among themselves changes by picks only and one heap per weight holds it exactly.
Wrong when weights do not say what the backends can really do.

Source: nginx, "Upstream: smooth weighted round-robin balancing" (changeset 52327e0627f4, 2012).
"""

from __future__ import annotations

from typing import Any, Literal

from lb.strategies.base import Random, Strategy
from lb.strategies.parts.earliest_deadline import EarliestDeadline
from lb.strategies.parts.fast_weighted import FastWeighted
from lb.strategies.parts.turn_map import TurnMap
from lb.strategies.parts.turns import SmoothSequence
from lb.strategies.spec import Spec, settings


@settings
class Params:
    """Settings of weighted round robin."""

    sequence: 'Literal["smooth", "edf", "fwrr", "static"]' = "smooth"
    """nginx's smooth sequence; earliest deadline first as in Envoy; HAProxy's roundrobin; HAProxy's
    static-rr. HAProxy's know weights in sixteenths."""


def make(params: Params, rng: Random) -> Strategy[Any]:
    """The sequence that the settings name."""
    if params.sequence == "edf":
        return EarliestDeadline()
    if params.sequence == "fwrr":
        return FastWeighted()
    return TurnMap() if params.sequence == "static" else SmoothSequence()


SPEC = Spec(
    name="weighted_round_robin",
    factory=make,
    params=Params,
    cost="O(log n) per distinct weight; O(log n) with edf and fwrr; O(1) with static",
    avoid_when="the weights do not say what the backends can really do",
    static=True,
    needs=frozenset({"weights"}),
    claims=frozenset({"shares", "exact_shares"}),
    variants=({"sequence": "edf"}, {"sequence": "fwrr"}, {"sequence": "static"}),
)
