"""Replications as jobs: what one takes, and what comes of it; both can travel to a process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from lb.config import DEFAULT_REQUESTS, Scenario
from lb.errors import ConfigError
from sim.analysis.audit import audit
from sim.analysis.brief import Brief
from sim.analysis.record import Record
from sim.crew import Crew
from sim.engine.world import World
from sim.model.arrivals import Schedule
from sim.model.flow import Flow

QUICKEST = 2e-6
"""Seconds for a request of the cheapest algorithm on a fast machine."""


class Job(NamedTuple):
    """One replication of some algorithms, which see the same requests."""

    scenario: Scenario
    algorithms: tuple[str, ...]
    replication: int
    schedule: Schedule | None
    """Drawn by the scenario's seed unless given; users need none."""
    watched: bool | None
    """See `World`."""
    cut: float | None = None
    """Keep nothing of the requests but what is counted from here on; all of them unless given."""


class Done(NamedTuple):
    """One replication of one algorithm."""

    algorithm: str
    record: Record | Brief
    seconds: float
    """Of the simulation itself."""


class Runner:
    """Simulates one algorithm of a replication; draws what the algorithms of one share once.

    One that has travelled begins anew.
    """

    def __init__(self) -> None:
        self._drawn: tuple[Scenario, int, Schedule] | None = None

    def __call__(self, job: Job) -> Done:
        """Of a job with one algorithm. Raises ConfigError when nothing would be left of it."""
        if job.cut is not None:
            return self._count(job, job.cut)
        schedule = job.schedule
        if schedule is None and job.scenario.offered().users is None:
            schedule = self._draw(job.scenario, job.replication)
        if schedule is not None:
            times = schedule.times
            _check_length(job.scenario, len(times), float(times[-1]) if len(times) else 0.0)
        struck = None if job.schedule is None else 0  # one schedule has one set of faults
        (name,) = job.algorithms
        started = time.perf_counter()
        world = World(
            job.scenario, schedule, name, job.replication, struck=struck, watched=job.watched
        )
        record = world.replicate()
        if schedule is None:
            _check_length(job.scenario, record.requests, record.until)
        seconds = time.perf_counter() - started
        audit(job.scenario, schedule, record, whole=job.replication == 0)
        return Done(name, record, seconds)

    def _count(self, job: Job, cut: float) -> Done:
        (name,) = job.algorithms
        started = time.perf_counter()
        flow = Flow(job.scenario, job.replication)
        world = World(job.scenario, flow, name, job.replication, watched=False, cut=cut)
        brief = world.count()
        _check_length(job.scenario, brief.requests, brief.until)
        return Done(name, brief, time.perf_counter() - started)

    def _draw(self, scenario: Scenario, replication: int) -> Schedule:
        if self._drawn is not None:
            whose, which, schedule = self._drawn
            if whose is scenario and which == replication:
                return schedule
        self._drawn = scenario, replication, Schedule.draw(scenario, replication)
        return self._drawn[-1]

    def __reduce__(self) -> tuple[type[Runner], tuple[()]]:
        return Runner, ()


def run_all(
    jobs: Iterable[Job], on_done: Callable[[], None] | None = None, crew: Crew | None = None
) -> Iterator[Done]:
    """What comes of each algorithm of each job, in order, whoever of `crew` did it.

    `on_done` is called whenever one of them is done. Without a crew it is all done here.
    """
    each = [job._replace(algorithms=(name,)) for job in jobs for name in job.algorithms]
    seconds = min((least_seconds(job) for job in each), default=0.0)
    return (crew or Crew()).each(Runner(), each, seconds, on_done)


def least_seconds(job: Job) -> float:
    """What it takes at least, on any machine."""
    run = job.scenario.run
    if job.schedule is not None:
        requests: float = len(job.schedule)
    elif run.duration is not None:
        requests = run.duration * job.scenario.rate
    else:
        requests = run.requests or DEFAULT_REQUESTS
    return requests * QUICKEST * len(job.algorithms)


def _check_length(scenario: Scenario, requests: int, last: float) -> None:
    """Of a run in which the last of so many requests arrives at `last`."""
    if not requests:
        why = "no request arrives in it; make it longer"
        raise ConfigError([f"{scenario.place('run', 'duration')}: {why}"])
    if (scenario.run.warmup or 0.0) > last:
        why = "no request arrives after it; make it shorter"
        raise ConfigError([f"{scenario.place('run', 'warmup')}: {why}"])
