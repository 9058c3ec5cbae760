"""A live run beside its prediction: did the proxy do what the simulator said it would?

The simulator replays the very schedule that was sent, so both sides had the same arrivals, sizes
and keys. What is left open, ties, network delays and whom a fault strikes, gives the intervals for
one run of that length: nineteen in twenty lie within all that are judged together. Users who wait
for their answers have no schedule: there all that chance decides is left open.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from lb.config import DEFAULT_REQUESTS, Scenario
from sim.analysis.distances import Distance, Error, errors
from sim.analysis.fates import series
from sim.analysis.forecast import forecast, level_of_each
from sim.analysis.intervals import latency_estimates
from sim.analysis.objectives import Answer, Objective, objectives
from sim.analysis.statistics import Estimate, latency_metrics
from sim.experiment import simulate
from sim.live.by_phase import PhaseVerdict
from sim.live.cause import Cause, cause, excuse
from sim.live.doubt import UNANSWERED, UNNAMED, doubt, too_few
from sim.live.held import Held, held
from sim.live.line import OF_LATENCY, Line, needed
from sim.live.measurement import Measurement
from sim.live.parts import Parts, parts
from sim.live.seen import Seen
from sim.live.turns import as_it_stood
from sim.live.witnesses import witnesses
from sim.model.arrivals import Schedule, streams
from sim.model.laws import Floats
from sim.result import Result

REPLICATIONS = 30
"""Simulations behind a prediction."""
JOSTLED = 1e-4
"""Seconds within which requests may change places on their way: of 100 a second one in two hundred
does so on loopback."""
COLD_START = 0.05
"""Share of a run that is not judged on either side, unless the file gives a warm-up: connections
are being opened."""
ENOUGH = 0.9
"""Share of its time after which users' last request of a run may come; one that ends sooner was
stopped."""


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
    """Where the file means trouble this is judged, see `ordeal`, and each phase; latencies and
    shares of the whole are only shown: they have no steady state then."""
    timeline: dict[str, Any] = field(default_factory=dict)
    """Measured and predicted, second by second, where runs change with time."""
    misses: tuple[str, ...] | None = None
    """All that is off, by name, but objectives; None where it is told by the lines above."""
    distribution: Distance | None = None
    """Of all latencies together."""
    quantiles: dict[str, Error] = field(default_factory=dict)
    """How far their mean and quantiles are off, relative, each with its own 95 % interval."""
    backends: dict[str, dict[str, Line]] = field(default_factory=dict)
    """p50 and p95 of each backend's clients while all is calm, and the mean of its own work."""
    errors: dict[str, Line] = field(default_factory=dict)
    """Failures by kind."""
    phases: list[PhaseVerdict] = field(default_factory=list)
    """Before, during and after trouble, or step by step."""
    parts: Parts | None = None
    """Where the latency was spent, where backends say how long they had a request."""
    cause: Cause | None = None
    """Where a miss comes from, or what makes a run invalid."""
    untold: dict[str, int] = field(default_factory=dict)
    """Figures that this run has too few answers for, and how many they take."""

    @property
    def judgement(self) -> Judgement:
        if self.invalid:
            return Judgement.INVALID
        return Judgement.MISSED if self.off else Judgement.PASSED

    @property
    def off(self) -> list[str]:
        """All that is off, by name."""
        found = list(self._off() if self.misses is None else self.misses)
        return found + [
            f"objective {one.metric}" for one in self.objectives if one.answer is not Answer.MET
        ]

    def _off(self) -> list[str]:
        if self.trouble:
            return [name for name, line in self.trouble.items() if not line.ok]
        shares = {f"share of {name}": line for name, line in self.shares.items()}
        lines = {**self.latency, **shares, "failed": self.failures}
        return [name for name, line in lines.items() if not line.ok]

    def as_dict(self) -> dict[str, Any]:
        """The object of verdict.json, schema 1."""
        return {
            "schema": 1,
            "verdict": self.judgement.value,
            "algorithm": self.algorithm,
            "requests": self.requests,
            "latency": _lines(self.latency),
            "shares": _lines(self.shares),
            "failed": self._failures_as_dict(),
            "distribution": self._distribution_as_dict(),
            "backends": {name: _lines(lines) for name, lines in self.backends.items()},
            "errors": _lines(self.errors),
            "phases": [phase.as_dict() for phase in self.phases],
            "parts": None if self.parts is None else self.parts.as_dict(),
            **({"trouble": _lines(self.trouble)} if self.trouble else {}),
            **({"timeline": self.timeline} if self.timeline else {}),
            "late_by": self.late_by,
            "invalid": self.invalid,
            "too_few": self.untold,
            "misses": self.off,
            "cause": None if self.cause is None else self.cause.as_dict(),
            "objectives_missed": [
                str(objective)
                for objective in self.objectives
                if objective.answer is not Answer.MET
            ],
        }

    def _distribution_as_dict(self) -> dict[str, Any] | None:
        if self.distribution is None:
            return None
        told = {name: error.as_dict() for name, error in self.quantiles.items()}
        return {**self.distribution.as_dict(), "quantiles": told}

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


