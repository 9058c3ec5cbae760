"""One scenario under several algorithms: replications, common random numbers, the result."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np

from lb.config import Scenario
from lb.errors import ConfigError, UsageError
from lb.strategies import parse, spec
from sim.analysis.record import Record, occupancy, time_average
from sim.analysis.statistics import Difference, Estimate, compare, latency_estimates, mser5
from sim.engine.world import World
from sim.model.arrivals import Schedule

COMPARED = ("mean", "p50", "p95", "p99")
"""Metrics that algorithms are compared by."""


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


@dataclass(frozen=True)
class Run:
    """One algorithm. Counts are per replication, the whole of it; the rest is after warm-up."""

    algorithm: str
    requests: float
    completed: float
    failed: float
    rejected: float
    timed_out: float
    retried: float
    latency: dict[str, Estimate]
    """mean, p50, p90, p95, p99, p999 in seconds, as clients see them, of successful requests."""
    throughput: float
    """Successful requests per second."""
    backends: list[BackendUse]
    wall_seconds: float
    requests_per_wall_second: float
    blocks: list[dict[str, float]]
    """Latency metrics of each replication (of each batch, when there is one replication)."""
    records: list[Record]
    """Every replication in full, warm-up included."""
    warmups: list[float]
    """Seconds cut from the start of each replication."""

    @property
    def samples(self) -> list[np.ndarray[Any, np.dtype[np.float64]]]:
        """Latencies after warm-up, one array per replication."""
        return [
            record.after(cut).latency
            for record, cut in zip(self.records, self.warmups, strict=True)
        ]

    def as_dict(self) -> dict[str, Any]:
        """The RUN object of `lb simulate --json`."""
        return {
            "algorithm": self.algorithm,
            **{name: _plain(getattr(self, name)) for name in _COUNTS},
            "latency": {name: value.as_dict() for name, value in self.latency.items()},
            "throughput": self.throughput,
            "backends": [asdict(backend) for backend in self.backends],
            "wall_seconds": self.wall_seconds,
            "requests_per_wall_second": self.requests_per_wall_second,
        }


_COUNTS = ("requests", "completed", "failed", "rejected", "timed_out", "retried")


@dataclass(frozen=True)
class Result:
    """What `lb simulate --json` prints, with the arrays behind it."""

    seed: int
    scenario: Scenario
    runs: list[Run]
    comparison: list[Difference]

    def __getitem__(self, algorithm: str) -> Run:
        """The run of one algorithm."""
        for run in self.runs:
            if run.algorithm == algorithm:
                return run
        raise KeyError(algorithm)

    def ranking(self, metric: str = "p99") -> list[list[str]]:
        """Algorithms from best to worst; those in one group cannot be told from its first."""
        groups: list[list[str]] = []
        order = sorted(self.runs, key=lambda run: run.latency[metric].value)
        for name in (run.algorithm for run in order):
            if groups and not self.between(groups[-1][0], name, metric).distinguishable:
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

    def missed(self) -> list[str]:
        """Objectives of the file's [expect] that a run misses, one line each."""
        return [
            f"{run.algorithm}: {name} is {_ms(run.latency[name].value)}, "
            f"expected at most {_ms(bound)}"
            for run in self.runs
            for name, bound in self.scenario.expect.model_dump(exclude_none=True).items()
            if not run.latency[name].value <= bound
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
                    }
                    for row in self.comparison
                ],
            },
        }


