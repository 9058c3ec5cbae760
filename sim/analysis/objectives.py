"""The objectives of a file's [expect], held against the interval of what was simulated or measured.

An objective is met when the whole interval is within its bound, and missed when all of it is
beyond; in between, the data cannot tell.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from lb.config import Expect
from sim.analysis.statistics import Estimate

HOPELESS = 1000
"""Times as many requests that nobody would simulate to settle one objective."""
SHARP = 1e-5
"""Width of an interval, relative, below which nobody looks for a difference between its ends."""


class Answer(Enum):
    """Whether an objective is met, in the words that are told."""

    MET = "met"
    MISSED = "missed"
    UNCLEAR = "cannot be told"


@dataclass(frozen=True)
class Objective:
    """One bound, in seconds, and what was seen."""

    metric: str
    bound: float
    seen: Estimate
    steady: bool = True
    """Whether the latencies have a steady state; without one there is nothing to meet."""

    @property
    def answer(self) -> Answer:
        low, high = self.seen.low, self.seen.high
        if self.steady and self.seen.needs is not None:
            return Answer.UNCLEAR
        if not self.steady or not math.isfinite(self.seen.value):
            return Answer.MISSED
        if low is None or high is None:
            return Answer.UNCLEAR
        if high <= self.bound:
            return Answer.MET
        return Answer.MISSED if low > self.bound else Answer.UNCLEAR

    def __str__(self) -> str:
        """`p99: cannot be told: 240 to 260 ms around 250 ms; about 4 times as many ...`."""
        return f"{self.metric}: {self.answer.value}: {self._why()}"

    def _why(self) -> str:
        low, high = self.seen.low, self.seen.high
        if not self.steady:
            return "without a steady state latencies grow with the length of the run"
        if self.seen.needs is not None:
            return f"{times_as_many(self.seen.needs)} times as many requests would tell"
        if not math.isfinite(self.seen.value):
            return "no request succeeded"
        bound = f"{round(self.bound * 1e3, 3):.12g} ms"
        if low is None or high is None:
            return f"{self.seen.value * 1e3:.4g} ms without an interval, and at most {bound} wanted"
        width = high - low
        digits = _digits(width * 1e3 if width > SHARP * high else 0.0)
        interval = f"{max(low, 0.0) * 1e3:.{digits}f} to {high * 1e3:.{digits}f} ms"
        if self.answer is not Answer.UNCLEAR:
            return f"{interval}, at most {bound} wanted"
        return f"{interval} around {bound}; {self._more(low, high)}"

    def _more(self, low: float, high: float) -> str:
        """How many more requests would tell: an interval shrinks with the root of their number."""
        value, bound = self.seen.value, self.bound
        half = high - value if value <= bound else value - low
        away = abs(value - bound)
        times = (half / away) ** 2 if away > 0 else math.inf
        if times > HOPELESS:
            return "too close for any number of requests to tell"
        return f"{times_as_many(times)} times as many requests would tell"


def objectives(
    expect: Expect, seen: Mapping[str, Estimate], *, steady: bool = True
) -> list[Objective]:
    """Each bound of `expect` beside what was seen of its metric, seconds by metric."""
    return [
        Objective(name, bound, seen[name], steady)
        for name, bound in expect.model_dump(exclude_none=True).items()
    ]


def times_as_many(factor: float) -> str:
    """`about 40`: whole, and with two digits, so that nobody takes it for exact."""
    whole = max(math.ceil(factor - 1e-6), 2)
    scale = 10 ** max(len(str(whole)) - 2, 0)
    return f"about {-(-whole // scale) * scale:,}"


def _digits(width: float) -> int:
    """Behind the point, for the ends of an interval of this width to differ in two places."""
    return min(max(1 - math.floor(math.log10(width)), 0), 6) if width > 0 else 2