def _lines(lines: Mapping[str, Line]) -> dict[str, Any]:
    return {name: line.as_dict() for name, line in lines.items()}


def predict(
    scenario: Scenario,
    schedule: Schedule | None = None,
    balancers: int = 1,
    *,
    heeded: bool = True,
) -> Result:
    """Simulate one live run with so many balancers many times over: of `schedule`, or of users.

    Users' runs are independent ones: what they think and what their requests take differs. So does
    the work of each run of a schedule where backends have not `heeded` what they were sent; runs of
    the same work differ by who of those that come at once is there first.
    """
    alike = scenario.with_run(replications=REPLICATIONS, warmup=0.0, balancers=balancers)

    def vary(sent: Schedule, replication: int) -> Schedule:
        found = sent if heeded else sent.reworked(scenario, replication)
        return found.jostled(streams(scenario.run.seed, replication, "jostled")[0], JOSTLED)

    return simulate(alike, schedule=schedule, vary=vary)


def judge(
    scenario: Scenario,
    schedule: Schedule | None,
    measured: Measurement,
    predicted: Result | None = None,
) -> Verdict:
    """Hold a measurement against the prediction from the same schedule; what users saw, who have
    none, against independent runs of such users.

    A run that was stopped early is judged on the requests it sent, or on the time it lasted.
    """
    if schedule is None:
        return _of_users(scenario, measured, predicted)
    whole = len(schedule)
    schedule, measured = measured.truncated(schedule)
    schedule, heeded = as_it_stood(scenario, schedule, measured), measured.heeded
    otherwise = len(schedule) < whole or schedule.before or not heeded
    if predicted is not None and len(schedule) and otherwise:
        balancers = predicted.scenario.run.balancers
        predicted = predict(scenario, schedule, balancers, heeded=heeded)
    return _judged(scenario, schedule, measured, predicted)


def _of_users(scenario: Scenario, measured: Measurement, predicted: Result | None) -> Verdict:
    measured = measured.by_arrival()
    due = measured.due_by(None)
    run = scenario.run
    wanted = math.inf if run.requests is None else run.requests
    if run.requests is None and run.duration is None:
        wanted = DEFAULT_REQUESTS
    lasted = float(due[-1]) if len(due) else 0.0
    early = len(due) < wanted and (run.duration is None or lasted < ENOUGH * run.duration)
    if early and len(due):
        scenario = scenario.with_run(duration=lasted, requests=None)
        balancers = 1 if predicted is None else predicted.scenario.run.balancers
        predicted = predict(scenario, None, balancers)
    return _judged(scenario, None, measured, predicted)


