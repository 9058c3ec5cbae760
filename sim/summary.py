"""From the records of every replication to what is said of each algorithm, and of them together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from lb.config import Scenario, Shared
from sim.analysis.record import Record, occupancy, time_average
from sim.analysis.statistics import compare, latency_estimates, mser5
from sim.result import COMPARED, COUNTS, AlgorithmRun, BackendUse, Result, StationUse


def summarise(
    scenario: Scenario,
    records: Mapping[str, list[Record]],
    wall: Mapping[str, float],
    rate: float,
) -> Result:
    """`records` of each algorithm, one per replication, in the same order; `wall` their seconds.

    `rate` is that of the requests that were offered, per second.
    """
    cut = _warmup(scenario, [record for mine in records.values() for record in mine])
    runs = [_run(scenario, name, mine, wall[name], rate, cut) for name, mine in records.items()]
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


def _run(
    scenario: Scenario, name: str, records: list[Record], wall: float, rate: float, cut: float
) -> AlgorithmRun:
    latency, blocks = latency_estimates([record.after(cut).latency for record in records])
    seconds = sum(record.until - cut for record in records)
    answered = sum(
        int(np.count_nonzero((record.ended >= cut) & (record.ended <= record.until)))
        for record in records
    )
    simulated = sum(record.requests for record in records)
    if scenario.offered().users is not None:  # they decide themselves how many they send
        rate = simulated / sum(record.until for record in records)
    whys = {why for record in records for why in record.refused}

    def mean(numbers: Sequence[float]) -> float:
        return float(np.mean(numbers))

    return AlgorithmRun(
        algorithm=name,
        **{count: mean([getattr(r, count) for r in records]) for count in COUNTS},
        hedged=mean([record.hedged for record in records]),
        came_again=mean([record.came_again for record in records]),
        refused={why: mean([r.refused.get(why, 0) for r in records]) for why in sorted(whys)},
        latency=latency,
        throughput=answered / seconds if seconds > 0 else 0.0,
        backends=_backend_use(scenario, records, cut, rate),
        wall_seconds=wall,
        requests_per_wall_second=simulated / wall,
        blocks=blocks,
        records=records,
        warmup=cut,
        shared=[_shared_use(scenario, row, records, cut, rate) for row in scenario.shared],
    )


def _shared_use(
    scenario: Scenario, row: Shared, records: list[Record], cut: float, rate: float
) -> StationUse:
    length = float(np.mean([record.until for record in records]))
    busy, present, sent = [], [], []
    for record in records:
        entered, left = record.shared[row.name]
        times, inside = occupancy(np.asarray(entered), np.asarray(left))
        present.append(time_average(times, inside, cut, record.until))
        working = np.minimum(inside, row.workers)
        busy.append(time_average(times, working, cut, record.until) / row.workers)
        sent.append(len(entered) / record.requests)
    return StationUse(
        name=row.name,
        utilisation=float(np.mean(busy)),
        mean_present=float(np.mean(present)),
        offered=float(np.mean(sent)) * rate / row.capacity_over(length),
        bounded=scenario.bounded or row.queue is not None,
    )


def _warmup(scenario: Scenario, records: Sequence[Record]) -> float:
    """Seconds to cut, of all replications and algorithms alike: the file's, or found.

    Found by MSER-5 on the latencies by arrival, averaged over the records (as Welch does): one of
    them alone says little. Where something follows the clock (faults, rates, speeds) there is no
    steady state, and nothing is cut.
    """
    if scenario.run.warmup is not None:
        return scenario.run.warmup
    if scenario.changing:
        return 0.0
    shortest = min(record.completed for record in records)
    cut = mser5(np.mean([record.latency[:shortest] for record in records], axis=0))
    return max(float(record.arrived[cut]) for record in records) if cut else 0.0


def _backend_use(
    scenario: Scenario, records: list[Record], cut: float, rate: float
) -> list[BackendUse]:
    traffic = scenario.offered()
    # Of users no more can wait than there are.
    bounded = traffic.patience is not None or traffic.users is not None
    # Silence is held against a backend when the limit of an answer is over.
    named = "response" in scenario.timeouts.model_fields_set
    memory = scenario.outliers.window + (scenario.timeouts.response if named else 0.0)
    length = float(np.mean([record.until for record in records]))
    rows = []
    for order, (backend, model) in enumerate(scenario.modelled()):
        share, busy, in_flight, sent = [], [], [], []
        for record in records:
            mine = record.backend == order
            counted = record.arrived >= cut
            share.append(float(np.sum(mine & counted)) / max(float(np.sum(counted)), 1.0))
            times, inside = occupancy(*record.at_work(order))
            working = np.minimum(inside, model.workers)
            busy.append(time_average(times, working, cut, record.until) / model.workers)
            times, inside = occupancy(*record.in_flight(order))
            in_flight.append(time_average(times, inside, cut, record.until))
            sent.append(record.entered(order) / record.requests)
        ejected, falsely = np.mean([it.ejections(order, memory) for it in records], axis=0)
        rows.append(
            BackendUse(
                name=backend.label,
                share=float(np.mean(share)),
                utilisation=float(np.mean(busy)),
                mean_in_flight=float(np.mean(in_flight)),
                offered=float(np.mean(sent))
                * rate
                * traffic.work
                / scenario.capacity_of(model, length),
                bounded=bounded or model.queue is not None or backend.max_in_flight is not None,
                ejected=float(ejected),
                falsely_ejected=float(falsely),
            )
        )
    return rows
