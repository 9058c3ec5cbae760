"""What ways take where nobody ever waits: told by where services begin, if a law then fits better.

Exponential services and a constant way look like a law that begins late; the likelihood of both
together says which.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sim.fit.calibrate.cdfs import FAMILIES
from sim.fit.calibrate.laws import Cells, fit_of
from sim.model.laws import Floats

TRIED = ("exponential", "gamma", "lognormal", "hyperexponential", "weibull")
"""Laws that begin at 0: of others their own beginning says nothing."""
STEPS = 9
LONGEST = 0.003
"""Seconds: longer ways would show elsewhere."""
TELLING = 6.0
"""By how much likelier a way must be than none, as a logarithm."""


def begins(sample: Floats, most: float) -> float:
    """Seconds before the law of `sample` begins, `most` at most; 0 where that is not told."""
    first = float(np.quantile(sample, 0.002))
    top = min(most, LONGEST, 2 * first + 1e-4, 0.2 * float(np.median(sample)))
    if top <= 1e-5:
        return 0.0
    cells = Cells.of(sample, 0.002 * float(sample.mean()))
    tried = np.linspace(0.0, top, STEPS)
    families = [family for family in FAMILIES if family.name in TRIED]
    heights = []
    for way in tried:
        moved = replace(cells, edges=cells.edges - way, mean=cells.mean - float(way))
        fits = (fit_of(family, moved, 1.0) for family in families)
        heights.append(max(one.criterion(len(sample)) for one in fits))
    at = int(np.argmax(heights))
    return float(tried[at]) if heights[at] > heights[0] + TELLING else 0.0
