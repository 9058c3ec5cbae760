"""Algorithms beside each other: paired, and with multiplicity taken care of.

All algorithms of a comparison see the same requests, so blocks are compared in pairs. The family is
all pairs and metrics of a comparison: by Holm's method ("A simple sequentially rejective multiple
test procedure", Scandinavian Journal of Statistics 1979) at most 5 % of comparisons of equal
algorithms find any difference, however many they are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from sim.analysis.intervals import Blocks
from sim.analysis.statistics import Estimate, student_t, two_sided

ERROR = 0.05
"""How many comparisons of equals may find a difference."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How much larger a metric is under `b` than under `a`, from paired blocks."""

    metric: str
    a: str
    b: str
    difference: Estimate
    """Its interval is as wide as the whole family makes it: it leaves zero out exactly where the
    two can be told apart."""
    p: float
    """How likely equals would differ as much somewhere in the family; NaN is not to be told."""

    @property
    def distinguishable(self) -> bool:
        """Whether the interval excludes zero."""
        low, high = self.difference.low, self.difference.high
        return low is not None and high is not None and (low > 0 or high < 0)


@dataclass(frozen=True, slots=True)
class _Pair:
    metric: str
    a: str
    b: str
    mean: float
    error: float
    """Standard error of the mean."""
    degrees: int

    @property
    def p(self) -> float:
        """For this pair alone."""
        if not self.error:
            return 0.0 if self.mean else 1.0
        return two_sided(self.mean / self.error, self.degrees)

    def at(self, level: float) -> Estimate:
        half = student_t(1 - level / 2, self.degrees) * self.error
        return Estimate(self.mean, self.mean - half, self.mean + half)


def compare(
    blocks: Mapping[str, Blocks],
    metrics: Sequence[str],
    shortfall: float = 1.0,
    latency: Mapping[str, Mapping[str, Estimate]] | None = None,
) -> list[Difference]:
    """All pairs by every metric; block i of each algorithm saw the same requests.

    `shortfall` is by how much blocks that hang together vary less than independent ones. `latency`
    are the figures of each: two of which neither can be told cannot be told apart.
    """
    unknown = {
        (name, metric)
        for name, figures in (latency or {}).items()
        for metric in metrics
        if figures[metric].needs is not None
    }
    pairs = [
        _pair(metric, a, b, [], [], shortfall)
        if unknown >= {(a, metric), (b, metric)}
        else _pair(metric, a, b, blocks[a], blocks[b], shortfall)
        for a, b in combinations(blocks, 2)
        for metric in metrics
    ]
    able = sorted((pair for pair in pairs if not math.isnan(pair.error)), key=lambda pair: pair.p)
    found: dict[_Pair, tuple[float, Estimate]] = {}
    worst, level = 0.0, ERROR / max(len(able), 1)
    for step, pair in enumerate(able):
        left = len(able) - step
        if worst < ERROR:  # else the first that cannot be told has set the level of the rest
            level = ERROR / left
        worst = max(worst, min(left * pair.p, 1.0))
        found[pair] = worst, pair.at(level)
    nothing = math.nan, Estimate(math.nan, None, None)
    rows = []
    for pair in pairs:
        p, difference = found.get(pair, nothing)
        rows.append(Difference(pair.metric, pair.a, pair.b, difference, p))
    return rows


def _pair(metric: str, a: str, b: str, first: Blocks, second: Blocks, shortfall: float) -> _Pair:
    paired = zip(first, second, strict=False)
    gaps = np.array([y[metric] - x[metric] for x, y in paired])
    if len(gaps) < 2:
        return _Pair(metric, a, b, math.nan, math.nan, 1)
    error = float(gaps.std(ddof=1)) / math.sqrt(len(gaps) * shortfall)
    return _Pair(metric, a, b, float(gaps.mean()), error, len(gaps) - 1)
