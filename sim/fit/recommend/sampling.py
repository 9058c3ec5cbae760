"""Replications of many settings on the same random numbers, cut to what a search asks of them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from lb.config import DEFAULT_REQUESTS, Scenario
from sim.analysis.memory import expected_memory
from sim.analysis.record import Record
from sim.analysis.statistics import student_t
from sim.analysis.warmup import FORGOTTEN, MOST, cool_down
from sim.crew import Crew, result
from sim.engine.jobs import QUICKEST, Job, Runner
from sim.model.laws import Floats
from sim.usage import loads

SHORTEST, LONGEST = 4_000, 40_000
"""Requests of a replication whose length is free: below, too much of it is the empty start; above,
there would be too few replications to say how certain a figure is."""
MEMORIES = 15.0
"""How many times as long as a queue remembers a replication is, where that is free."""
WARM = 3.0
"""Times the warm-up of a file that a replication lasts at least."""
SURELY = 0.005
"""How often a setting may be said to overload a station that can just keep up."""
LOADED = 0.97
"""Load that a memory is taken at, at most: nearer to 1 it has no end."""


class Observation(NamedTuple):
    """What one replication shows of one setting, from its warm-up on."""

    latency: Floats
    """Seconds, of each good answer, by arrival."""
    failed: int
    seconds: float
    """How long those requests took to arrive."""
    offered: tuple[float, ...]
    """Work sent to each station over its capacity."""
    bounded: tuple[bool, ...]
    """Whether its line cannot grow without end."""
    requests: int
    """The whole of it."""


@dataclass(frozen=True, eq=False)
class Setting:
    """A scenario, whose run is one replication, under one algorithm; each is equal to itself."""

    scenario: Scenario
    algorithm: str


class Task(NamedTuple):
    """One replication of one setting."""

    setting: Setting
    replication: int


class Observer:
    """Simulates a replication. One that has travelled begins anew, and shares nothing."""

    def __init__(self) -> None:
        self._runner = Runner()

    def __call__(self, task: Task) -> Observation:
        scenario = task.setting.scenario
        job = Job(scenario, (task.setting.algorithm,), task.replication, None, False)
        record = self._runner(job).record
        assert isinstance(record, Record)  # nothing was only counted
        users = scenario.offered().users is not None
        rate = 0.0 if users else scenario.rate
        sent = loads(scenario, [record], rate)
        cut, tail = _cut(scenario, record.until, max((it.offered for it in sent), default=0.0))
        kept = record.latency_after(cut, tail)
        arrived = record.failures[0]
        lost = arrived >= cut
        if tail:
            lost &= arrived < record.until - tail
        return Observation(
            kept,
            int(np.count_nonzero(lost)),
            max(record.until - tail - cut, 0.0),
            tuple(it.offered for it in sent),
            tuple(it.bounded for it in sent),
            record.requests,
        )

    def __reduce__(self) -> tuple[type[Observer], tuple[()]]:
        return Observer, ()


def _cut(scenario: Scenario, until: float, load: float) -> tuple[float, float]:
    """Seconds at the start and at the end that do not count, by theory alone: what one run shows
    is its own luck.
    """
    if scenario.changing:
        return scenario.run.warmup or 0.0, 0.0
    memory = expected_memory(scenario, min(load, LOADED))
    rate = scenario.rate if scenario.offered().users is None else math.inf
    start = min(FORGOTTEN * memory.span / rate, MOST * until)
    tail = cool_down(scenario, memory, rate, until)
    return (start if scenario.run.warmup is None else scenario.run.warmup), tail


def of_length(scenario: Scenario, requests: int | None = None) -> Scenario:
    """`scenario` with one replication of a length that suits a search.

    Where what happens follows the clock, it is the file's own; a trace is as long as it is.
    """
    run = scenario.run
    if scenario.changing:
        seconds = run.duration or scenario.length
        update: dict[str, object] = {"duration": seconds, "requests": None}
    else:
        longest = run.requests or DEFAULT_REQUESTS
        if run.duration is not None:
            longest = max(int(run.duration * scenario.rate), 1)
        wanted = min(requests or suited(scenario), max(longest, SHORTEST))
        warm = math.ceil(WARM * (run.warmup or 0.0) * min(scenario.rate, longest))
        update = {"requests": max(wanted, min(warm, longest)), "duration": None}
    return scenario.with_run(**update, replications=1)


def suited(scenario: Scenario) -> int:
    """Requests that a replication should have, by how long its queues remember."""
    load = 0.5 if scenario.offered().users is not None else min(scenario.utilisation, LOADED)
    span = expected_memory(scenario, load).span
    return round(min(max(MEMORIES * span, SHORTEST), LONGEST))


def cost(scenario: Scenario) -> float:
    """About how many requests a replication has."""
    run = scenario.run
    if run.requests is not None:
        return run.requests
    return max(scenario.length * min(scenario.rate, 1e9), 1.0)


@dataclass
class Sampler:
    """Whoever asks for replications gets them here, and they are counted.

    `budget` is requests; with `limit`, seconds, it follows from how fast they go.
    """

    crew: Crew
    budget: float
    limit: float | None = None
    on_progress: Callable[[float], None] | None = None
    spent: float = 0.0
    _seen: dict[Setting, list[Observation]] = field(default_factory=dict)
    _started: float = field(default_factory=time.perf_counter)

    def left(self, share: float = 1.0) -> float:
        """Requests until so much of the whole budget is spent."""
        return max(share * self.whole - self.spent, 0.0)

    @property
    def whole(self) -> float:
        if self.limit is None:
            return self.budget
        took = time.perf_counter() - self._started
        if not self.spent:
            return self.budget
        return self.spent + self.spent / max(took, 1e-3) * max(self.limit - took, 0.0)

    def seen(self, setting: Setting) -> list[Observation]:
        """Its replications so far, in order."""
        return self._seen.get(setting, [])

    def observe(self, settings: Sequence[Setting], replications: int) -> list[list[Observation]]:
        """So many replications of each, of which those that are there are not made again.

        The first of all settings come first, so that what they share is drawn once.
        """
        todo = [
            Task(setting, k)
            for k in range(replications)
            for setting in dict.fromkeys(settings)
            if k >= len(self.seen(setting))
        ]
        expected = min((cost(task.setting.scenario) for task in todo), default=0.0) * QUICKEST
        done: dict[int, Observation] = {}
        try:
            with closing(self.crew.as_done(Observer(), todo, expected)) as settled:
                for place, future in settled:
                    done[place] = result(future)
                    self.spent += done[place].requests
                    if self.on_progress is not None:
                        self.on_progress(min(self.spent / max(self.whole, 1.0), 1.0))
        finally:
            # Those up to the first that is missing: any other choice favours what is quickly made.
            for place, task in enumerate(todo):
                if place not in done:
                    break
                self._seen.setdefault(task.setting, []).append(done[place])
        return [self.seen(setting)[:replications] for setting in settings]

    def drop(self, setting: Setting) -> None:
        """Nobody asks for it any more."""
        self._seen.pop(setting, None)


def growing(seen: Sequence[Observation]) -> bool:
    """Whether some line surely grows for ever: what is sent to its station is above what that can
    serve by more than the luck of the replications. Who sends by what waits, sends a slow backend
    all that it can just serve, and in half of all samples a little more.
    """
    loads = np.array([it.offered for it in seen])
    n, stations = loads.shape
    if n < 2 or not stations:
        return False
    errors = loads.std(axis=0, ddof=1) / math.sqrt(n)
    low = loads.mean(axis=0) - student_t(1 - SURELY / stations, n - 1) * errors
    return bool((low[~np.array(seen[0].bounded)] >= 1).any())


def steady(seen: Sequence[Observation]) -> bool:
    """Whether by the mean of the replications every station keeps up with what it is sent, or
    turns the rest away; one that does not is not yet `growing`.
    """
    means = np.mean([it.offered for it in seen], axis=0)
    return all(
        bounded or load < 1
        for load, bounded in zip(np.atleast_1d(means).tolist(), seen[0].bounded, strict=True)
    )
