"""Clients who leave: Erlang A, which is M/M/c with exponential patience."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Reneging:
    """What becomes of impatient clients; shares are of all of them."""

    left_line: float
    """Gone before their service began."""
    gone: float
    """Those, and those whose patience ended while they were served."""
    mean: float
    """Sojourn of those who are answered, in mean service times."""
    utilisation: float
    """Service that has begun goes on, whoever is gone."""


def erlang_a(c: int, load: float, patience: float) -> Reneging:
    """`c` exponential servers; `patience` is its mean in mean service times, from arrival on.

    A client with j before it in line moves up at rate c + j / patience and leaves at 1 / patience,
    whatever went before; what is left of its patience when its service begins is exponential again.
    Palm 1957; Garnett, Mandelbaum & Reiman, "Designing a call center with impatient customers",
    2002.
    """
    leaves = 1 / patience
    weights, n = [1.0], 0
    while n < c or weights[-1] > 1e-18 * max(weights):
        n += 1
        weights.append(weights[-1] * c * load / (min(n, c) + max(n - c, 0) * leaves))
    total = math.fsum(weights)
    answered = done_at = begun = 0.0
    serves = 1 / (1 + leaves)  # and no patience ends before
    for met, weight in enumerate(weights):
        in_line = met - c
        chance = weight / total * (1.0 if in_line < 0 else c / (c + (in_line + 1) * leaves))
        wait = math.fsum(1 / (c + (i + 1) * leaves) for i in range(in_line + 1))
        begun += chance
        answered += chance * serves
        done_at += chance * serves * (wait + serves)
    return Reneging(1 - begun, 1 - answered, done_at / answered, load * begun)
