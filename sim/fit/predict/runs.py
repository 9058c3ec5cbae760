"""Every setting on the same requests: as it is, with parameters drawn, at ends of the unknown."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

import numpy as np

from lb.config import Calibration, Scenario, changed
from lb.errors import ConfigError, LbError, UsageError
from lb.units import seconds
from sim.analysis.record import Record
from sim.crew import Crew
from sim.engine.jobs import Job, Runner, least_seconds
from sim.fit.predict.sample import Sample, Window, modelled
from sim.fit.whatif import WhatIf
from sim.model.arrivals import Schedule, streams
from sim.model.laws import Floats, draw_shape, shape

DRAWS, TWICE = 24, 2
"""Sets of parameters drawn from a calibration's intervals, and replications of each."""
AT_ENDS = 10
"""Replications at either end of what is not known."""
OF_INTERVAL = 2 * 1.959964
"""Standard deviations in a 95 % interval."""


class Task(NamedTuple):
    """One replication of one setting."""

    job: Job
    window: Window
    whole: bool
    """Whether its latencies are wanted, or their figures alone."""


class Ran(NamedTuple):
    """What came of it."""

    sample: Sample
    figures: dict[str, float]
    requests: int
    entered: list[int]
    """Attempts at each backend."""
    ejected: list[tuple[int, int]]
    """Ejections of each backend, and how many of them were false."""
    retried: int
    refused: dict[str, int]


@dataclass
class Setting:
    """One setting in all its replications."""

    scenario: Scenario
    window: Window
    runs: list[Ran] = field(default_factory=list)
    drawn: list[list[Ran]] = field(default_factory=list)
    """For each set of parameters its replications."""
    ends: list[tuple[list[Ran], list[Ran]]] = field(default_factory=list)
    """For each unknown, at its low and at its high end."""
    known: bool = False
    """Whether its `runs` have been simulated before."""

    def figure(self, name: str) -> Floats:
        """One entry per replication, seconds."""
        return np.array([run.figures[name] for run in self.runs])

    def of(self, told: Callable[[Ran], float]) -> Floats:
        """Any other figure of each replication."""
        return np.array([told(run) for run in self.runs])


def draws(calibration: Calibration | None, seed: int) -> list[dict[str, object]]:
    """Sets of parameters by the calibration's intervals, each as `changed` takes it."""
    rows = [] if calibration is None else calibration.estimate
    known = [
        (row.key, *numbers)
        for row in rows
        if (numbers := _ordered(row.low, row.value, row.high)) is not None
    ]
    if not known:
        return []
    rng = Random(f"parameters {seed}")
    return [{key: _drawn(rng, *three) for key, *three in known} for _ in range(DRAWS)]


def _ordered(*three: object) -> tuple[float, float, float] | None:
    """Low, value and high as numbers above zero that differ, else None."""
    try:
        low, value, high = (seconds(it) if isinstance(it, str) else float(str(it)) for it in three)
    except (ValueError, LbError):
        return None
    whole = all(isinstance(it, int) for it in three)
    return (low, value, high) if 0 < low <= value <= high and low < high and not whole else None


def _drawn(rng: Random, low: float, value: float, high: float) -> float:
    """A normal law of the logarithm, whose halves are as wide as the interval's."""
    z = rng.gauss(0.0, 1.0)
    end = high if z > 0 else low
    return value * math.exp(2 * abs(z) / OF_INTERVAL * math.log(end / value))


def unknowns(calibration: Calibration | None) -> list[tuple[dict[str, object], dict[str, object]]]:
    """Low and high ends; those of one kind at several backends go together."""
    kinds: dict[str, tuple[dict[str, object], dict[str, object]]] = {}
    for row in () if calibration is None else calibration.unknown:
        kind = ".".join(part for part in row.key.split(".") if not part.isdigit())
        low, high = kinds.setdefault(kind, ({}, {}))
        low[row.key], high[row.key] = row.low, row.high
    return list(kinds.values())


