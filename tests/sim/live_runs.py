"""Live runs on paper: what a load generator would see of a proxy that does as it was predicted."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lb.config import Scenario
from sim import Result, Schedule
from sim.engine.world import World
from sim.live.verdict import (
    Measurement,
    Verdict,
    judge,
)

RUN = "requests = 1000\nreplications = 1"
ELSEWHERE = 1000
"""A replication no prediction uses: other ties, other network delays."""


def live(file: Scenario, schedule: Schedule, replication: int = ELSEWHERE) -> Measurement:
    """What a load generator would see of a proxy that does what the simulator says."""
    record = World(file, schedule, None, replication).replicate()
    measured = Measurement.blank(len(schedule))
    measured.sent[:] = schedule.times
    at = np.searchsorted(schedule.times, record.arrived)
    measured.ended[at] = record.ended
    measured.backend[at] = record.backend
    return measured


def changed(measured: Measurement, **columns: NDArray[Any]) -> Measurement:
    return Measurement(**{**vars(measured), **columns})


Case = tuple[Scenario, Schedule, Measurement, Result]


def judged(case: Case, **columns: NDArray[Any]) -> Verdict:
    file, schedule, measured, predicted = case
    return judge(file, schedule, changed(measured, **columns), predicted)
