"""One figure of a verdict: measured beside predicted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from sim.analysis.statistics import Estimate


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