class Plan:
    """What is to be simulated: settings beside each other, replication by replication."""

    def __init__(
        self,
        now: Scenario,
        changes: Sequence[WhatIf | None],
        windows: Sequence[Window],
        replications: int,
        *,
        varied: bool = True,
    ) -> None:
        """`now` is the current setting; None among `changes` stands for it.

        `varied`: with parameters drawn, and at the ends of what is not known.
        """
        self.settings = [
            Setting(_applied(now, change), window)
            for change, window in zip(changes, windows, strict=True)
        ]
        self._now, self._changes, self._replications = now, changes, replications
        self._draws = draws(now.calibration, now.run.seed) if varied else []
        self._ends = unknowns(now.calibration) if varied else []

    @property
    def sets(self) -> int:
        """How many sets of parameters are drawn."""
        return len(self._draws)

    def tasks(self) -> list[Task]:
        """All of them, in the order that `run` takes what comes of them."""
        return [*self._plain(), *self._varied()]

    def _plain(self) -> list[Task]:
        return [
            Task(_job(it.scenario, k), it.window, True)
            for k in range(self._replications)
            for it in self.settings
            if not it.known
        ]

    def _varied(self) -> list[Task]:
        found: list[Task] = []
        for place, parameters in enumerate(self._draws):
            others = self._others(parameters)
            for again in range(TWICE):
                k = (place * TWICE + again) % self._replications
                found += self._beside(others, k)
        for ends in self._ends:
            for end in ends:
                others = self._others(end)
                for k in range(self._at_ends):
                    found += self._beside(others, k)
        return found

    @property
    def _at_ends(self) -> int:
        return min(AT_ENDS, self._replications)

    def _others(self, keys: Mapping[str, object]) -> list[Scenario]:
        try:
            now = changed(self._now, keys)
        except UsageError as error:
            raise ConfigError([f"{self._now.place('calibration')}: {error}"]) from None
        return [_applied(now, change) for change in self._changes]

    def _beside(self, others: Sequence[Scenario], k: int) -> Iterator[Task]:
        for mine, other in zip(self.settings, others, strict=True):
            yield Task(_job(other, k, coupled(mine.scenario, other, k)), mine.window, False)

    def run(self, crew: Crew, on_done: Callable[[], None] | None = None) -> None:
        """Simulate it all, but for the replications of a setting that is `known`.

        Raises ConfigError and WorkerDied.
        """
        tasks = self.tasks()
        least = min((least_seconds(task.job) for task in tasks), default=0.0)
        done = crew.each(Replay(), tasks, least, on_done)
        fresh = [it for it in self.settings if not it.known]
        for _ in range(self._replications):
            for setting in fresh:
                setting.runs.append(next(done))
        for _ in self._draws:
            for setting in self.settings:
                setting.drawn.append([])
            for _ in range(TWICE):
                for setting in self.settings:
                    setting.drawn[-1].append(next(done))
        for _ in self._ends:
            for setting in self.settings:
                setting.ends.append(([], []))
            for end in range(2):
                for _ in range(self._at_ends):
                    for setting in self.settings:
                        setting.ends[-1][end].append(next(done))

    def drawn(self, setting: Setting, told: Callable[[Ran], float]) -> Floats | None:
        """How a figure differs with each set of parameters; shape (sets, `TWICE`)."""
        if not setting.drawn:
            return None
        rows = []
        for place, runs in enumerate(setting.drawn):
            base = [
                setting.runs[(place * TWICE + again) % self._replications] for again in range(TWICE)
            ]
            rows.append([told(run) - told(one) for run, one in zip(runs, base, strict=True)])
        return np.array(rows)

    def ends(self, setting: Setting, told: Callable[[Ran], float]) -> list[tuple[float, float]]:
        """How a figure differs at the low and the high end of each unknown."""
        found = []
        for low, high in setting.ends:
            below, above = (
                float(np.mean([told(a) - told(b) for a, b in zip(end, setting.runs, strict=False)]))
                for end in (low, high)
            )
            found.append((below, above))
        return found


def _applied(now: Scenario, change: WhatIf | None) -> Scenario:
    return now if change is None else change.applied(now)


def _job(scenario: Scenario, k: int, schedule: Schedule | None = None) -> Job:
    return Job(scenario, (scenario.algorithm.name,), k, schedule, watched=False)


def coupled(mine: Scenario, other: Scenario, k: int) -> Schedule | None:
    """The requests of `mine` for `other`, whose laws have other shapes: drawn from the same luck.

    None where nothing needs to be done for that.
    """
    pairs = [
        (own.service, model.service)
        for (_, own), (_, model) in zip(mine.modelled(), other.modelled(), strict=True)
    ]
    if all(shape(own) == shape(new) for own, new in pairs) or mine.offered().users is not None:
        return None
    drawn = Schedule.draw(mine, k)
    rows: dict[str, Floats] = {}
    for own, new in pairs:
        if shape(new) not in rows:
            name = shape(own)
            luck = [streams(mine.run.seed, k, name)[0] for _ in range(2)]
            sizes = drawn.sizes[drawn.shapes.index(name)]
            plain = draw_shape(own, luck[0], len(drawn))
            factors = np.divide(sizes, plain, out=np.ones_like(sizes), where=plain > 0)
            rows[shape(new)] = draw_shape(new, luck[1], len(drawn)) * factors
    return Schedule(
        drawn.times,
        tuple(rows),
        np.array(list(rows.values())),
        drawn.keys,
        drawn.patience,
        drawn.texts,
    )


class Replay:
    """Simulates tasks, and keeps what is wanted of them. One that has travelled begins anew."""

    def __init__(self) -> None:
        self._runner = Runner()

    def __call__(self, task: Task) -> Ran:
        """Raises ConfigError."""
        scenario = task.job.scenario
        record = self._runner(task.job).record
        assert isinstance(record, Record), "without a cut everything is kept"
        backends = len(scenario.backends)
        sample = modelled(record, backends, task.window)
        figures = sample.figures
        if not task.whole:
            sample = Sample(np.empty(0), sample.mean, sample.shares, sample.requests, sample.failed)
        # Silence is held against a backend when the limit of an answer is over.
        memory = scenario.outliers.window + scenario.timeouts.response
        return Ran(
            sample,
            figures,
            record.requests,
            [record.entered(at) for at in range(backends)],
            [record.ejections(at, memory) for at in range(backends)],
            record.retried,
            dict(record.refused),
        )

    def __reduce__(self) -> tuple[type[Replay], tuple[()]]:
        return Replay, ()
