"""When a file means trouble, and how a run comes through it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from lb.config import Profile, Scenario
from sim.analysis.fates import Fates

STEP = 0.1
"""Seconds; how exactly a recovery is told."""
CALM = 1.0
"""Seconds that must be calm for trouble to be over."""


@dataclass(frozen=True)
class Trouble:
    """The time from the beginning of the first trouble to the end of the last, in seconds."""

    since: float
    until: float

    @classmethod
    def of(cls, scenario: Scenario) -> Trouble | None:
        """Faults, and a rate that changes; None when the file has neither."""
        spans = [(fault.since, fault.until) for fault in scenario.faults]
        arrivals = scenario.offered().arrivals
        if isinstance(arrivals, Profile):
            spans += [
                (at if arrivals.shape == "linear" else then, then)
                for (at, rate), (then, other) in pairwise(arrivals.points)
                if rate != other
            ]
        if not spans:
            return None
        return cls(min(since for since, _ in spans), max(until for _, until in spans))

    def goodput(self, run: Fates) -> float:
        """Good answers per second while it lasts, or as long as requests come."""
        until = min(self.until, float(run.arrived[-1])) if len(run.arrived) else self.since
        if until <= self.since:
            return math.nan
        answered = run.good & (run.ended >= self.since) & (run.ended < until)
        return float(np.count_nonzero(answered)) / (until - self.since)

    def recovery(self, run: Fates, warm: float = 0.0) -> float:
        """Seconds from its end until a second is calm; infinite when none is.

        Calm is a second of which every request is answered well, and 95 % of them within twice the
        p95 before the trouble (of those that arrived after `warm`) and 50 ms; NaN without a before.
        """
        before = run.good & (run.arrived >= warm) & (run.arrived < self.since)
        if not before.any():
            return math.nan
        limit = 2 * float(np.quantile(run.latency[before], 0.95)) + 0.05
        slow = ~(run.good & (run.latency <= limit))
        came, lost = _running(run.arrived, slow), _running(run.arrived, ~run.good)
        last = float(run.arrived[-1])
        for step in range(max(math.ceil((last - self.until - CALM) / STEP) + 1, 0)):
            since = self.until + step * STEP
            ends = np.searchsorted(run.arrived, [since, since + CALM])
            first, after = (int(end) for end in ends)
            if lost[after] == lost[first] and came[after] - came[first] <= 0.05 * (after - first):
                return step * STEP
        return math.inf


def _running(times: np.ndarray, marked: np.ndarray) -> np.ndarray:
    """How many are marked of the first k, for every k."""
    return np.concatenate([[0], np.cumsum(marked[: len(times)])])
