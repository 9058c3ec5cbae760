"""Live runs on paper, and what is changed about them."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from lb.config import Scenario
from sim import Result, Schedule
from sim.live.verdict import (
    Measurement,
    Verdict,
    judge,
)

RUN = "requests = 1000\nreplications = 1"


def changed(measured: Measurement, **columns: NDArray[Any]) -> Measurement:
    return Measurement(**{**vars(measured), **columns})


Case = tuple[Scenario, Schedule, Measurement, Result]


def judged(case: Case, **columns: NDArray[Any]) -> Verdict:
    file, schedule, measured, predicted = case
    return judge(file, schedule, changed(measured, **columns), predicted)
