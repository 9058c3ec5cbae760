"""A live run beside its prediction: did the proxy do what the simulator said it would?

The simulator replays the very schedule that was sent, so both sides had the same arrivals, sizes
and keys. What is left open, ties and network delays, gives the interval for one run of that length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

import numpy as np

from lb.config import Scenario
from sim.analysis.fates import series
from sim.analysis.objectives import Answer, Objective, objectives
from sim.analysis.record import Record
from sim.analysis.statistics import latency_estimates, latency_metrics, prediction
from sim.experiment import simulate
from sim.live.lateness import Lateness
from sim.live.line import Line
from sim.live.measurement import Measurement
from sim.live.ordeal import ordeal
from sim.model.arrivals import Schedule
from sim.model.laws import Floats
from sim.result import Result

REPLICATIONS = 30
"""Simulations of the schedule behind a prediction."""
JUDGED = ("p50", "p95", "p99")
COLD_START = 0.05
"""Share of a run that is not judged on either side, unless the file gives a warm-up: connections
are being opened."""
LATE, TOO_LATE = 0.02, 0.1
"""Seconds by which a generator may be late (p99) when it misses what is predicted of trouble, and
in any case: times are judged to a second there."""
FAILURES = 0.005
"""Failed requests beyond the predicted share that a run may have."""


class Judgement(Enum):
    """What a live run says of its prediction."""

    PASSED = "passed"
    MISSED = "missed"
    INVALID = "invalid"

    @property
    def exit_status(self) -> int:
        return {"passed": 0, "missed": 4, "invalid": 1}[self.value]


@dataclass(frozen=True)
class Verdict:
    """Measured beside predicted."""

    algorithm: str
    requests: int
    latency: dict[str, Line]
    """p50, p95, p99 in seconds."""
    shares: dict[str, Line]
    """Each backend's share of the successful requests, by name; empty where answers do not say."""
    failed: int
    failed_predicted: float
    late_by: dict[str, float]
    """Mean and quantiles of how much later than intended requests were sent, seconds."""
    invalid: list[str]
    """Why the run says nothing about the proxy; empty when it does."""
    objectives: list[Objective] = field(default_factory=list)
    """Those of the file's [expect], held against the live run."""
    trouble: dict[str, Line] = field(default_factory=dict)
    """Where the file means trouble this is judged, see `ordeal`, and latencies and shares are only
    shown: they have no steady state then."""
    timeline: dict[str, Any] = field(default_factory=dict)
    """Measured and predicted, second by second, where runs change with time."""

    @property
    def judgement(self) -> Judgement:
        if self.invalid:
            return Judgement.INVALID
        lines = (self.trouble or self.latency).values()
        fine = all(line.ok for line in lines) and not self.others_missed
        return Judgement.PASSED if fine else Judgement.MISSED

    @property
    def others_missed(self) -> bool:
        """Whether anything but a latency is off: shares, failures, objectives."""
        objectives = any(objective.answer is not Answer.MET for objective in self.objectives)
        return objectives or not (
            self.trouble
            or (
                all(line.ok for line in self.shares.values())
                and self.failed <= self.failed_predicted + FAILURES * self.requests
            )
        )

    def as_dict(self) -> dict[str, Any]:
        """The object of verdict.json, schema 1."""
        return {
            "schema": 1,
            "verdict": self.judgement.value,
            "algorithm": self.algorithm,
            "requests": self.requests,
            "latency": {name: line.as_dict() for name, line in self.latency.items()},
            "shares": {name: line.as_dict() for name, line in self.shares.items()},
            "failed": {"measured": self.failed, "predicted": self.failed_predicted},
            **(
                {"trouble": {name: line.as_dict() for name, line in self.trouble.items()}}
                if self.trouble
                else {}
            ),
            **({"timeline": self.timeline} if self.timeline else {}),
            "late_by": self.late_by,
            "invalid": self.invalid,
            "objectives_missed": [
                str(objective)
                for objective in self.objectives
                if objective.answer is not Answer.MET
            ],
        }


def predict(scenario: Scenario, schedule: Schedule) -> Result:
    """Simulate one live run of `schedule`, which has one balancer, many times over."""
    alike = {"replications": REPLICATIONS, "warmup": 0.0, "balancers": 1}
    run = scenario.run.model_copy(update=alike)
    return simulate(scenario.model_copy(update={"run": run}), schedule=schedule)


