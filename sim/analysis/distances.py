"""How far a measured sample lies from predicted ones: the whole distribution, and its quantiles.

Latencies of one run hang together, since they waited in the same lines: tables for independent
samples (Kolmogorov's) would find every honest run guilty. What chance does is read from the
replications instead: each is held against the mean of the others, just as the measured run is
against them all, and a further run like them is as likely to lie far off as they are (Vovk,
Gammerman & Shafer, "Algorithmic Learning in a Random World", 2005, chapter 2: what is
exchangeable).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sim.analysis.statistics import QUANTILES, finite, latency_metrics, prediction, student_t
from sim.model.laws import Floats

LEVEL = 0.95
BEYOND = 5.0
"""Requests beyond a quantile that it takes to tell it from one run."""
GRID = 2000
"""Places at most at which distributions are compared: they differ by no more than one part in so
many in between."""
SHOWN = np.concatenate([np.linspace(0.0, 0.95, 39), [0.97, 0.98, 0.99, 0.995, 0.998, 0.999, 1.0]])
"""Of which quantiles a band tells where they lie."""


@dataclass(frozen=True)
class Band:
    """Distribution functions at the same places; a run as predicted lies wholly between `low` and
    `high` with the probability of its `Distance`.
    """

    at: Floats
    """Seconds, ascending."""
    measured: Floats
    predicted: Floats
    """The mean of the replications."""
    low: Floats
    high: Floats

    def as_dict(self) -> dict[str, list[float]]:
        """For JSON; shares with four digits, seconds with six."""
        return {
            "at": [float(f"{x:.6g}") for x in self.at],
            **{
                name: [round(float(x), 4) for x in getattr(self, name)]
                for name in ("measured", "predicted", "low", "high")
            },
        }


@dataclass(frozen=True)
class Distance:
    """Kolmogorov's: the largest difference between two distribution functions, from 0 to 1."""

    value: float
    """NaN where either side has no sample."""
    at: float
    """Where it is largest, seconds."""
    bound: float
    """A further run as predicted is no farther off, with probability `level`; NaN where fewer than
    two replications give none."""
    level: float
    tolerance: float
    """By how much the measured sample may be faster or slower, relative."""
    slower: float
    """The distance that is left when it is, where it is slower than predicted."""
    faster: float
    """The same where it is faster."""
    band: Band
    slack: float = 0.0
    """Share of the requests that may be anything."""

    @property
    def beyond(self) -> float:
        """The distance beyond the tolerance."""
        return max(self.slower, self.faster)

    @property
    def most(self) -> float:
        """How far it may be, beyond the tolerance."""
        return self.bound + self.slack + 1e-12

    @property
    def judged(self) -> bool:
        return not (math.isnan(self.beyond) or math.isnan(self.bound))

    @property
    def ok(self) -> bool:
        """Whether the measured run may be one of those predicted, as far as that can be told."""
        return not self.judged or self.beyond <= self.most

    def as_dict(self) -> dict[str, Any]:
        figures = ("value", "at", "bound", "level", "tolerance", "slack", "beyond")
        return {
            **{name: finite(getattr(self, name)) for name in figures},
            "ok": self.ok if self.judged else None,
            "band": self.band.as_dict(),
        }


@dataclass(frozen=True)
class Error:
    """One figure of a measured sample beside the same of predicted ones."""

    measured: float
    """NaN where the measured sample cannot carry the figure."""
    predicted: float
    error: float
    """Relative: 0.1 is ten per cent more than predicted."""
    low: float
    """Its interval: it holds zero where a run as predicted may show this figure."""
    high: float
    needs: int = 0
    """Requests that it would take, where they are too few."""

    def as_dict(self) -> dict[str, float | int | None]:
        names = ("measured", "predicted", "error", "low", "high")
        told: dict[str, float | int | None] = {name: finite(getattr(self, name)) for name in names}
        return {**told, "needs": self.needs} if self.needs else told


