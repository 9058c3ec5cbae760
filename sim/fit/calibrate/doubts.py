"""Whether what is taken for services behaves like services: alike, whoever waited before."""

from __future__ import annotations

import math

import numpy as np

from sim.fit.calibrate.station import Station
from sim.model.laws import Floats

UNLIKE = 0.12
"""Kolmogorov distance between services of those who waited and of the others from which something
else goes on at a backend."""


def consistency(station: Station, sample: Floats) -> str:
    """A sentence where services depend on the load that was seen; empty where they do not."""
    whole = station.stays.whole
    found = station.stays.found[whole]
    low, high = np.quantile(found, [0.3, 0.7]) if len(found) else (0, 0)
    busy, idle = sample[found > high], sample[found <= low]
    if len(busy) < 100 or len(idle) < 100:
        return ""
    edges = np.quantile(sample, np.linspace(0.02, 0.98, 49))
    first = np.searchsorted(np.sort(busy), edges, side="right") / len(busy)
    second = np.searchsorted(np.sort(idle), edges, side="right") / len(idle)
    apart = float(np.abs(first - second).max())
    chance = 1.63 * math.sqrt(1 / len(busy) + 1 / len(idle))
    if apart < max(UNLIKE, 1.5 * chance):
        return ""
    ratio = float(busy.mean() / max(idle.mean(), 1e-12))
    return (
        f"services depend on the load ({ratio:.2f} times as long when busy), in no way that workers"
        " explain: it may have other traffic that is not in the recording"
    )
