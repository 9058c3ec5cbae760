"""What a simulation gives: one run per algorithm, and the comparison between them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from lb.config import Scenario
from sim.analysis.comparison import Difference
from sim.analysis.fates import Series, series
from sim.analysis.intervals import Blocks
from sim.analysis.load import Steadiness, steadiness
from sim.analysis.objectives import Answer, Objective, objectives
from sim.analysis.record import Record
from sim.analysis.statistics import FIGURES, Estimate
from sim.model.laws import Floats

COMPARED = FIGURES
"""Metrics that algorithms are compared by."""
COUNTS = ("requests", "completed", "failed", "rejected", "timed_out", "gone", "retried")
"""Of a replication: `completed` + `failed` = `requests`, and the three after them are parts of
`failed`."""


@dataclass(frozen=True)
class BackendUse:
    """One backend over a run, mean of the replications."""

    name: str
    share: float
    """Of the successful requests."""
    utilisation: float
    """Busy workers over workers."""
    mean_in_flight: float
    """As the balancer counts: network included."""
    offered: float
    """Work sent to it per second over its capacity; from 1 on it cannot keep up."""
    bounded: bool
    """Whether it turns requests away rather than letting them wait without end."""
    ejected: float = 0.0
    """How often it was ejected, per replication, the whole of it."""
    falsely_ejected: float = 0.0
    """How often while it had no fault, and had not had one lately."""

    @property
    def steadiness(self) -> Steadiness:
        """Whether its latencies have a steady state."""
        return steadiness(self.offered, bounded=self.bounded)

    def as_dict(self) -> dict[str, Any]:
        """For `lb simulate --json`."""
        names = ("name", "share", "utilisation", "mean_in_flight", "offered")
        ejections = ("ejected", "falsely_ejected")
        return {name: getattr(self, name) for name in (*names, *ejections)}


@dataclass(frozen=True)
class StationUse:
    """A station that is no backend, mean of the replications: a shared one, or a balancer."""

    name: str
    utilisation: float
    """Busy workers over workers."""
    mean_present: float
    """Requests there, in its line too."""
    offered: float
    """Work sent to it per second over its capacity; from 1 on it cannot keep up."""
    bounded: bool
    """Whether its line cannot grow without end."""

    @property
    def steadiness(self) -> Steadiness:
        """Whether what waits there has a steady state."""
        return steadiness(self.offered, bounded=self.bounded)

    def as_dict(self) -> dict[str, Any]:
        """For `lb simulate --json`."""
        names = ("name", "utilisation", "mean_present", "offered")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class AlgorithmRun:
    """One algorithm. Counts are per replication, the whole of it; the rest is after warm-up."""

    algorithm: str
    requests: float
    completed: float
    failed: float
    rejected: float
    timed_out: float
    gone: float
    """Clients who lost patience."""
    retried: float
    hedged: float
    """Attempts beside another one that took long."""
    came_again: float
    """Requests of clients who had failed before."""
    refused: dict[str, float]
    """Failed requests by reason, in the words of `/lb-stats`."""
    latency: dict[str, Estimate]
    """mean, p50, p90, p95, p99, p999 in seconds, as clients see them, of successful requests."""
    throughput: float
    """Good answers per second, from the warm-up to the last arrival, whoever arrived when."""
    backends: list[BackendUse]
    wall_seconds: float
    requests_per_wall_second: float
    blocks: Blocks
    """What each part of the sample says of the latency metrics; the estimate is their mean."""
    records: list[Record]
    """Every replication in full, warm-up included; none where no trace was kept."""
    warmup: float
    """Seconds cut from the start of each replication."""
    cooldown: float
    """Seconds at the end of each whose arrivals are not in `latency`: later ones would have slowed
    them down."""
    transient: bool
    """Whether there is no steady state: figures then depend on the length of the run."""
    shared: list[StationUse] = field(default_factory=list)
    """The [[shared]] stations of the file."""
    proxy: StationUse | None = None
    """The balancers' own threads, on average, where the file says what their work costs."""

    @property
    def steady(self) -> bool:
        """Whether every backend keeps up with what it is sent, and what comes after it does."""
        return all(use.steadiness != "overloaded" for use in self.stations)

    @property
    def stations(self) -> list[BackendUse | StationUse]:
        """The backends, and what comes after them and before them."""
        return [*self.backends, *self.shared, *([] if self.proxy is None else [self.proxy])]

    @property
    def samples(self) -> list[Floats]:
        """Latencies that `latency` is about, one array per replication."""
        return [record.latency_after(self.warmup, self.cooldown) for record in self.records]

    @property
    def eventful(self) -> bool:
        """Whether it was written down who is in rotation when."""
        return bool(self.records) and self.records[0].rotation is not None

    @property
    def timeline(self) -> Series:
        """Second by second, warm-up included."""
        return series([record.fates for record in self.records])

    def as_dict(self) -> dict[str, Any]:
        """The RUN object of `lb simulate --json`.

        An eventful one has its `timeline`, one with hedges says how many it `hedged`, one with
        shared stations has `shared`, and one whose balancers' own work takes time `proxy`.
        """
        more: dict[str, Any] = {"timeline": self.timeline.as_dict()} if self.eventful else {}
        if self.hedged:
            more["hedged"] = _plain(self.hedged)
        if self.shared:
            more["shared"] = [use.as_dict() for use in self.shared]
        if self.proxy is not None:
            more["proxy"] = self.proxy.as_dict()
        return {
            "algorithm": self.algorithm,
            **{name: _plain(getattr(self, name)) for name in (*COUNTS, "came_again")},
            "refused": {why: _plain(number) for why, number in self.refused.items()},
            "latency": {name: value.as_dict() for name, value in self.latency.items()},
            "throughput": self.throughput,
            "backends": [backend.as_dict() for backend in self.backends],
            "wall_seconds": self.wall_seconds,
            "requests_per_wall_second": self.requests_per_wall_second,
            "warmup": self.warmup,
            "transient": self.transient,
            **more,
        }