def judge(
    scenario: Scenario, schedule: Schedule, measured: Measurement, predicted: Result | None = None
) -> Verdict:
    """Hold a measurement against the prediction from the same schedule.

    A run that was stopped early is judged on the requests it sent.
    """
    whole = len(schedule)
    schedule, measured = measured.truncated(schedule)
    told = scenario.server.backend_header
    names = [row.label for row in scenario.backends] if told else []
    algorithm = scenario.algorithm.name
    if not len(schedule):
        return Verdict(algorithm, 0, {}, {}, 0, 0.0, {}, ["no request was sent"])
    cut = _cold_start(scenario, schedule)
    if schedule.times[-1] < cut:
        reason = "it ended within its warm-up"
        return Verdict(algorithm, len(schedule), {}, {}, 0, 0.0, {}, [reason])
    if predicted is None or len(schedule) < whole:
        predicted = predict(scenario, schedule)
    records = [record.after(cut) for record in predicted.runs[0].records]
    live = _as_record(schedule, measured).after(cut)

    expected = [latency_metrics(record.latency) for record in records]
    seen = latency_metrics(live.latency)

    def line(name: str, tolerance: float) -> Line:
        return Line(seen[name], prediction([metrics[name] for metrics in expected]), tolerance)

    shares = {
        name: Line(
            _share(live, order),
            prediction([_share(record, order) for record in records]),
            scenario.verdict.share,
        )
        for order, name in enumerate(names)
    }
    lateness = _lateness(schedule, measured, cut)
    seen_fates = measured.fates(schedule)
    fates = [record.fates for record in predicted.runs[0].records]
    verdict = Verdict(
        algorithm=algorithm,
        requests=len(schedule),
        latency={name: line(name, getattr(scenario.verdict, name)) for name in JUDGED},
        shares=shares,
        failed=len(schedule) - int(np.isfinite(measured.ended).sum()),
        failed_predicted=float(
            np.mean([r.requests - r.completed for r in predicted.runs[0].records])
        ),
        late_by=lateness.figures,
        invalid=[],
        objectives=objectives(
            scenario.expect,
            latency_estimates([live.latency])[0],
            steady=predicted.runs[0].steady,
        ),
        trouble=ordeal(scenario, seen_fates, fates, cut),
        timeline={
            "measured": series([seen_fates]).as_dict(),
            "predicted": series(fates).as_dict(),
        }
        if scenario.eventful
        else {},
    )
    if verdict.failed == len(schedule):
        why = "not one request was answered: is the balancer running, are its backends up?"
    elif told and not (measured.backend >= 0).any():
        why = (
            "no answer names one of the backends in X-Backend-Server: is this the balancer of "
            "that file, with [server] backend_header on?"
        )
    elif verdict.trouble:
        why = _slow(verdict, lateness)
    else:
        why = _busy(verdict, line("mean", scenario.verdict.p50), live, lateness)
    return replace(verdict, invalid=[why] if why else [])


def _lateness(schedule: Schedule, measured: Measurement, cut: float) -> Lateness:
    sent = np.isfinite(measured.sent) & (schedule.times >= cut)
    return Lateness(schedule.times[sent], (measured.sent - schedule.times)[sent])


def _slow(verdict: Verdict, lateness: Lateness) -> str:
    """Why this machine was too busy to judge trouble by; nothing when it was not.

    As with `_busy`, it takes less to doubt a miss: what is late loses clients that have patience.
    """
    late = lateness.figures["p99"]
    missed = any(not line.ok for line in verdict.trouble.values())
    if not late > (LATE if missed else TOO_LATE):
        return ""
    return f"this machine was busy: the load generator was late by {late * 1e3:.3g} ms (p99)"


def _busy(verdict: Verdict, mean: Line, live: Record, lateness: Lateness) -> str:
    """Why this machine was too busy to judge by; nothing when it was not.

    A generator later than the verdict is exact cannot support one. One that is less late cannot
    support a miss that the same lateness of proxy and backends would explain.
    """
    lines = {"mean": mean, **verdict.latency}
    late = {name: f"{seconds * 1e3:z.3g} ms" for name, seconds in lateness.figures.items()}
    if worst := lateness.beyond({name: line.room for name, line in lines.items()}):
        told = ", ".join(
            f"{late[name]} ({name}) where {lines[name].room * 1e3:.3g} ms would matter"
            for name in worst
        )
        return f"this machine was busy: the load generator was late by {told}"
    added = lateness.within(live.arrived, live.ended)
    without = latency_metrics(live.latency - added)
    may_add = latency_metrics(added)
    missed = {name: line for name, line in verdict.latency.items() if not line.ok}
    explained = all(
        line.measured > line.most and without[name] <= line.most for name, line in missed.items()
    )
    busy = any(may_add[name] > line.room for name, line in lines.items())
    if not (missed or verdict.others_missed) or not explained:
        return ""
    if verdict.others_missed and not busy:
        return ""
    what = ", ".join(missed) or "what is off"
    return (
        f"this machine was busy: the load generator was late by {late['p50']} at p50 and "
        f"{late['p99']} at p99; balancer and backends as late would explain {what}"
    )


def _cold_start(scenario: Scenario, schedule: Schedule) -> float:
    given = scenario.run.warmup
    return COLD_START * float(schedule.times[-1]) if given is None else given


def _as_record(schedule: Schedule, measured: Measurement) -> Record:
    answered = np.flatnonzero(np.isfinite(measured.ended))
    started, ended = measured.sent[answered], measured.ended[answered]
    return Record(
        requests=len(schedule),
        arrived=schedule.times[answered],
        started=started,
        ended=ended,
        backend=measured.backend[answered],
        reached=started,
        left=ended,
        until=float(schedule.times[-1]),
    )


def _share(record: Record, order: int) -> float:
    return float(np.count_nonzero(record.backend == order) / max(record.completed, 1))


def latencies(
    scenario: Scenario, schedule: Schedule, measured: Measurement, predicted: Result
) -> tuple[Floats, Sequence[Floats]]:
    """Measured latencies, and predicted ones per replication, cut as `judge` cuts them."""
    cut = _cold_start(scenario, schedule)
    live = _as_record(schedule, measured).after(cut).latency
    return live, [record.after(cut).latency for record in predicted.runs[0].records]
