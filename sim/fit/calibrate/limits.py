"""What ends attempts before their answer: a time limit, clients that leave; and what the services
that they cut short would have been.
"""

from __future__ import annotations

import math

import numpy as np

from lb.config import Deterministic, Exponential
from lb.traces.observed import CLIENT_GONE, TIMEOUT
from sim.fit.seen import Seen
from sim.model.laws import Floats

FEWEST = 5
"""Attempts that were cut off from which a limit is told."""
SAME = 1.05
"""Times that differ by less are one limit."""
MATTERS = 0.005
"""The share of requests whose clients left from which their patience is modelled."""


def time_limit(seen: Seen) -> float | None:
    """Seconds after which the balancer gives an attempt up; None where that does not show."""
    cut = (seen.fate == TIMEOUT) & np.isnan(seen.first_byte) & np.isfinite(seen.left)
    took = (seen.left - seen.started)[cut]
    if len(took) < FEWEST:
        return None
    low, middle, high = np.quantile(took, [0.1, 0.5, 0.9])
    return float(f"{middle:.3g}") if high < SAME * low + 2e-3 else None


def patience(seen: Seen) -> Exponential | Deterministic | None:
    """How long clients wait before they leave; None where hardly any does.

    All at one time, or exponential: its mean is the time that all have waited over the number of
    those who left (the likeliest of a censored sample).
    """
    left = (seen.outcome == CLIENT_GONE) & np.isfinite(seen.ended)
    number = int(np.count_nonzero(left))
    if number < 4 * FEWEST or number < MATTERS * len(seen):
        return None
    waited = (seen.ended - seen.arrived)[left]
    low, middle, high = np.quantile(waited, [0.1, 0.5, 0.9])
    if high < SAME * low + 2e-3:
        return Deterministic(law="deterministic", mean=float(f"{middle:.3g}"))
    told = np.isfinite(seen.ended)
    whole = float((seen.ended - seen.arrived)[told].sum())
    return Exponential(law="exponential", mean=float(f"{whole / number:.3g}"))


def completed(sample: Floats, cut: Floats, rng: np.random.Generator) -> Floats:
    """`sample`, and for each service that was cut short after `cut` seconds one that is longer.

    Each cut one's share goes to those that are longer (Efron 1967, "redistribute to the right");
    beyond the longest it goes on exponentially, at the pace of the last tenth.
    """
    cut = np.sort(cut[cut > 0])[::-1]  # what is imputed for longer ones counts for shorter ones
    if not len(cut):
        return sample
    ordered = np.sort(sample)
    tail = ordered[int(0.9 * len(ordered)) :]
    beyond = int(np.count_nonzero(cut > ordered[-1]))
    pace = max(float((tail - tail[0]).sum()) + float((cut[cut > tail[0]] - tail[0]).sum()), 1e-12)
    pace /= max(len(tail) - 1, 1)
    grown = ordered
    added: list[float] = []
    for at in cut.tolist():
        longer = grown[np.searchsorted(grown, at, side="right") :]
        if len(longer) < 3 or beyond > len(longer):
            value = at - pace * math.log(1 - rng.random())
        else:
            value = float(longer[rng.integers(len(longer))])
        added.append(value)
        grown = np.insert(grown, int(np.searchsorted(grown, value)), value)
    return np.concatenate([sample, added])