@dataclass(frozen=True)
class Result:
    """What `lb simulate --json` prints, with the arrays behind it."""

    seed: int
    scenario: Scenario
    runs: list[AlgorithmRun]
    comparison: list[Difference]

    def __getitem__(self, algorithm: str) -> AlgorithmRun:
        """The run of one algorithm."""
        for run in self.runs:
            if run.algorithm == algorithm:
                return run
        raise KeyError(algorithm)

    def ranking(self, metric: str = "p99") -> list[list[str]]:
        """Algorithms from best to worst; those in one group cannot be told from its first.

        Those whose sample does not carry the figure come last, in groups of their own.
        """
        groups: list[list[str]] = []
        seen = {run.algorithm: _mean(run.blocks, metric) for run in self.runs}
        lacks = {run.algorithm: math.isnan(run.latency[metric].value) for run in self.runs}
        for name in sorted(seen, key=lambda it: (lacks[it], math.isnan(seen[it]), seen[it])):
            first = groups[-1][0] if groups else None
            alike = first is not None and lacks[first] == lacks[name]
            if alike and not self.between(groups[-1][0], name, metric).distinguishable:
                groups[-1].append(name)
            else:
                groups.append([name])
        return groups

    def between(self, a: str, b: str, metric: str = "p99") -> Difference:
        """The comparison of two algorithms, in either order."""
        for row in self.comparison:
            if row.metric == metric and {row.a, row.b} == {a, b}:
                return row
        raise KeyError((a, b, metric))

    def objectives(self) -> list[tuple[str, Objective]]:
        """Each objective of the file's [expect], with the algorithm that is held to it."""
        return [
            (run.algorithm, objective)
            for run in self.runs
            for objective in objectives(self.scenario.expect, run.latency, steady=run.steady)
        ]

    def missed(self) -> list[str]:
        """Objectives that a run misses, or that it cannot tell of, one line each."""
        return [
            f"{algorithm}: {objective}"
            for algorithm, objective in self.objectives()
            if objective.answer is not Answer.MET
        ]

    def as_dict(self) -> dict[str, Any]:
        """The object of `lb simulate --json`, schema 1."""
        return {
            "schema": 1,
            "seed": self.seed,
            "scenario": self.scenario.model_dump(mode="json", by_alias=True, exclude_none=True),
            "runs": [run.as_dict() for run in self.runs],
            "comparison": {
                "common_random_numbers": True,
                "ranking": {metric: self.ranking(metric) for metric in COMPARED}
                if len(self.runs) > 1
                else {},
                "pairs": [
                    {
                        "metric": row.metric,
                        "a": row.a,
                        "b": row.b,
                        "difference": row.difference.as_dict(),
                        "distinguishable": row.distinguishable,
                        "p": None if math.isnan(row.p) else row.p,
                    }
                    for row in self.comparison
                ],
            },
        }


def _plain(number: float) -> float:
    return int(number) if number == int(number) else number


def _mean(blocks: Blocks, metric: str) -> float:
    return math.fsum(block[metric] for block in blocks) / len(blocks)
