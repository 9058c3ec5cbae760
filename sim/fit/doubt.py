"""How far a prediction may be off: chance, parameters, what is unknown, and the model itself.

All on the scale of logarithms, where an error of a model is a factor. The model's error at the
current setting, d, is seen through one recording, whose own chance has variance v. Before that,
nine models in ten are taken to be as good as calibrated ones have been (`PRIOR`), and one to be
anything (`ODD`): a normal prior that is contaminated (Berger & Berliner, "Robust Bayes and
empirical Bayes analysis with contaminated priors", Annals of Statistics 1986). What follows says by
which factor the model is off, and how surely: next to nothing where chance explains what is seen,
all of it where it does not. What every request spends on its way is lost in the chance of a median,
and plain in the fastest answers, which hardly waited: the seconds that these are off by widen the
prior of every figure, from nothing to twice as many. The error corrects predictions, half as that
factor and half as the seconds that it comes to at the current setting: what a model lacks may be
either. How much of it another setting has in common is not to be known: the interval reaches from
none of it to twice of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sim.analysis.statistics import student_t
from sim.model.laws import Floats

PRIOR = {"mean": 0.03, "p50": 0.03, "p95": 0.04, "p99": 0.05}
"""Standard deviation of a calibrated model's error, relative: what live runs beside their
predictions have shown."""
ODD, ANYTHING = 0.1, 0.3
"""The share of models that are not like that, and the standard deviation of their error."""
FASTEST = 0.1
"""The quantile of answers that hardly waited."""
SHARED = 0.5
"""Of the seconds that it is off by, what share other figures are taken to be, and the standard
deviation of that share. Of a hundred worlds without their network (`sim.checks.predictions`) p50 is
covered in 97 % with it, and in 83 % without."""
CARRIED = 0.5
"""Standard deviation of the part of an error that another setting does not share."""
LARGEST = -0.9
"""Of a figure that seconds are taken from."""
LEAST = 1e-9
"""Seconds; the logarithm of nothing is no number."""


@dataclass(frozen=True)
class Bias:
    """By which factor (its logarithm) the truth is above the model."""

    value: float = 0.0
    deviation: float = 0.0
    prior: float = 0.0
    vouched: bool = True
    """Whether anything measured stands behind it."""

    def at(self, times: float) -> tuple[float, float]:
        """The same of a setting whose figure is so many times the current one's, and the variance
        of what that may have of its own.
        """
        added = math.log1p(max(math.expm1(self.value) / times, LARGEST))
        own = max(abs(self.value), abs(added))
        return (self.value + added) / 2, CARRIED**2 * (own**2 + self.prior**2)


def missing(seen: Floats, replays: Sequence[Floats]) -> float:
    """Seconds by which the fastest answers took longer than in replays, as far as that is no
    chance; latencies in any order.
    """
    if not len(seen) or not all(map(len, replays)):
        return 0.0
    paper = np.array([np.quantile(one, FASTEST) for one in replays])
    off = float(np.quantile(seen, FASTEST) - paper.mean())
    return off * off**2 / (off**2 + variance_of_one(paper)) if off else 0.0


def bias(figure: str, seen: float, runs: Floats, seconds: float = 0.0) -> Bias:
    """From the measured figure and those of replays of the same arrivals, seconds.

    `seconds`: what the fastest answers are `missing`.
    """
    paper = logs(runs)
    typical = float(paper.mean())
    d = math.log(max(seen, LEAST)) - typical
    shared = SHARED * math.log1p(max(seconds / math.exp(typical), LARGEST))
    value, variance = _posterior(d, variance_of_one(paper), PRIOR[figure], shared)
    return Bias(value, math.sqrt(variance), PRIOR[figure])


def _posterior(d: float, v: float, prior: float, shared: float) -> tuple[float, float]:
    """Mean and variance of an error that was seen as `d` with variance `v`; of `shared` it has as
    much or none or twice as much.
    """
    parts = []
    for weight, deviation in ((1 - ODD, math.hypot(prior, shared)), (ODD, ANYTHING)):
        square = deviation**2
        all_of_it = square + v
        off = d - shared
        height = math.log(weight) - off * off / all_of_it / 2 - math.log(all_of_it) / 2
        parts.append((height, shared + off * square / all_of_it, square * v / all_of_it))
    most = max(height for height, *_ in parts)
    chances = [math.exp(height - most) for height, *_ in parts]
    shares = [chance / sum(chances) for chance in chances]
    mean = sum(share * centre for share, (_, centre, _) in zip(shares, parts, strict=True))
    variance = sum(
        share * (own + (centre - mean) ** 2)
        for share, (_, centre, own) in zip(shares, parts, strict=True)
    )
    return mean, variance


def told(figure: str, error: float) -> Bias:
    """From what a file says of its model's error, whose sign may be chance."""
    return Bias(0.0, max(PRIOR[figure], abs(error)), PRIOR[figure])


def unvouched() -> Bias:
    """Nothing is known of the model's error."""
    return Bias(vouched=False)


def variance_of_one(paper: Floats) -> float:
    """Of one more run beside the mean of these, logarithms; 0 where they say nothing."""
    n = len(paper)
    return float(paper.var(ddof=1)) * (1 + 1 / n) if n > 1 else 0.0


def logs(values: Sequence[float] | Floats) -> Floats:
    """Of figures in seconds."""
    found: Floats = np.log(np.maximum(np.asarray(values, dtype=float), LEAST))
    return found


@dataclass(frozen=True)
class Spread:
    """What is not sure of one figure, on the scale it is judged on, downwards and upwards."""

    chance: float = 0.0
    """Variance of the mean of the replications."""
    parameters: tuple[float, float] = (0.0, 0.0)
    """Variances by what the calibration's intervals allow, below and above."""
    unknown: tuple[float, float] = (0.0, 0.0)
    """How far the ends of what could not be identified lead, zero or below and zero or above."""

    def interval(
        self, centre: float, more: float, level: float, runs: int
    ) -> tuple[float, float, float, float]:
        """Low and high around `centre` with so much `more` variance, and each without `unknown`."""
        z = quantile(level, runs)
        low = centre - z * math.sqrt(self.chance + self.parameters[0] + more)
        high = centre + z * math.sqrt(self.chance + self.parameters[1] + more)
        return low + self.unknown[0], high + self.unknown[1], low, high


def quantile(level: float, runs: int) -> float:
    """Standard errors on either side, of the mean of so many runs."""
    return student_t((1 + level) / 2, max(runs - 1, 1))


def spread(
    runs: Floats, parameters: tuple[float, float], ends: Sequence[tuple[float, float]] = ()
) -> Spread:
    """Of one figure.

    `runs`: one entry per replication. `parameters`: see `Spread`. `ends`: how it differs at the low
    and the high end of each unknown.
    """
    n = len(runs)
    chance = float(runs.var(ddof=1)) / n if n > 1 else 0.0
    low = sum(min(0.0, *pair) for pair in ends)
    high = sum(max(0.0, *pair) for pair in ends)
    return Spread(chance, parameters, (low, high))
