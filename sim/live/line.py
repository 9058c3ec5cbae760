"""One figure of a verdict: measured beside predicted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sim.analysis.forecast import forecast, forecast_count
from sim.analysis.statistics import QUANTILES, Estimate, latency_metrics
from sim.model.laws import Floats

OF_LATENCY = ("p50", "p95", "p99")
"""What is judged of latencies."""


@dataclass(frozen=True)
class Line:
    """One figure, measured and predicted."""

    measured: float
    predicted: Estimate
    tolerance: float
    """Allowed beyond the interval, relative to the prediction."""
    slack: float = 0.0
    """Allowed beyond it in any case."""

    @property
    def most(self) -> float:
        """What may be measured at most."""
        high = self.predicted.high
        most = self.predicted.value if high is None else high
        return most + self._allowed

    @property
    def least(self) -> float:
        low = self.predicted.low
        least = self.predicted.value if low is None else low
        return least - self._allowed

    @property
    def _allowed(self) -> float:
        return max(self.tolerance * self.predicted.value, self.slack)

    @property
    def judged(self) -> bool:
        """Whether there is anything to compare: a run may be too short for a figure."""
        return not (math.isnan(self.measured) or math.isnan(self.predicted.value))

    @property
    def ok(self) -> bool:
        """Whether it holds, as far as it can be judged."""
        return not self.judged or self.least <= self.measured <= self.most

    @property
    def room(self) -> float:
        """How far above the prediction a measured figure may lie."""
        return self.most - self.predicted.value

    def as_dict(self) -> dict[str, Any]:
        measured = self.measured if math.isfinite(self.measured) else None
        return {
            "measured": measured,
            "predicted": self.predicted.as_dict(),
            "tolerance": self.tolerance,
            **({"slack": self.slack} if self.slack else {}),
            "ok": self.ok if self.judged else None,
        }


@dataclass(frozen=True)
class Figure:
    """What a line is made of, once it is known how many are judged together."""

    measured: float
    runs: Sequence[float]
    """The same figure of each predicted run."""
    tolerance: float
    slack: float = 0.0
    counted: bool = False
    """Whether it says how often something happens."""

    @property
    def judged(self) -> bool:
        """As `Line.judged`."""
        return not any(math.isnan(value) for value in (self.measured, *self.runs))

    def line(self, level: float) -> Line:
        """`level`: how likely a further run is to lie within the interval."""
        if self.counted:
            paper = forecast_count([int(value) for value in self.runs], level)
        else:
            paper = forecast(self.runs, level)
        return Line(self.measured, paper, self.tolerance, self.slack)


def needed(name: str) -> int:
    """Answers below which a latency figure is not judged: not one is expected beyond it."""
    q = QUANTILES[name]
    return math.ceil(1 / min(q, 1 - q) - 1e-9)


def latency_figures(
    measured: Floats,
    runs: Sequence[Floats],
    names: Sequence[str],
    tolerances: Sequence[float],
    slack: float = 0.0,
) -> dict[str, Figure]:
    """Of a run's latencies and those of the predicted ones; NaN where they are too few.

    `slack` is in seconds.
    """
    samples = [measured, *runs]
    metrics = [latency_metrics(one) for one in samples]
    found = {}
    for name, tolerance in zip(names, tolerances, strict=True):
        seen, *paper = (
            math.nan if len(one) < needed(name) else it[name]
            for one, it in zip(samples, metrics, strict=True)
        )
        found[name] = Figure(seen, paper, tolerance, slack)
    return found
