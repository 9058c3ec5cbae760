"""A backend of which a recording holds but a sample: how many were there each sampled request says,
who else was there nobody does.

Those who found nobody tell what a service takes, and from which number on stays are longer tells
how many workers there are; the discipline remains unknown.
"""

from __future__ import annotations

import math

import numpy as np

from sim.fit.calibrate.station import Station
from sim.fit.calibrate.stays import Hypothesis, Stays
from sim.fit.seen import Ints
from sim.model.laws import Floats

SURE = 3.0
"""Standard deviations of the rank sum from which stays are longer."""
ENOUGH = 20
"""Stays without which a number says nothing."""


def station_of_sample(stays: Stays, found: Ints) -> Station:
    """Of sampled stays, and how many each found at the backend; the workers as a range."""
    alone = stays.whole & (found <= max(0, int(np.quantile(found, 0.02))))
    idle = stays.sojourn[alone]
    workers, sure = 1, 1
    for number in range(1, int(found.max(initial=0)) + 1):
        here = stays.sojourn[stays.whole & (found == number)]
        if len(here) < ENOUGH:
            continue
        score = _longer(here, idle)
        if score > SURE:
            break
        workers = number + 1
        sure = number + 1 if score < 0.5 * SURE else sure
    else:
        workers = max(int(found.max(initial=0)) + 1, 1)
        return Station(
            stays.only(alone), Hypothesis("fifo", workers), workers, None, ("fifo", "ps"), 0.0
        )
    fewest, most = max(min(sure, workers - 1), 1), workers + 1
    own = Hypothesis("fifo", workers)
    return Station(stays.only(alone), own, fewest, most, ("fifo", "ps"), 0.0)


def _longer(a: Floats, b: Floats) -> float:
    """By how many standard deviations `a` ranks above `b` (Mann and Whitney 1947)."""
    both = np.concatenate([a, b])
    ranks = np.empty(len(both))
    ranks[np.argsort(both, kind="stable")] = np.arange(1, len(both) + 1)
    n, m = len(a), len(b)
    above = float(ranks[:n].sum()) - n * (n + 1) / 2
    return (above - n * m / 2) / math.sqrt(n * m * (n + m + 1) / 12)
