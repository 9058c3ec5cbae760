"""Whether backends can keep up, judged by the work that is sent to them."""

from __future__ import annotations

from typing import Literal

Steadiness = Literal["steady", "edge", "overloaded"]

EDGE = 0.985
"""Offered load from which a queue is near the edge: one M/M/1 then forgets how it began within
4 / (1 - load)^2 = 18,000 service times, and an ordinary run holds few of those."""


def steadiness(offered: float, *, bounded: bool = False) -> Steadiness:
    """What `offered`, the load of a backend over its capacity, says of its latencies.

    A `bounded` queue turns away what it has no place for, so it has a steady state at any load.
    """
    if bounded or offered < EDGE:
        return "steady"
    return "edge" if offered < 1 else "overloaded"
