"""A second attempt beside a slow one: order statistics, where nobody waits for a server."""

from __future__ import annotations

import math

from sim.checks.theory.sojourn import Sojourn


def hedged(after: float) -> Sojourn:
    """The earlier of two exponential services, the second begun `after` service times later.

    At 0 it is the lower of two order statistics: exponential with mean 1/2 (David & Nagaraja, Order
    Statistics, 2.5). Dean & Barroso, "The tail at scale", 2013, for what it is good for.
    """
    return Sojourn(
        1 - math.exp(-after) / 2, lambda t: math.exp(-t) * math.exp(-max(t - after, 0.0))
    )


def hedges(after: float) -> float:
    """Second attempts per request: of those that take longer than `after`."""
    return math.exp(-after)
