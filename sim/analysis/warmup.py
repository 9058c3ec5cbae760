"""Where counting begins and ends: one cut for all replications and algorithms of a comparison.

A cut that follows one run's path bites off the bursts it begins with, and what is left is low. So
theory says how long the empty start is remembered, and the path only makes it later where the
average of all replications is beyond doubt another one in the beginning (Welch, "The statistical
analysis of simulation results", 1983).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from lb.config import Scenario
from sim.analysis.memory import Memory
from sim.analysis.record import Record
from sim.analysis.statistics import two_sided
from sim.model.laws import Floats

FORGOTTEN = 3.0
"""Memories after which a start is forgotten: M/M/1 at 0.8 is then 0.1 % below its mean, where it is
1.1 % with nothing cut of 2,000 requests."""
MOST, LAST = 1 / 5, 1 / 20
"""Of a run that is cut at its start, without a doubt, and at its end."""
BINS = 40
DOUBT = 1e-4
"""How likely a part of the beginning is taken for another one that is not: a cut that bites off
bursts is worse than one that is short."""


def warm_up(records: Mapping[str, Sequence[Record]], memory: Memory, rate: float) -> float:
    """Seconds to cut; `memory` is what theory says, and `rate` the requests per second."""
    until = min(record.until for mine in records.values() for record in mine)
    least = min(FORGOTTEN * memory.span / rate, MOST * until)
    if min(map(len, records.values())) < 3:  # too few to say what is beyond doubt
        return least
    path = np.mean([[_path(it, until) for it in mine] for mine in records.values()], axis=0)
    away = path - path[:, BINS // 2 :].mean(axis=1, keepdims=True)
    for last in range(BINS // 4, 0, -1):
        gaps = away[:, max(last - 2, 0) : last].mean(axis=1)
        error = float(gaps.std(ddof=1)) / math.sqrt(len(gaps))
        if error > 0 and two_sided(float(gaps.mean()) / error, len(gaps) - 1) < DOUBT:
            return max(least, last / BINS * until)
    return least


def cool_down(scenario: Scenario, memory: Memory, rate: float, until: float) -> float:
    """Seconds at the end whose arrivals are not counted.

    What is in flight when the last request has come is followed to its end. Where a request shares
    its worker with later ones, or is slowed down by them, it is quicker then, because nobody comes
    any more.
    """
    stations = [*(model for _, model in scenario.modelled()), *scenario.shared]
    if all(station.discipline != "ps" and station.usl is None for station in stations):
        return 0.0
    return min(FORGOTTEN * memory.span / rate, LAST * until)


def _path(record: Record, until: float) -> Floats:
    """Mean latency by arrival, in equal parts of the time; NaN where nobody came."""
    edges = np.linspace(0.0, until, BINS + 1)
    sums, _ = np.histogram(record.arrived, edges, weights=record.latency)
    counts, _ = np.histogram(record.arrived, edges)
    means: Floats = np.divide(sums, counts, out=np.full(BINS, math.nan), where=counts > 0)
    return means
