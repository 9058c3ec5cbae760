"""Every setting on the same requests: as it is, with parameters drawn, at ends of the unknown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from lb.config import Scenario
from sim.analysis.record import Record
from sim.crew import Crew
from sim.engine.jobs import Job, Runner, least_seconds
from sim.fit.doubt import Spread, spread
from sim.fit.parameters import Sets, sets, variances
from sim.fit.said import said
from sim.fit.sample import Sample, Window, modelled
from sim.fit.unidentified import at, in_words, unknowns
from sim.fit.whatif import WhatIf
from sim.model.arrivals import Schedule, streams
from sim.model.laws import Floats, draw_shape, shape

AT_ENDS = 10
"""Replications at either end of what is not known."""


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
    drawn: list[Ran] = field(default_factory=list)
    """One for each set of parameters."""
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
        self._sets = sets(now.calibration, now.run.seed) if varied else Sets()
        self._ends = unknowns(now.calibration) if varied else []

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
        for place, keys in enumerate(self._sets.keys):
            found += self._beside(self._others(said(self._now, keys)), self._luck_of(place))
        for ends in self._ends:
            for end in ends:
                others = self._others(end)
                for k in range(self._at_ends):
                    found += self._beside(others, k)
        return found

    def _luck_of(self, place: int) -> int:
        """The replication that a set is simulated in: its mirror image has the same."""
        return place // 2 % self._replications

    @property
    def _at_ends(self) -> int:
        return min(AT_ENDS, self._replications)

    def _others(self, keys: Mapping[str, object]) -> list[Scenario]:
        now = at(self._now, keys)
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
        for _ in self._sets.keys:
            for setting in self.settings:
                setting.drawn.append(next(done))
        for _ in self._ends:
            for setting in self.settings:
                setting.ends.append(([], []))
            for end in range(2):
                for _ in range(self._at_ends):
                    for setting in self.settings:
                        setting.ends[-1][end].append(next(done))

    def spread(
        self, setting: Setting, told: Callable[[Ran], float], beside: Setting | None = None
    ) -> Spread:
        """What is not sure of a figure, or of how it differs from that of another setting."""
        if beside is None:
            runs = np.array([told(run) for run in setting.runs])
            drawn, ends = self._drawn(setting, told), self._ended(setting, told)
        else:
            pairs = zip(setting.runs, beside.runs, strict=True)
            runs = np.array([told(run) - told(other) for run, other in pairs])
            drawn = self._drawn(setting, told) - self._drawn(beside, told)
            both = zip(self._ended(setting, told), self._ended(beside, told), strict=True)
            ends = [(mine[0] - its[0], mine[1] - its[1]) for mine, its in both]
        return spread(runs, variances(self._sets.luck, drawn), ends)

    def hangs_on(
        self, setting: Setting, told: Callable[[Ran], float], beside: Setting, sign: float
    ) -> str:
        """What was not identified and leads farthest in the direction of `sign`, in words."""
        both = zip(self._ended(setting, told), self._ended(beside, told), strict=True)
        far = [max(sign * (a - b) for a, b in zip(*two, strict=True)) for two in both]
        low, _ = self._ends[far.index(max(far))]
        return in_words(self._now, low)

    def _drawn(self, setting: Setting, told: Callable[[Ran], float]) -> Floats:
        """How a figure differs with each set of parameters."""
        base = [told(run) for run in setting.runs]
        return np.array(
            [told(run) - base[self._luck_of(at)] for at, run in enumerate(setting.drawn)]
        )

    def _ended(self, setting: Setting, told: Callable[[Ran], float]) -> list[tuple[float, float]]:
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
    return replace(drawn, shapes=tuple(rows), sizes=np.array(list(rows.values())))


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
