"""A live run beside its prediction: did the proxy do what the simulator said it would?

The simulator replays the very schedule that was sent, so both sides had the same arrivals, sizes
and keys. What is left open, ties, network delays and whom a fault strikes, gives the intervals for
one run of that length: nineteen in twenty lie within all that are judged together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

import numpy as np

from lb.config import Scenario
from sim.analysis.fates import series
from sim.analysis.forecast import forecast, forecast_count, level_of_each
from sim.analysis.intervals import latency_estimates
from sim.analysis.objectives import Answer, Objective, objectives
from sim.analysis.record import Record
from sim.analysis.statistics import Estimate, latency_metrics
from sim.experiment import simulate
from sim.live.doubt import UNANSWERED, UNNAMED, busy, slow
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
    failures: Line
    """Requests without a good answer."""
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
            self.trouble or all(line.ok for line in (*self.shares.values(), self.failures))
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
            "failed": self._failures_as_dict(),
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

    def _failures_as_dict(self) -> dict[str, Any]:
        line = self.failures.as_dict()
        value, low, high = line.pop("predicted").values()
        return {
            **line,
            "measured": int(line["measured"]),
            "predicted": value,
            "low": low,
            "high": high,
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
        return _nothing(algorithm, 0, "no request was sent")
    cut = _cold_start(scenario, schedule)
    if schedule.times[-1] < cut:
        return _nothing(algorithm, len(schedule), "it ended within its warm-up")
    if predicted is None or len(schedule) < whole:
        predicted = predict(scenario, schedule)
    whole_records = predicted.runs[0].records
    records = [record.after(cut) for record in whole_records]
    live = _as_record(schedule, measured).after(cut)
    fates, seen_fates = [record.fates for record in whole_records], measured.fates(schedule)
    trouble = ordeal(scenario, seen_fates, fates, cut)

    level = level_of_each(len(JUDGED) + len(names) + 1)
    expected = [latency_metrics(record.latency) for record in records]
    seen = latency_metrics(live.latency)
    allowed = scenario.verdict

    def line(name: str, tolerance: float) -> Line:
        return Line(seen[name], forecast([it[name] for it in expected], level), tolerance)

    shares = {
        name: Line(
            _share(live, order),
            forecast([_share(record, order) for record in records], level),
            allowed.share,
        )
        for order, name in enumerate(names)
    }
    lost = [record.requests - record.completed for record in whole_records]
    lateness = _lateness(schedule, measured, cut)
    verdict = Verdict(
        algorithm=algorithm,
        requests=len(schedule),
        latency={name: line(name, getattr(allowed, name)) for name in JUDGED},
        shares=shares,
        failures=Line(
            float(np.count_nonzero(~seen_fates.good)), forecast_count(lost, level), allowed.failed
        ),
        late_by=lateness.figures,
        invalid=[],
        objectives=objectives(
            scenario.expect,
            _told_of_itself(live, {name: line(name, 0.0) for name in seen}),
            steady=predicted.runs[0].steady,
        ),
        trouble=trouble,
        timeline={
            "measured": series([seen_fates]).as_dict(),
            "predicted": series(fates).as_dict(),
        }
        if scenario.eventful
        else {},
    )
    answered = bool(seen_fates.good.any())
    if not answered and verdict.failures.predicted.value < len(schedule):
        why = UNANSWERED
    elif answered and told and not (measured.backend >= 0).any():
        why = UNNAMED
    elif trouble:
        why = slow(trouble, lateness)
    else:
        mean = line("mean", allowed.p50)
        why = busy(verdict.latency, verdict.others_missed, mean, live, lateness)
    return replace(verdict, invalid=[why] if why else [])


def _nothing(algorithm: str, requests: int, why: str) -> Verdict:
    return Verdict(
        algorithm, requests, {}, {}, Line(0.0, Estimate(0.0, None, None), 0.0), {}, [why]
    )


def _lateness(schedule: Schedule, measured: Measurement, cut: float) -> Lateness:
    sent = np.isfinite(measured.sent) & (schedule.times >= cut)
    return Lateness(schedule.times[sent], (measured.sent - schedule.times)[sent])


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


def _told_of_itself(live: Record, lines: Mapping[str, Line]) -> dict[str, Estimate]:
    """Latencies of a run with their intervals, whatever it says of others.

    Where it is too short to tell how exact a figure is, the spread of runs like it does.
    """
    estimates = latency_estimates([live.latency])[0]
    for name, line in lines.items():
        low, value, high = line.predicted.low, line.predicted.value, line.predicted.high
        untold = estimates[name].needs is not None and line.judged and value > 0
        if untold and low is not None and high is not None:
            scale = line.measured / value
            estimates[name] = Estimate(line.measured, scale * low, scale * high)
    return estimates


def _share(record: Record, order: int) -> float:
    return float(np.count_nonzero(record.backend == order) / max(record.completed, 1))


def latencies(
    scenario: Scenario, schedule: Schedule, measured: Measurement, predicted: Result
) -> tuple[Floats, Sequence[Floats]]:
    """Measured latencies, and predicted ones per replication, cut as `judge` cuts them."""
    cut = _cold_start(scenario, schedule)
    live = _as_record(schedule, measured).after(cut).latency
    return live, [record.after(cut).latency for record in predicted.runs[0].records]
