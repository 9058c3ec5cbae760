"""Numbers with their uncertainty: estimates, quantiles of a sample, Student's t."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sim.model.laws import Floats

FIGURES = ("mean", "p50", "p95", "p99")
"""By which latencies of a live run, a recording or a replay are told."""
QUANTILES = {"p50": 0.50, "p90": 0.90, "p95": 0.95, "p99": 0.99, "p999": 0.999}


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value and its 95 % interval; the bounds are None where the data give none."""

    value: float
    low: float | None
    high: float | None
    needs: float | None = None
    """How many times as many requests it would take, where the sample cannot carry the figure;
    the value is NaN then."""

    @classmethod
    def beyond(cls, needs: float) -> Estimate:
        """A figure that the sample cannot carry."""
        return cls(math.nan, None, None, needs)

    @property
    def half_width(self) -> float:
        return math.nan if self.high is None else self.high - self.value

    def as_dict(self) -> dict[str, float | None] | None:
        """For JSON, which has no word for what is not a number; None is not to be told."""
        if self.needs is not None:
            return None
        return {name: finite(getattr(self, name)) for name in ("value", "low", "high")}


def finite(value: float | None) -> float | None:
    """For JSON, which has no word for what is not a number."""
    return value if value is not None and math.isfinite(value) else None


def latency_metrics(latency: Floats) -> dict[str, float]:
    """Mean and quantiles of a sample in seconds, interpolated linearly between order statistics."""
    if not len(latency):
        return dict.fromkeys(("mean", *QUANTILES), math.nan)
    return ordered_metrics(np.sort(latency), float(latency.mean()))


def ordered_metrics(ordered: Floats, mean: float) -> dict[str, float]:
    """The same of a sample that is sorted, but for its mean: sums depend on the order."""
    return {"mean": mean, **{name: quantile(ordered, q) for name, q in QUANTILES.items()}}


def quantile(ordered: Floats, q: float) -> float:
    """What `np.quantile` says to the last bit, of a sample that is sorted and not empty.

    NumPy copies it and looks for what stands where, and loads a module for it that takes 20 ms.
    """
    at = q * (len(ordered) - 1)
    below = int(at)
    if below >= len(ordered) - 1:
        return float(ordered[-1])
    low, high, part = float(ordered[below]), float(ordered[below + 1]), at - below
    return high - (high - low) * (1 - part) if part >= 0.5 else low + (high - low) * part


def student_t(probability: float, degrees: int) -> float:
    """The quantile of Student's t with a whole number of degrees of freedom.

    Bisection on the finite series of Abramowitz & Stegun, 26.7.3 and 26.7.4. For instance
    student_t(0.975, 4) is 2.776. Raises ValueError for a probability not inside (0.5, 1).
    """
    if not 0.5 < probability < 1 or degrees < 1:
        raise ValueError("needs 0.5 < probability < 1 and at least one degree of freedom")
    low, high = 0.0, 1.0
    while _t_cdf(high, degrees) < probability:
        high *= 2
    for _ in range(100):
        middle = (low + high) / 2
        if _t_cdf(middle, degrees) < probability:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def two_sided(t: float, degrees: int) -> float:
    """How likely a Student's t is at least so far from zero, on either side."""
    return max(2 * (1 - _t_cdf(abs(t), degrees)), 0.0)


def _t_cdf(t: float, degrees: int) -> float:
    theta = math.atan(t / math.sqrt(degrees))
    sine, cosine = math.sin(theta), math.cos(theta)
    odd = degrees % 2
    term = cosine if odd else 1.0
    series = 0.0 if degrees == 1 else term
    for k in range(3 if odd else 2, degrees - 1, 2):
        term *= cosine * cosine * (k - 1) / k
        series += term
    inside = 2 / math.pi * (theta + sine * series) if odd else sine * series
    return (1 + inside) / 2


def confidence(values: Sequence[float], level: float = 0.95) -> Estimate:
    """The mean of independent observations with its interval (Student's t)."""
    return _around_mean(values, level, lambda n: 1 / n)


def prediction(values: Sequence[float], level: float = 0.95) -> Estimate:
    """The mean of independent observations with the interval for one more of them."""
    return _around_mean(values, level, lambda n: 1 + 1 / n)


def _around_mean(values: Sequence[float], level: float, spread: Callable[[int], float]) -> Estimate:
    n = len(values)
    sample = np.asarray(values, dtype=float)
    mean = float(sample.mean()) if n else math.nan
    if n < 2 or not math.isfinite(mean):
        return Estimate(mean, None, None)
    deviation = float(sample.std(ddof=1)) * math.sqrt(spread(n))
    half = student_t((1 + level) / 2, n - 1) * deviation
    return Estimate(mean, mean - half, mean + half)
