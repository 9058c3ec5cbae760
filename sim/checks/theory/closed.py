"""A fixed number of users who think between requests: mean value analysis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Closed:
    """What `users` see of it."""

    mean: float
    """Sojourn, thinking apart, in the unit of the demands."""
    throughput: float


def mva(users: int, think: float, demands: Sequence[float]) -> Closed:
    """Exact for exponential stations, first come, first served; any law for shared ones.

    `demands` are work per request at each station: a server that gets every n-th request at random
    has demand 1 / n. Reiser & Lavenberg, "Mean-value analysis of closed multichain queuing
    networks", Journal of the ACM 27, 1980.
    """
    queues = [0.0] * len(demands)
    mean = throughput = 0.0
    for population in range(1, users + 1):
        sojourns = [demand * (1 + queue) for demand, queue in zip(demands, queues, strict=True)]
        mean = sum(sojourns)
        throughput = population / (think + mean)
        queues = [throughput * sojourn for sojourn in sojourns]
    return Closed(mean, throughput)


def repairmen(users: int, think: float, c: int) -> Closed:
    """One station of `c` exponential servers, `think` in service times, exponential or not.

    The machine repair model, a birth-death process: Kleinrock, Queueing Systems 1, 3.9.
    """
    weights = [1.0]
    for n in range(1, users + 1):
        weights.append(weights[-1] * (users - n + 1) / think / min(n, c))
    total = sum(weights)
    busy = sum(min(n, c) * weight for n, weight in enumerate(weights)) / total
    present = sum(n * weight for n, weight in enumerate(weights)) / total
    return Closed(present / busy, busy)
