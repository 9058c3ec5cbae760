"""Stations that turn requests away: Erlang's loss formula and M/M/c/K."""

from __future__ import annotations

import math
from dataclasses import dataclass


def erlang_b(c: int, load: float) -> float:
    """The share that is lost by `c` servers without a line; any law of service times.

    `load` is work per second over `c`. Erlang 1917, by the recursion over servers.
    """
    lost = 1.0
    for k in range(1, c + 1):
        lost = c * load * lost / (k + c * load * lost)
    return lost


@dataclass(frozen=True)
class Finite:
    """A station with room for so many."""

    lost: float
    """Share of the requests that find it full."""
    mean: float
    """Sojourn of the others, in mean service times."""
    utilisation: float


def m_m_c_k(c: int, line: int, load: float) -> Finite:
    """`c` exponential servers and room for `line` more; `load` may be above one.

    A birth-death process: Kleinrock, Queueing Systems 1, 3.5.
    """
    weights = [1.0]
    for n in range(1, c + line + 1):
        weights.append(weights[-1] * c * load / min(n, c))
    total = math.fsum(weights)
    lost = weights[-1] / total
    present = math.fsum(n * weight for n, weight in enumerate(weights)) / total
    taken = load * (1 - lost)
    return Finite(lost, present / (c * taken), taken)
