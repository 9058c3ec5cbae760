"""A live run on paper: is the verdict fair to a proxy that does just what the simulator says?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lb.config import Scenario
from lb.errors import UsageError
from sim.analysis.record import Record
from sim.engine.world import World
from sim.live.kinds import ON_PAPER, Kind
from sim.live.measurement import Measurement
from sim.live.verdict import Verdict, judge
from sim.model.arrivals import Schedule
from sim.model.laws import shape

REHEARSED = 1_000_000
"""The replication that is seed 0's run: no prediction has so many."""


def rehearse(
    scenario: Scenario, seed: int = 0, really: Scenario | None = None, *, silent: bool = False
) -> Verdict:
    """Judge a simulated run of `scenario` as if it were live.

    `really` is the file that backends and proxy follow, when that is another one; `silent` backends
    do not say how long they had a request. `seed` is that of its schedule, and of whatever else
    chance decides in it; the prediction keeps the file's. As with a live run, faults that come and
    go at random do so as the file's seed says.

    What users do is their own replication, not a timetable. Raises ConfigError as `simulate` does,
    and UsageError for a seed below zero.
    """
    if seed < 0:
        raise UsageError(f"seed {seed}: a seed is a number from zero up")
    schedule = None
    if scenario.offered().users is None:
        schedule = Schedule.draw(scenario.with_run(seed=seed))
    measured = rehearsed(really or scenario, schedule, seed)
    if silent:
        measured = replace(measured, service=None, sojourn=None, late=None)
    return judge(scenario, schedule, measured)


def rehearsed(scenario: Scenario, schedule: Schedule | None, seed: int = 0) -> Measurement:
    """What a punctual load generator would see of it; of users without a schedule."""
    world = World(scenario, schedule, None, REHEARSED + seed, balancers=1, struck=0)
    return seen(world.replicate(), schedule, scenario)


def seen(
    record: Record, schedule: Schedule | None = None, scenario: Scenario | None = None
) -> Measurement:
    """A record of the run of `schedule`, or of users, as its clients see it.

    With the `scenario` that the backends followed they also say how long they worked at what a
    schedule sent them.
    """
    fates = record.fates
    arrived = np.concatenate([record.arrived, record.failures[0]])
    order = np.argsort(arrived, kind="stable")
    lost = len(record.failures[0])

    def column(answered: NDArray[Any], failed: float) -> NDArray[Any]:
        return np.concatenate([answered, np.full(lost, failed, answered.dtype)])[order]

    backend = column(record.backend, -1)
    reasons = [ON_PAPER[reason] for reason in record.reasons] or [Kind.NONE] * lost
    kinds = np.concatenate([np.zeros(len(record.arrived), np.int8), np.array(reasons, np.int8)])
    service = np.full(len(order), np.nan)
    if scenario is not None and schedule is not None:
        for place, (_, model) in enumerate(scenario.modelled()):
            mine = np.flatnonzero(backend == place)
            row = schedule.shapes.index(shape(model.service))
            service[mine] = schedule.sizes[row, mine] * model.service.mean
    return Measurement(
        sent=fates.arrived.copy() if schedule is None else schedule.times.copy(),
        ended=np.where(fates.good, fates.ended, np.nan),
        backend=backend.astype(np.int64),
        lost=np.where(fates.good, np.nan, fates.ended),
        gone=kinds[order] == Kind.GONE,
        rotation=fates.rotation,
        kind=kinds[order],
        service=service,
        sojourn=column(record.left - record.reached, np.nan),
        late=column(np.zeros(len(record.arrived)), np.nan),
    )
