"""Failed attempts: what is tried again, and who draws requests by failing fast."""

from __future__ import annotations

import math


def attempts(fails: float, retries: int) -> float:
    """Attempts per request when each fails with probability `fails`, independently.

    A geometric law cut off after `retries` more; as long as the budget lasts.
    """
    return sum(fails**k for k in range(retries + 1))


def failed(fails: float, retries: int) -> float:
    """The share of requests whose every attempt fails."""
    return fails ** (retries + 1)


def sinkhole(n: int, rate: float) -> float:
    """The share that fails where one of `n` servers fails at once, by least connections.

    It is always idle. Of the others, each with service times of mean one, k are busy, and a request
    goes to one of the n - k idle ones at random: a birth-death process of births
    rate (n - 1 - k) / (n - k). Whoever fails fast takes what all others together cannot.
    """
    weights = [1.0]
    for k in range(1, n):
        weights.append(weights[-1] * rate * (n - k) / (n - k + 1) / k)
    return math.fsum(w / (n - k) for k, w in enumerate(weights)) / math.fsum(weights)
