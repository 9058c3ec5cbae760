"""What is said of runs whose requests were counted and not kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

import numpy as np

from lb.config import DEFAULT_REQUESTS, Scenario
from sim.analysis.brief import Brief
from sim.analysis.comparison import compare
from sim.analysis.histogram import stand_in
from sim.analysis.intervals import Blocks, estimate_blocks, left_out
from sim.analysis.memory import Memory, expected_memory
from sim.analysis.statistics import Estimate
from sim.analysis.warmup import FORGOTTEN, MOST
from sim.model.laws import Floats
from sim.result import COMPARED, AlgorithmRun, BackendUse, Result
from sim.summary import counts
from sim.usage import Load, loads

POINTS = 20_000
"""Numbers that stand for the latencies of a block, however many those are."""


def first_counted(scenario: Scenario) -> float:
    """Seconds to cut from each replication: said before it runs, and so by theory alone."""
    if scenario.run.warmup is not None:
        return scenario.run.warmup
    load, rate = scenario.utilisation, scenario.rate
    if load >= 1:
        return 0.0
    most = MOST * (scenario.run.requests or DEFAULT_REQUESTS) / rate
    return min(FORGOTTEN * expected_memory(scenario, load).span / rate, most)


def outline(
    scenario: Scenario,
    briefs: Mapping[str, list[Brief]],
    wall: Mapping[str, float],
    rate: float,
) -> Result:
    """As `sim.summary.summarise`; runs have no `records`."""
    sent = {name: loads(scenario, mine, rate) for name, mine in briefs.items()}
    everywhere = list(chain.from_iterable(sent.values()))
    steady = all(load.steadiness != "overloaded" for load in everywhere)
    memory = expected_memory(scenario, max(load.offered for load in everywhere))
    latency: dict[str, dict[str, Estimate]] = {}
    blocks: dict[str, Blocks] = {}
    for name, mine in briefs.items():
        latency[name], blocks[name] = _estimates(mine, memory, steady=steady)
        if not steady:
            latency[name] |= left_out(latency[name], len(mine))
    runs = [
        AlgorithmRun(
            algorithm=name,
            **counts(mine),
            latency=latency[name],
            throughput=sum(it.answered for it in mine) / sum(it.until - it.cut for it in mine),
            backends=_backend_use(scenario, mine, sent[name]),
            wall_seconds=wall[name],
            requests_per_wall_second=sum(it.requests for it in mine) / wall[name],
            blocks=blocks[name],
            records=[],
            warmup=mine[0].cut,
            cooldown=0.0,
            transient=not steady,
        )
        for name, mine in briefs.items()
    ]
    return Result(scenario.run.seed, scenario, runs, compare(blocks, COMPARED, 1.0, latency))


def _estimates(
    briefs: Sequence[Brief], memory: Memory, *, steady: bool
) -> tuple[dict[str, Estimate], Blocks]:
    parts: list[Floats] = []
    counted = 0
    for brief in briefs:
        cells, sums = brief.counts, brief.sums
        if not steady:  # then replications alone are alike
            cells, sums = cells.sum(axis=0, keepdims=True), sums.sum(keepdims=True)
        for counts_of_part, total in zip(cells, sums.tolist(), strict=True):
            if number := int(counts_of_part.sum()):
                counted += number
                parts.append(stand_in(counts_of_part, total / number, POINTS))
    return estimate_blocks(parts or [np.empty(0)], counted, memory, steady=steady)


def _backend_use(
    scenario: Scenario, briefs: Sequence[Brief], sent: Sequence[Load]
) -> list[BackendUse]:
    rows = []
    for order, (backend, model) in enumerate(scenario.modelled()):
        spans = [max(it.until - it.cut, 0.0) or 1.0 for it in briefs]
        worked = [it.worked[order] / span for it, span in zip(briefs, spans, strict=True)]
        present = [it.in_flight[order] / span for it, span in zip(briefs, spans, strict=True)]
        rows.append(
            BackendUse(
                name=backend.label,
                share=float(np.mean([it.taken[order] / max(it.taken.sum(), 1) for it in briefs])),
                utilisation=float(np.mean(worked)) / model.workers,
                mean_in_flight=float(np.mean(present)),
                offered=sent[order].offered,
                bounded=sent[order].bounded,
                ejected=float(np.mean([_ejections(it, order) for it in briefs])),
                falsely_ejected=float(np.mean([_ejections(it, order) for it in briefs])),
            )
        )
    return rows


def _ejections(brief: Brief, order: int) -> int:
    """All of them are false: what has faults is not counted but recorded."""
    return sum(place == order for place, _ in brief.ejected)