def simulate(
    scenario: Scenario,
    algorithms: Sequence[str] | None = None,
    *,
    schedule: Schedule | None = None,
    on_replication: Callable[[], None] | None = None,
) -> Result:
    """Simulate `scenario` under each of `algorithms` (the file's own unless given).

    All algorithms see the same requests at the same times with the same sizes. `schedule` replaces
    the drawn one in every replication; replications then differ by the balancer's own randomness
    and the network only. `on_replication` is called after each replication.

    Raises ConfigError when the scenario lacks models, traffic or keys, UsageError for an unknown or
    repeated algorithm.
    """
    names = list(algorithms or [scenario.algorithm.name])
    for name in names:
        parse(name)
        if names.count(name) > 1:
            raise UsageError(f"algorithm {name!r} is given twice")
    if schedule is not None:
        schedule.check(scenario)
    keys = scenario.offered().keys if schedule is None else schedule.keys
    if keys is None:
        _refuse_without_keys(names)
    records: dict[str, list[Record]] = {name: [] for name in names}
    wall = dict.fromkeys(names, 0.0)
    for replication in range(scenario.run.replications):
        drawn = schedule or Schedule.draw(scenario, replication)
        if not len(drawn):
            raise ConfigError(["run.duration: no request arrives in it; make it longer"])
        if (scenario.run.warmup or 0.0) > drawn.times[-1]:
            raise ConfigError(["run.warmup: no request arrives after it; make it shorter"])
        for name in names:
            started = time.perf_counter()
            records[name].append(World(scenario, drawn, name, replication).replicate())
            wall[name] += time.perf_counter() - started
            if on_replication is not None:
                on_replication()
    runs = [_run(scenario, name, records[name], wall[name]) for name in names]
    comparison = [
        compare(
            metric,
            a.algorithm,
            b.algorithm,
            [block[metric] for block in a.blocks],
            [block[metric] for block in b.blocks],
        )
        for a, b in combinations(runs, 2)
        for metric in COMPARED
    ]
    return Result(scenario.run.seed, scenario, runs, comparison)


def _refuse_without_keys(names: Sequence[str]) -> None:
    needy = [name for name in names if "key" in spec(parse(name)[0]).needs]
    if needy:
        example = 'keys = { law = "zipf", count = 10000, s = 1.1 }'
        raise ConfigError([f"traffic.keys: missing; {name} needs {example}" for name in needy])


def _run(scenario: Scenario, name: str, records: list[Record], wall: float) -> Run:
    warmups = [_warmup(scenario, record) for record in records]
    kept = [record.after(cut) for record, cut in zip(records, warmups, strict=True)]
    latency, blocks = latency_estimates([record.latency for record in kept])
    seconds = sum(r.until - cut for r, cut in zip(kept, warmups, strict=True))
    by_until = sum(int(np.count_nonzero(r.ended <= r.until)) for r in kept)
    simulated = sum(record.requests for record in records)
    return Run(
        algorithm=name,
        **{count: float(np.mean([getattr(r, count) for r in records])) for count in _COUNTS},
        latency=latency,
        throughput=by_until / seconds if seconds > 0 else 0.0,
        backends=_backend_use(scenario, records, warmups),
        wall_seconds=wall,
        requests_per_wall_second=simulated / wall,
        blocks=blocks,
        records=records,
        warmups=warmups,
    )


def _warmup(scenario: Scenario, record: Record) -> float:
    """Seconds to cut: the file's, or MSER-5 on the latencies by arrival."""
    if scenario.run.warmup is not None:
        return scenario.run.warmup
    cut = mser5(record.latency)
    return float(record.arrived[cut]) if cut else 0.0


def _backend_use(
    scenario: Scenario, records: list[Record], warmups: list[float]
) -> list[BackendUse]:
    rows = []
    for order, (backend, model) in enumerate(scenario.modelled()):
        share, busy, in_flight = [], [], []
        for record, cut in zip(records, warmups, strict=True):
            mine = record.backend == order
            counted = record.arrived >= cut
            share.append(float(np.sum(mine & counted)) / max(float(np.sum(counted)), 1.0))
            times, inside = occupancy(*record.present(order))
            working = np.minimum(inside, model.workers)
            busy.append(time_average(times, working, cut, record.until) / model.workers)
            times, inside = occupancy(*record.in_flight(order))
            in_flight.append(time_average(times, inside, cut, record.until))
        rows.append(
            BackendUse(
                backend.label,
                float(np.mean(share)),
                float(np.mean(busy)),
                float(np.mean(in_flight)),
            )
        )
    return rows


def _plain(number: float) -> float:
    return int(number) if number == int(number) else number


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.4g} ms"
