"""From the records of every replication to what is said of each algorithm, and of them together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lb.config import Scenario
from sim.analysis.brief import Brief
from sim.analysis.comparison import compare
from sim.analysis.intervals import estimate_together
from sim.analysis.memory import expected_memory
from sim.analysis.record import Record
from sim.analysis.warmup import cool_down, warm_up
from sim.result import COMPARED, COUNTS, AlgorithmRun, Result
from sim.usage import backend_use, loads, proxy_use, shared_use

Records = Mapping[str, list[Record]]
"""Of each algorithm, one per replication, in the same order."""


def summarise(
    scenario: Scenario,
    records: Records,
    wall: Mapping[str, float],
    rate: float,
    *,
    drawn: bool = True,
) -> Result:
    """`wall` holds the seconds of each algorithm; `rate` is that of the requests, per second.

    Without `drawn` all replications had the same requests, which were given and are finite.
    """
    sent = {name: loads(scenario, mine, rate) for name, mine in records.items()}
    everywhere = [load for mine in sent.values() for load in mine]
    growing = any(load.steadiness == "overloaded" for load in everywhere)
    steady = drawn and not (scenario.changing or growing)
    memory = expected_memory(scenario, max(load.offered for load in everywhere))
    cut, tail = 0.0, 0.0
    if steady:
        until = min(record.until for mine in records.values() for record in mine)
        cut, tail = warm_up(records, memory, rate), cool_down(scenario, memory, rate, until)
    if scenario.run.warmup is not None:
        cut = scenario.run.warmup
    samples = {
        name: [record.latency_after(cut, tail) for record in mine] for name, mine in records.items()
    }
    latency, blocks, shortfall = estimate_together(samples, memory, steady=steady, growing=growing)
    backends, stations = len(scenario.backends), len(scenario.backends) + len(scenario.shared)
    runs = [
        AlgorithmRun(
            algorithm=name,
            **counts(mine),
            latency=latency[name],
            throughput=_throughput(mine, cut),
            backends=backend_use(scenario, mine, cut, sent[name][:backends]),
            shared=shared_use(scenario, mine, cut, sent[name][backends:stations]),
            proxy=proxy_use(scenario, mine, cut, sent[name][stations:]),
            wall_seconds=wall[name],
            requests_per_wall_second=sum(record.requests for record in mine) / wall[name],
            blocks=blocks[name],
            records=mine,
            warmup=cut,
            cooldown=tail,
            transient=not steady,
        )
        for name, mine in records.items()
    ]
    return Result(scenario.run.seed, scenario, runs, compare(blocks, COMPARED, shortfall, latency))


def counts(records: Sequence[Record] | Sequence[Brief]) -> dict[str, Any]:
    """Per replication, the whole of it."""
    whys = {why for record in records for why in record.refused}

    def mean(numbers: Sequence[float]) -> float:
        return float(np.mean(numbers))

    told = (*COUNTS, "hedged", "came_again")
    refused = {why: mean([it.refused.get(why, 0) for it in records]) for why in sorted(whys)}
    return {count: mean([getattr(it, count) for it in records]) for count in told} | {
        "refused": refused
    }


def _throughput(records: Sequence[Record], cut: float) -> float:
    """Good answers per second, whoever arrived when."""
    seconds = sum(record.until - cut for record in records)
    answered = sum(
        int(np.count_nonzero((record.ended >= cut) & (record.ended <= record.until)))
        for record in records
    )
    return answered / seconds if seconds > 0 else 0.0
