"""One live run beside its prediction, as a row of figures."""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lb.config import Scenario, effective_text
from sim.analysis.forecast import forecast, forecast_count, level_of_each
from sim.analysis.record import Record
from sim.analysis.statistics import FIGURES, latency_metrics
from sim.engine.users import ClosedLoop
from sim.engine.world import World
from sim.fidelity.cases import Case
from sim.fidelity.overhead import Overhead
from sim.live import punctual
from sim.live.kinds import Kind
from sim.live.load import play
from sim.live.measurement import Measurement
from sim.live.system import LiveSystem
from sim.live.users import play_users, population
from sim.live.verdict import COLD_START, REPLICATIONS, judge, predict
from sim.model.arrivals import Schedule
from sim.model.laws import Floats
from sim.result import Result

Row = dict[str, Any]
"""What is kept of a run, see `run`."""
LEVEL = 0.95
"""How often chance alone stays within what is told of it."""


def run(case: Case, overhead: Overhead) -> Row:
    """Play it, judge it, and tell. Raises LbError where the system does not come up.

    `figures`: measured and predicted in seconds, `error` relative, `low` and `high` what of an
    error chance alone explains. `shares`: of each backend. `failed`: requests without an answer.
    """
    placed = case.placed()
    modelled, differs = case.modelled(placed)
    scenario = overhead.on(modelled)
    balancers = scenario.run.balancers
    schedule, predicted, records = _predicted(scenario)
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "scenario.toml"
        file.write_text(effective_text(placed), encoding="utf-8")
        with LiveSystem(
            *(file, Path(directory)), target=case.target.name, balancers=balancers
        ) as system:
            measured = punctual.run(_played(placed, schedule, system.urls))
    limited = any(backend.max_in_flight is not None for backend in placed.backends)
    if limited and measured.kind is not None:
        measured.kind[measured.kind == case.target.refuses] = Kind.REFUSED
    gc.unfreeze()
    cut = _cold_start(scenario)
    due = _due(schedule, measured)
    live = _answered(due, measured, cut)
    row: Row = {
        "scenario": case.name,
        "algorithm": case.algorithm,
        "target": case.target.name,
        "seconds": case.seconds,
        "requests": len(due),
        "rate": len(due) / case.seconds,
        "figures": figures(live[0], [record.after(cut).latency for record in records]),
        "shares": shares(scenario, live[1], [record.after(cut) for record in records]),
        "failed": failures(measured, records),
        "differs": differs,
    }
    return {**row, **_judged(scenario, schedule, measured, predicted)}


def figures(live: Floats, predicted: Sequence[Floats]) -> dict[str, Row]:
    """Measured beside predicted; what either lacks the requests for is left out."""
    seen, runs = latency_metrics(live), [latency_metrics(one) for one in predicted]
    found = {}
    for name in FIGURES:
        told = forecast([run[name] for run in runs], LEVEL)
        if not (np.isfinite(seen[name]) and told.value > 0):
            continue
        row = {"measured": seen[name], "predicted": told.value}
        row["error"] = seen[name] / told.value - 1
        if told.low is not None and told.high is not None:
            row |= {"low": told.low / told.value - 1, "high": told.high / told.value - 1}
        found[name] = row
    return found


def shares(scenario: Scenario, live: Any, predicted: Sequence[Record]) -> dict[str, Row]:
    """Of the good answers, from each backend; chance leaves all of them within together."""
    found = {}
    level = level_of_each(len(scenario.backends))
    for place, row in enumerate(scenario.backends):
        told = forecast([_share(one.backend, place) for one in predicted], level)
        seen = _share(live, place)
        found[row.label] = {
            "measured": seen,
            "predicted": told.value,
            "low": told.low,
            "high": told.high,
        }
    return found


def _share(backend: Any, place: int) -> float:
    return float(np.count_nonzero(backend == place)) / max(len(backend), 1)


def failures(measured: Measurement, records: Sequence[Record]) -> Row:
    """How many requests had no good answer."""
    told = forecast_count([record.requests - record.completed for record in records], LEVEL)
    lost = int(np.count_nonzero(~np.isfinite(measured.ended)))
    return {"measured": lost, "predicted": told.value, "low": told.low, "high": told.high}


def _predicted(scenario: Scenario) -> tuple[Schedule | None, Result, Sequence[Record]]:
    """What is to be sent, None of users, and what is to come of it."""
    if scenario.offered().users is None:
        schedule = Schedule.draw(scenario)
        predicted = predict(scenario, schedule, scenario.run.balancers)
        return schedule, predicted, predicted.runs[0].records
    # Users who are the very same: what they think and ask for is no chance then.
    records = [
        World(scenario, ClosedLoop(population(scenario)), None, replication).replicate()
        for replication in range(REPLICATIONS)
    ]
    return None, predict(scenario, None, scenario.run.balancers), records


def _judged(
    scenario: Scenario, schedule: Schedule | None, measured: Measurement, predicted: Result
) -> Row:
    """What the verdict says of it."""
    verdict = judge(scenario, schedule, measured, predicted)
    return {
        "verdict": verdict.judgement.value,
        "why": verdict.invalid,
        "off": verdict.off,
        "cause": None if verdict.cause is None else verdict.cause.says,
        "parts": None if verdict.parts is None else verdict.parts.as_dict(),
        "late": {name: verdict.late_by.get(name) for name in ("p50", "p99")},
    }


def _played(
    scenario: Scenario, schedule: Schedule | None, urls: Sequence[str]
) -> Coroutine[Any, Any, Measurement]:
    if schedule is None:
        return play_users(scenario, *urls)
    return play(scenario, schedule, *urls)


def _due(schedule: Schedule | None, measured: Measurement) -> Floats:
    if schedule is not None:
        return schedule.times
    assert measured.due is not None
    return measured.due


def _cold_start(scenario: Scenario) -> float:
    given = scenario.run.warmup
    return COLD_START * scenario.length if given is None else given


def _answered(due: Floats, measured: Measurement, cut: float) -> tuple[Floats, Any]:
    """Latencies of what was answered well, and by whom."""
    good = np.isfinite(measured.ended) & (due >= cut)
    return (measured.ended - due)[good], measured.backend[good]
