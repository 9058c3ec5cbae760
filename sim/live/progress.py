"""A live run while it lasts: each figure so far, beside where it was predicted to be by now."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lb.config import Scenario
from sim.analysis.forecast import forecast
from sim.analysis.record import Record
from sim.analysis.statistics import FIGURES, Estimate, latency_metrics
from sim.live.measurement import Measurement
from sim.model.arrivals import Schedule
from sim.model.laws import Floats
from sim.result import Result

STEPS = 60
"""Times at which a run is predicted."""
COVERED = 0.95
"""Of runs, each figure by itself, lie within what is shown; they are not judged by it."""


@dataclass(frozen=True)
class Sofar:
    """One figure of a run so far."""

    name: str
    measured: float
    """NaN where it takes more requests."""
    predicted: Estimate
    allowed: float
    """Beyond the interval, relative to the prediction, as the verdict allows it."""

    @property
    def within(self) -> bool | None:
        """Whether it is about where 95 of 100 runs are by now; None where nobody can tell."""
        low, high = self.predicted.low, self.predicted.high
        if math.isnan(self.measured) or low is None or high is None:
            return None
        beyond = self.allowed * self.predicted.value
        return bool(low - beyond <= self.measured <= high + beyond)

    def by_itself(self) -> Sofar:
        """Without where 95 of 100 runs are, which the prediction at hand does not know."""
        return replace(self, predicted=Estimate(self.predicted.value, None, None))

    def as_dict(self) -> dict[str, Any]:
        """For JSON, which has no word for what is not a number."""
        return {
            "name": self.name,
            "measured": None if math.isnan(self.measured) else self.measured,
            "predicted": self.predicted.as_dict(),
            "allowed": self.allowed,
            "within": self.within,
        }


class Progress:
    """What a run is like after so many seconds, according to its simulations."""

    def __init__(self, scenario: Scenario, predicted: Result) -> None:
        self._names = [row.label for row in scenario.backends]
        allowed = scenario.verdict
        self._allowed = {
            "mean (ms)": allowed.p50,
            **{f"{name} (ms)": getattr(allowed, name) for name in FIGURES[1:]},
            "failed": allowed.failed,
            "answered": allowed.p50,
        }
        self._share = allowed.share
        records = predicted.runs[0].records
        length = max(float(record.until) for record in records)
        self.times: Floats = np.linspace(0.0, length, STEPS + 1)[1:]
        courses = [self._course(_fates_of(record)) for record in records]
        self.course: list[dict[str, Estimate]] = [
            {name: _forecast([run[at][name] for run in courses]) for name in courses[0][at]}
            for at in range(STEPS)
        ]

    def rows(self, schedule: Schedule | None, measured: Measurement, at: float) -> list[Sofar]:
        """Every figure after `at` seconds, those that it takes more requests for too."""
        step = int(np.clip(np.searchsorted(self.times, at, side="right") - 1, 0, STEPS - 1))
        # At the end all count, though the last answer may come later than on paper.
        now = float(self.times[step]) if at < self.times[-1] else math.inf
        seen = self._figures(_seen(schedule, measured), min(now, at))
        return self._beside(seen, step)

    def expected(self) -> list[Sofar]:
        """Every figure of a whole run, of which nothing is measured yet."""
        return self._beside({}, STEPS - 1)

    def _beside(self, seen: dict[str, float], step: int) -> list[Sofar]:
        return [
            Sofar(name, seen.get(name, math.nan), it, self._allowed.get(name, self._share))
            for name, it in self.course[step].items()
        ]

    def _course(self, fates: Floats) -> list[dict[str, float]]:
        return [self._figures(fates, float(at)) for at in self.times]

    def _figures(self, fates: Floats, at: float) -> dict[str, float]:
        """Of requests that ended by then; rows of `fates` are due, ended, good and backend."""
        due, _, good, backend = fates[:, fates[1] <= at]
        well = good > 0
        figures = latency_metrics(fates[1, fates[1] <= at][well] - due[well])
        found = {f"{name} (ms)": 1e3 * float(figures[name]) for name in FIGURES}
        answered = int(np.count_nonzero(well))
        found["answered"] = float(answered)
        found["failed"] = float(len(due) - answered)
        for order, name in enumerate(self._names):
            mine = int(np.count_nonzero(well & (backend == order)))
            found[f"share of {name} (%)"] = 100.0 * mine / answered if answered else math.nan
        return found


def _fates_of(record: Record) -> Floats:
    fates = record.fates
    backend = np.full(len(fates.arrived), -1.0)
    backend[fates.good] = record.backend
    return np.stack([fates.arrived, fates.ended, fates.good.astype(float), backend])


def _seen(schedule: Schedule | None, measured: Measurement) -> Floats:
    due = measured.due if schedule is None else schedule.times
    good = np.isfinite(measured.ended)
    ended = np.where(good, measured.ended, measured.lost)
    if due is None:
        due = ended
    return np.stack([due, ended, good.astype(float), measured.backend.astype(float)])


def _forecast(figures: Sequence[float]) -> Estimate:
    known = [figure for figure in figures if math.isfinite(figure)]
    if len(known) < len(figures):
        return Estimate(math.nan, None, None)
    return forecast(known, COVERED)
