"""What one more run may show, told from runs like it: prediction intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sim.analysis.statistics import Estimate, prediction

FAMILY = 0.95
"""How likely one more run is to lie within all the intervals that are given for it."""
RARE = 1.0
"""Events per run below which the runs' own spread says little of the next."""
LARGEST = 700.0
"""Logarithm of about the largest number there is."""


def level_of_each(lines: int) -> float:
    """How likely each of so many intervals must hold for all to do with `FAMILY` (Bonferroni)."""
    return 1 - (1 - FAMILY) / max(lines, 1)


def forecast(values: Sequence[float], level: float) -> Estimate:
    """The mean of independent runs, and where one more lies with probability `level`.

    Student's interval, that of the logarithms of what is positive (a p99 of a short run is skewed),
    and at least the range of the runs: a second ejection that one run in ten sees lies in no such
    law's tail. What is never below zero will not be. The bounds are None where the runs give none.
    """
    found = prediction(values, level)
    if found.low is None or found.high is None:
        return found
    least, most = min(found.low, *values), max(found.high, *values)
    if min(values) >= 0:
        least = max(least, 0.0)
    if min(values) > 0:
        skewed = prediction([math.log(value) for value in values], level)
        if skewed.high is not None:
            most = max(most, math.exp(min(skewed.high, LARGEST)))
    return replace(found, low=least, high=most)


def forecast_count(values: Sequence[int], level: float) -> Estimate:
    """The same for how often something happens in a run, which is seldom or never.

    Rare events are taken to be Poisson with a rate that these runs alone tell, by Jeffreys' prior:
    the next count is negative binomial then. Nothing in 30 runs allows for one at 99 %, not two.
    """
    found = forecast([float(value) for value in values], level)
    n, seen = len(values), sum(values)
    if not n or seen >= RARE * n:
        return found
    inside = _negative_binomial(seen + 0.5, n / (n + 1), (1 - level) / 2)
    if found.low is None or found.high is None:
        return Estimate(found.value, *inside)
    return replace(found, low=min(found.low, inside[0]), high=max(found.high, inside[1]))


def _negative_binomial(size: float, probability: float, tail: float) -> tuple[float, float]:
    """Quantiles of the number of failures before `size` successes, for `tail` on either side."""
    mean = size * (1 - probability) / probability
    k = np.arange(int(20 + mean + 20 * (mean / probability) ** 0.5))
    steps = np.log((k + size) / (k + 1)) + np.log1p(-probability)
    logs = size * np.log(probability) + np.concatenate([[0.0], np.cumsum(steps)])
    below = np.cumsum(np.exp(logs))
    low, high = np.searchsorted(below, [tail, 1 - tail])
    return float(low), float(high)
