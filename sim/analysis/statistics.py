"""Warm-up, intervals and comparisons: numbers with their uncertainty."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sim.model.laws import Floats

QUANTILES = {"p50": 0.50, "p90": 0.90, "p95": 0.95, "p99": 0.99, "p999": 0.999}
CARRIES = 10
"""Requests beyond a quantile that it takes to tell where it is."""
BATCHES = 20
"""Batches of a single replication: few enough to be nearly independent, enough for an interval."""


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
        return {
            name: value if value is not None and math.isfinite(value) else None
            for name, value in (("value", self.value), ("low", self.low), ("high", self.high))
        }


def latency_metrics(latency: Floats) -> dict[str, float]:
    """Mean and quantiles of a sample in seconds, interpolated linearly between order statistics."""
    if not len(latency):
        return dict.fromkeys(("mean", *QUANTILES), math.nan)
    values = np.quantile(latency, list(QUANTILES.values()))
    return {"mean": float(latency.mean()), **dict(zip(QUANTILES, values.tolist(), strict=True))}


def mser5(sequence: Floats) -> int:
    """How many leading observations to drop, by MSER-5.

    The cut minimises the squared standard error of what is left, over means of five observations,
    and lies in the first half. Source: White, Cobb & Spratt, "A comparison of five steady-state
    truncation heuristics for simulation", WSC 2000.
    """
    batches = len(sequence) // 5
    if batches < 4:
        return 0
    means = sequence[: batches * 5].reshape(batches, 5).mean(axis=1)
    left = np.arange(batches, 0, -1)
    centred = means - means.mean()  # sums of squares of small numbers lose no digits
    tail_sum = np.cumsum(centred[::-1])[::-1]
    tail_squares = np.cumsum((centred**2)[::-1])[::-1]
    error = (tail_squares - tail_sum**2 / left) / left.astype(float) ** 2
    return 5 * int(np.argmin(error[: batches // 2]))


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


def batched(latency: Floats, batches: int = BATCHES) -> list[Floats]:
    """The sample cut into consecutive batches of equal length; a remainder goes to the last."""
    size = len(latency) // batches
    if not size:
        return [latency]
    cuts = [size * i for i in range(1, batches)]
    return list(np.split(latency, cuts))


def latency_estimates(
    samples: Sequence[Floats], level: float = 0.95
) -> tuple[dict[str, Estimate], list[dict[str, float]]]:
    """Estimates of mean and quantiles, and the blocks they rest on.

    `samples` holds one array of latencies per replication. Several replications are the blocks;
    a single one is cut into batches, and then the value is that of the whole sample. A quantile
    with fewer than `CARRIES` requests beyond it is not told.
    """
    estimates, blocks = _estimates(samples, level)
    n = sum(map(len, samples))
    for name, q in QUANTILES.items():
        if 0 < n * (1 - q) < CARRIES - 1e-6:
            estimates[name] = Estimate.beyond(CARRIES / (n * (1 - q)))
    return estimates, blocks


def _estimates(
    samples: Sequence[Floats], level: float
) -> tuple[dict[str, Estimate], list[dict[str, float]]]:
    if len(samples) > 1:
        blocks = [latency_metrics(sample) for sample in samples]
        return {
            name: confidence([block[name] for block in blocks], level) for name in blocks[0]
        }, blocks
    blocks = [latency_metrics(batch) for batch in batched(samples[0])]
    whole = latency_metrics(samples[0])
    estimates = {}
    for name, value in whole.items():
        around = confidence([block[name] for block in blocks], level)
        half = around.half_width
        bounded = math.isfinite(half)
        estimates[name] = Estimate(
            value, value - half if bounded else None, value + half if bounded else None
        )
    return estimates, blocks


@dataclass(frozen=True, slots=True)
class Difference:
    """How much larger a metric is under `b` than under `a`, from paired blocks."""

    metric: str
    a: str
    b: str
    difference: Estimate

    @property
    def distinguishable(self) -> bool:
        """Whether the interval excludes zero."""
        low, high = self.difference.low, self.difference.high
        return low is not None and high is not None and (low > 0 or high < 0)


def compare(
    metric: str, a: str, b: str, first: Sequence[float], second: Sequence[float]
) -> Difference:
    """Paired comparison: block i of both saw the same requests."""
    pairs = [y - x for x, y in zip(first, second, strict=False)]
    return Difference(metric, a, b, confidence(pairs))