def _judged(
    scenario: Scenario, schedule: Schedule | None, measured: Measurement, predicted: Result | None
) -> Verdict:
    algorithm = scenario.algorithm.name
    due = measured.due_by(schedule)
    if not len(due):
        return _nothing(algorithm, 0, "no request was sent")
    cut = _cold_start(scenario, due)
    if due[-1] < cut:
        return _nothing(algorithm, len(due), "it ended within its warm-up")
    if predicted is None:
        predicted = predict(scenario, schedule, heeded=measured.heeded)
    seen = Seen(scenario, schedule, measured, predicted.runs[0].records, cut)
    told = scenario.server.backend_header
    names = [row.label for row in scenario.backends] if told else []
    found = held(seen, names)
    verdict = Verdict(
        algorithm=algorithm,
        requests=len(due),
        latency=found.latency,
        shares=found.shares,
        failures=found.failures,
        late_by=seen.lateness.figures,
        invalid=[],
        objectives=objectives(
            scenario.expect, _told_of_itself(seen, found), steady=predicted.runs[0].steady
        ),
        trouble=found.trouble,
        timeline=_timeline(seen) if scenario.eventful else {},
        misses=tuple(found.misses),
        distribution=found.distribution,
        quantiles=errors(seen.live.latency, [record.latency for record in seen.records]),
        backends=found.backends,
        errors=found.errors,
        phases=found.phases,
        parts=parts(seen),
        untold={name: needed(name) for name in OF_LATENCY if len(seen.live.arrived) < needed(name)},
    )
    answered = bool(seen.fates.good.any())
    why = too_few(found, seen)
    if not answered and found.failures.predicted.value < len(due):
        why = UNANSWERED
    elif answered and told and not (measured.backend >= 0).any():
        why = UNNAMED
    elif busy := doubt(found, seen, lambda other: held(other, names)):
        why = busy
        verdict = replace(verdict, cause=excuse(busy))
    elif verdict.off and not why:
        known = witnesses(seen, found, names, verdict.parts, verdict.off)
        verdict = replace(verdict, cause=cause(known))
    return replace(verdict, invalid=[why] if why else [])


def _nothing(algorithm: str, requests: int, why: str) -> Verdict:
    return Verdict(
        algorithm, requests, {}, {}, Line(0.0, Estimate(0.0, None, None), 0.0), {}, [why]
    )


def _timeline(seen: Seen) -> dict[str, Any]:
    paper = [record.fates for record in seen.whole]
    return {"measured": series([seen.fates]).as_dict(), "predicted": series(paper).as_dict()}


def _cold_start(scenario: Scenario, due: Floats) -> float:
    given = scenario.run.warmup
    return COLD_START * float(due[-1]) if given is None else given


def _told_of_itself(seen: Seen, found: Held) -> dict[str, Estimate]:
    """Latencies of a run with their intervals, whatever it says of others.

    Where it is too short to tell how exact a figure is, the spread of runs like it does.
    """
    live = seen.live.latency
    estimates, metrics = latency_estimates([live])[0], latency_metrics(live)
    paper = [latency_metrics(record.latency) for record in seen.records]
    level = level_of_each(len(OF_LATENCY))
    for name, value in metrics.items():
        spread = forecast([one[name] for one in paper], level)
        if name in found.latency:
            spread = found.latency[name].predicted
        low, typical, high = spread.low, spread.value, spread.high
        untold = estimates[name].needs is not None and typical > 0 and math.isfinite(value)
        if untold and low is not None and high is not None:
            scale = value / typical
            estimates[name] = Estimate(value, scale * low, scale * high)
    return estimates


def latencies(
    scenario: Scenario, schedule: Schedule | None, measured: Measurement, predicted: Result
) -> tuple[Floats, Sequence[Floats]]:
    """Measured latencies, and predicted ones per replication, cut as `judge` cuts them."""
    cut = _cold_start(scenario, measured.due_by(schedule))
    seen = Seen(scenario, schedule, measured, predicted.runs[0].records, cut)
    return seen.live.latency, [record.latency for record in seen.records]