def distance(
    measured: Floats,
    predicted: Sequence[Floats],
    level: float = LEVEL,
    tolerance: float = 0.0,
    slack: float = 0.0,
    at_least: float = 0.0,
) -> Distance:
    """Of the latencies of one run, seconds, from those of several independent ones.

    `tolerance` is relative to a latency, or to the median where that is more, and `at_least` is in
    seconds; `slack` is a share of the requests.
    """
    samples = [np.sort(one) for one in predicted if len(one)]
    seen = np.sort(measured)
    if not samples or not len(seen):
        nothing = np.empty(0)
        blank = Band(nothing, nothing, nothing, nothing, nothing)
        return Distance(*(math.nan,) * 3, level, tolerance, math.nan, math.nan, blank, slack)
    pool = np.sort(np.concatenate(samples))
    grid = pool[_spread(len(pool), GRID)]
    # Between two places only the measured one steps: it is farthest at either of their ends.
    at = np.concatenate([grid, grid])
    each = np.array([np.concatenate(_shares(one, grid)) for one in samples])
    mean = each.mean(axis=0)
    gaps = np.abs(np.concatenate(_shares(seen, grid)) - mean)
    worst = int(np.argmax(gaps))
    allowed = np.maximum(tolerance * np.maximum(grid, float(np.median(pool))), at_least)
    upto, _ = _shares(seen, grid + allowed)
    _, below = _shares(seen, grid - allowed)
    n = len(grid)
    bound = _bound(each, mean, level)
    return Distance(
        value=float(gaps[worst]),
        at=float(at[worst]),
        bound=bound,
        level=level,
        tolerance=tolerance,
        slower=max(float(np.max(mean[:n] - upto)), 0.0),
        faster=max(float(np.max(below - mean[n:])), 0.0),
        band=_band(seen, samples, pool, bound),
        slack=slack,
    )


def _spread(count: int, most: int) -> np.ndarray:
    """Places in a sample, its ends among them: all, or evenly so many."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(int))


def _shares(ordered: Floats, at: Floats) -> tuple[Floats, Floats]:
    """Which share of a sample is at most so much, and which is less."""
    n = len(ordered)
    return (
        np.searchsorted(ordered, at, side="right") / n,
        np.searchsorted(ordered, at, side="left") / n,
    )


def _bound(each: Floats, mean: Floats, level: float) -> float:
    n = len(each)
    if n < 2:
        return math.nan
    # One replication less the mean of the others.
    return upper([float(np.abs(one - mean).max()) * n / (n - 1) for one in each], level)


def upper(values: Sequence[float], level: float = LEVEL) -> float:
    """What one more of these figures, none below zero, does not exceed with probability `level`.

    The order statistic of that rank where there are enough of them, else Student's bound for their
    logarithms, and at least the largest. NaN for fewer than two.
    """
    n = len(values)
    if n < 2:
        return math.nan
    if (n + 1) * (1 - level) >= 1:
        return float(np.quantile(values, level, method="weibull"))
    most = max(values)
    positive = [math.log(value) for value in values if value > 0]
    if len(positive) < 2:
        return most
    centre, spread = float(np.mean(positive)), float(np.std(positive, ddof=1))
    m = len(positive)
    return max(most, math.exp(centre + student_t(level, m - 1) * spread * math.sqrt(1 + 1 / m)))


def _band(seen: Floats, samples: Sequence[Floats], pool: Floats, bound: float) -> Band:
    low, high = min(pool[0], seen[0]), max(pool[-1], seen[-1])
    inside = pool[np.minimum((SHOWN * len(pool)).astype(int), len(pool) - 1)]
    at = np.unique(np.concatenate([[low], inside, [high]]))
    predicted = np.mean([_shares(one, at)[0] for one in samples], axis=0)
    width = 1.0 if math.isnan(bound) else bound
    return Band(
        at=at,
        measured=_shares(seen, at)[0],
        predicted=predicted,
        low=np.maximum(predicted - width, 0.0),
        high=np.minimum(predicted + width, 1.0),
    )


def errors(measured: Floats, predicted: Sequence[Floats], level: float = LEVEL) -> dict[str, Error]:
    """Mean and quantiles of one run's latencies against those of several independent ones.

    An interval covers, with probability `level`, the factor (less one) by which what was measured
    differs from what was predicted: a run's own chance and that of the prediction are in it.
    """
    seen = latency_metrics(measured)
    paper = [latency_metrics(one) for one in predicted if len(one)]
    found = {}
    for name in ("mean", *QUANTILES):
        needs = fewest(name)
        values = [one[name] for one in paper]
        typical = float(np.mean(values)) if values else math.nan
        if len(measured) < needs:
            found[name] = Error(math.nan, typical, *(math.nan,) * 3, needs=needs)
        else:
            found[name] = _error(seen[name], typical, values, level)
    return found


def fewest(name: str) -> int:
    """Requests that it takes to tell a figure from one run; two for a mean."""
    if name not in QUANTILES:
        return 2
    q = QUANTILES[name]
    return math.ceil(BEYOND / min(q, 1 - q) - 1e-9)


def _error(measured: float, typical: float, values: Sequence[float], level: float) -> Error:
    if not typical > 0:
        return Error(measured, typical, *(math.nan,) * 3)
    low = high = math.nan
    if min(values) > 0 and measured > 0:
        spread = prediction([math.log(value) for value in values], level)
        if spread.low is not None and spread.high is not None:
            low, high = (math.expm1(math.log(measured) - end) for end in (spread.high, spread.low))
    return Error(measured, typical, measured / typical - 1, low, high)
