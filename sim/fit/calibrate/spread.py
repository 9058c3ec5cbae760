"""How much services differ: a coefficient of variation, as far as a sample can show it."""

from __future__ import annotations

import math

import numpy as np

from sim.analysis.statistics import Estimate
from sim.model.laws import Floats

TAIL, FEWEST = 0.05, 20
"""The share of a sample that is its tail, and of how many values it consists at least."""
HEAVY = 0.2
"""The shape of a tail (generalised Pareto) from which on, if it goes on like that, the values that
make the variance are rarer than a sample: the error of a variance is infinite from 0.25 on."""


def cv_interval(sample: Floats, *, heavy: bool = False) -> Estimate:
    """Of the sample's own spread over its mean, by the delta method; where its tail is heavy, or it
    is known to be, there is no upper bound.
    """
    mean, number = float(sample.mean()), len(sample)
    parts = (sample - mean) / mean
    variance = float((parts**2).mean())
    influence = parts**2 - variance - 2 * variance * parts
    cv = math.sqrt(variance)
    half = 1.96 * float(influence.std()) / (2 * max(cv, 1e-9)) / math.sqrt(number)
    bounded = not heavy and tail(sample) < HEAVY
    return Estimate(cv, max(cv - half, 0.0), cv + half if bounded else None)


def tail(sample: Floats) -> float:
    """The shape of the tail: 0 falls off like an exponential law, 0.5 like a Pareto law of alpha 2.

    By probability-weighted moments of what is beyond (Hosking and Wallis 1987).
    """
    ordered = np.sort(sample)
    count = max(int(TAIL * len(ordered)), FEWEST)
    if len(ordered) <= count:
        return 0.0
    beyond = ordered[-count:] - ordered[-count - 1]
    places = (np.arange(1, count + 1) - 0.35) / count
    first, second = float(beyond.mean()), float((beyond * (1 - places)).mean())
    if first - 2 * second < 1e-9 * max(first, 1e-12):
        return 0.0
    return 2 - first / (first - 2 * second)
