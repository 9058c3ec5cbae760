"""A live run on paper: is the verdict fair to a proxy that does just what the simulator says?"""

from __future__ import annotations

import numpy as np

from lb.config import Scenario
from lb.errors import UsageError
from sim.analysis.record import Record
from sim.engine.world import World
from sim.live.measurement import Measurement
from sim.live.verdict import Verdict, judge
from sim.model.arrivals import Schedule
from sim.model.laws import Floats

REHEARSED = 1_000_000
"""The replication that is seed 0's run: no prediction has so many."""


def rehearse(scenario: Scenario, seed: int = 0) -> Verdict:
    """Judge a simulated run of `scenario` as if it were live.

    `seed` is that of its schedule, and of whatever else chance decides in it; the prediction keeps
    the file's. As with a live run, faults that come and go at random do so as the file's seed says.

    Raises ConfigError as `simulate` does, also for users, who have no timetable, and UsageError for
    a seed below zero.
    """
    if seed < 0:
        raise UsageError(f"seed {seed}: a seed is a number from zero up")
    run = scenario.run.model_copy(update={"seed": seed})
    schedule = Schedule.draw(scenario.model_copy(update={"run": run}))
    return judge(scenario, schedule, rehearsed(scenario, schedule, seed))


def rehearsed(scenario: Scenario, schedule: Schedule, seed: int = 0) -> Measurement:
    """What a punctual load generator would see of it."""
    world = World(scenario, schedule, None, REHEARSED + seed, balancers=1, struck=0)
    return seen(world.replicate(), schedule)


def seen(record: Record, schedule: Schedule) -> Measurement:
    """A record of the run of `schedule` as its clients see it."""
    fates = record.fates
    nobody = np.full(len(record.failures[0]), -1, np.int64)
    arrived = np.concatenate([record.arrived, record.failures[0]])
    backend = np.concatenate([record.backend, nobody])[np.argsort(arrived, kind="stable")]
    patience: Floats = (
        np.full(len(schedule), np.inf) if schedule.patience is None else schedule.patience
    )
    return Measurement(
        sent=schedule.times.copy(),
        ended=np.where(fates.good, fates.ended, np.nan),
        backend=backend,
        lost=np.where(fates.good, np.nan, fates.ended),
        gone=~fates.good & (fates.latency >= patience * (1 - 1e-9)),
        rotation=fates.rotation,
    )
