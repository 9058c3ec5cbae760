"""A law of sojourn times: its mean, its tail, and from that any quantile."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Sojourn:
    """How long requests take from arrival to answer, in mean service times."""

    mean: float
    tail: Callable[[float], float]
    """Of t: the share that takes longer."""

    def quantile(self, q: float) -> float:
        """The time within which a share `q` is done, 0 < q < 1; bisection to the last digit."""
        low, high = 0.0, 1.0
        while self.tail(high) > 1 - q:
            low, high = high, 2 * high
        while low < (middle := (low + high) / 2) < high:
            if self.tail(middle) > 1 - q:
                low = middle
            else:
                high = middle
        return high


def exponential(mean: float) -> Sojourn:
    """Without memory."""
    return Sojourn(mean, lambda t: math.exp(-t / mean))


def behind(weights: Sequence[float]) -> Sojourn:
    """First come, first served, exponential: k are met with probability weights[k].

    Whoever meets k waits for k + 1 services, so it takes longer than t when no more than k end in
    that time, and their number is Poisson.
    """
    met = np.asarray(weights, dtype=float) / math.fsum(weights)
    at_least = np.cumsum(met[::-1])[::-1]
    k = np.arange(len(met))
    logs = np.cumsum(np.log(np.maximum(k, 1)))

    def tail(t: float) -> float:
        if t <= 0:
            return 1.0
        return float(at_least @ np.exp(k * math.log(t) - t - logs))

    return Sojourn(float(met @ (k + 1)), tail)
