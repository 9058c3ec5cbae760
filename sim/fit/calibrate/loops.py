"""Traffic that waits for its answers: users who ask again only once they were answered.

Where arrivals know nothing of those before them, they come as often whether many or few are in
flight (Wolff 1982); of so many users those who wait do not ask.
"""

from __future__ import annotations

import math

import numpy as np

from sim.fit.calibrate.covered import covered
from sim.fit.seen import Seen
from sim.model.laws import Floats

RARER = 0.75
"""By what factor arrivals are rarer while many are in flight where users wait."""
SURELY = 6.0
"""Standard deviations of that."""
REGULAR = 0.7
"""Coefficient of variation of gaps below which arrivals shun those before them anyway."""
OFTEN, SOON = 0.5, 0.05
"""The share of arrivals, beyond chance, that come at once upon an end where users never pause, and
what of a mean gap is at once."""


def waits_for_answers(seen: Seen) -> bool:
    """Whether arrivals look like those of users who wait."""
    told = np.isfinite(seen.ended)
    arrived, ended = seen.arrived[told], np.sort(seen.ended[told])
    if len(arrived) < 200:
        return False
    gaps = np.diff(covered(arrived).times)
    typical = float(gaps.mean())
    if not typical > 0:
        return False
    if gaps.std() > REGULAR * typical and _rarer(arrived, ended):
        return True
    soon = max(SOON * typical, seen.observed.resolution)
    return _upon_ends(arrived, ended, soon, -math.expm1(-soon / typical))


def _rarer(arrived: Floats, ended: Floats) -> bool:
    """Whether fewer come the more are in flight: arrivals by the time spent above the middle of
    what is in flight, against those below it.
    """
    times = np.concatenate([arrived, ended])
    order = np.argsort(times, kind="stable")
    steps = np.repeat([1, -1], [len(arrived), len(ended)])[order]
    present, lasts = np.cumsum(steps)[:-1], np.diff(times[order])
    comes = steps[1:] > 0  # what ends a stretch is an arrival
    within = (times[order][:-1] >= arrived[0]) & (times[order][1:] <= arrived[-1])
    present, lasts, comes = present[within], lasts[within], comes[within]
    spent = np.bincount(present, lasts)
    middle = int(np.searchsorted(np.cumsum(spent), 0.5 * spent.sum()))
    many = present > middle
    seconds = float(lasts[many].sum()), float(lasts[~many].sum())
    counts = int(comes[many].sum()), int(comes[~many].sum())
    if min(seconds) <= 0 or not sum(counts):
        return False
    expected = sum(counts) * seconds[0] / sum(seconds)
    error = np.sqrt(expected * seconds[1] / sum(seconds))
    fewer = counts[0] / seconds[0] < RARER * counts[1] / seconds[1]
    return bool(fewer and counts[0] < expected - SURELY * error)


def _upon_ends(arrived: Floats, ended: Floats, soon: float, chance: float) -> bool:
    """Whether most come right after somebody's end, more than by chance."""
    before = np.searchsorted(ended, arrived, side="right") - 1
    late = arrived - ended[np.maximum(before, 0)]
    share = float(((before >= 0) & (late <= soon)).mean())
    return share > chance + OFTEN
