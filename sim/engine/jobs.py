"""Replications as jobs: what one takes, and what comes of it; both can travel to a process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from lb.config import Scenario
from lb.errors import ConfigError
from sim.analysis.record import Record
from sim.engine.world import World
from sim.model.arrivals import Schedule


class Job(NamedTuple):
    """One replication of some algorithms, which see the same requests."""

    scenario: Scenario
    algorithms: tuple[str, ...]
    replication: int
    schedule: Schedule | None
    """Drawn by the scenario's seed unless given."""
    watched: bool | None
    """See `World`."""


class Done(NamedTuple):
    """One replication of one algorithm."""

    algorithm: str
    record: Record
    seconds: float
    """Of the simulation itself."""


def run(job: Job) -> Iterator[Done]:
    """Simulate it. Raises ConfigError when nothing would be left of it."""
    schedule = job.schedule or Schedule.draw(job.scenario, job.replication)
    _check_length(job.scenario, schedule)
    struck = None if job.schedule is None else 0  # one schedule has one set of faults
    for name in job.algorithms:
        started = time.perf_counter()
        world = World(
            job.scenario, schedule, name, job.replication, struck=struck, watched=job.watched
        )
        record = world.replicate()
        yield Done(name, record, time.perf_counter() - started)


def run_all(jobs: Iterable[Job], on_done: Callable[[], None] | None = None) -> Iterator[Done]:
    """Run them one by one; `on_done` is called after each algorithm."""
    for job in jobs:
        for done in run(job):
            yield done
            if on_done is not None:
                on_done()


def _check_length(scenario: Scenario, drawn: Schedule) -> None:
    if not len(drawn):
        why = "no request arrives in it; make it longer"
        raise ConfigError([f"{scenario.place('run', 'duration')}: {why}"])
    if (scenario.run.warmup or 0.0) > drawn.times[-1]:
        why = "no request arrives after it; make it shorter"
        raise ConfigError([f"{scenario.place('run', 'warmup')}: {why}"])
