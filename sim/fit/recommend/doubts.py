"""How far a calibrated model may be off by itself, in what is answered in absolute terms.

Contenders are compared on one model, whose error they share; whether a bound is met they are not.
What a prediction takes a model's own error to be (`sim.fit.doubt`) is taken here too, and
so is what the intervals of its parameters leave open, both as factors of a latency. The file's own
algorithm at today's traffic stands for the others.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lb.config import Calibration, Scenario
from sim.analysis.statistics import Estimate
from sim.fit.doubt import LEAST, told
from sim.fit.parameters import OF_INTERVAL, sets, variances
from sim.fit.recommend.aims import LATENCIES, Aim
from sim.fit.recommend.sampling import Observation, Sampler, Setting, of_length, suited
from sim.fit.recommend.scores import figure
from sim.fit.unidentified import at

STANDS_FOR = {"p90": "p95", "p999": "p99"}
"""Whose error is taken for that of a figure that no calibration compares."""
SHARE = 0.1
"""Of the budget that the intervals of parameters may take."""
SHORTEST = 500
"""Requests of a replication with parameters drawn."""


@dataclass(frozen=True)
class Doubt:
    """Of a model."""

    deviations: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Standard deviations of a latency's logarithm below and above, by figure; those that are
    aimed at."""
    lacking: bool = False
    """Whether the budget was too small for what the intervals of parameters do."""

    def widened(self, metric: str, seen: Estimate) -> Estimate:
        """With the model's error in its interval."""
        down, up = self.deviations.get(metric, (0.0, 0.0))
        value, low, high = seen.value, seen.low, seen.high
        if not (down or up) or low is None or high is None or not value > 0:
            return seen
        if not math.isfinite(value):
            return seen
        least = math.log(value / low) if low > 0 else math.inf
        most = math.log(high / value)
        low = value * math.exp(-math.hypot(least, OF_INTERVAL * down))
        high = value * math.exp(math.hypot(most, OF_INTERVAL * up))
        return Estimate(value, low, high, seen.needs)

    def of(self, aims: Iterable[Aim]) -> tuple[float, float]:
        """How much less and how much more of the bounds may be used, the largest of them; standard
        deviations of the logarithm.
        """
        found = [self.deviations.get(aim.metric, (0.0, 0.0)) for aim in aims]
        return max((it[0] for it in found), default=0.0), max((it[1] for it in found), default=0.0)

    def as_dict(self) -> dict[str, Any] | None:
        """For JSON: by figure, how much less and more the truth may be, relative, at 95 %."""
        told_of = {
            name: {"low": math.expm1(-OF_INTERVAL * down), "high": math.expm1(OF_INTERVAL * up)}
            for name, (down, up) in self.deviations.items()
        }
        return told_of or None

    def most(self, metric: str) -> float:
        """By what share the truth may be above the model, at 95 %."""
        return math.expm1(OF_INTERVAL * self.deviations.get(metric, (0.0, 0.0))[1])


NONE = Doubt()
"""Of a model that nobody has measured."""


def doubt(sampler: Sampler, scenario: Scenario, algorithm: str, aims: Sequence[Aim]) -> Doubt:
    """By the file's [calibration]; `NONE` without one."""
    calibration = scenario.calibration
    latencies = [aim for aim in aims if aim.metric in LATENCIES]
    if calibration is None or not latencies:
        return NONE
    own = {aim.metric: _own(calibration, aim.metric) for aim in latencies}
    open_ = _parameters(sampler, scenario, algorithm, latencies)
    deviations = {}
    for name, deviation in own.items():
        down, up = (0.0, 0.0) if open_ is None else open_[name]
        deviations[name] = (math.sqrt(deviation**2 + down), math.sqrt(deviation**2 + up))
    return Doubt(deviations, open_ is None)


def model_error(scenario: Scenario, aims: Sequence[Aim]) -> Doubt:
    """What the file says of it alone: nothing is simulated, where lines would grow for ever."""
    known = scenario.calibration
    if known is None:
        return NONE
    names = [aim.metric for aim in aims if aim.metric in LATENCIES]
    return Doubt({name: (_own(known, name), _own(known, name)) for name in names})


def _own(calibration: Calibration, metric: str) -> float:
    name = STANDS_FOR.get(metric, metric)
    error = None if calibration.error is None else getattr(calibration.error, name)
    return 0.0 if error is None else told(name, error).deviation


def _parameters(
    sampler: Sampler, scenario: Scenario, algorithm: str, aims: Sequence[Aim]
) -> dict[str, tuple[float, float]] | None:
    """Variances below and above, by figure; None where the budget is too small."""
    drawn = sets(scenario.calibration, scenario.run.seed)
    if not len(drawn):
        return {aim.metric: (0.0, 0.0) for aim in aims}
    each = sampler.left(SHARE) / (len(drawn) * 1.5)  # a set, its mirror image, and neither
    changing = scenario.changing
    if each < (scenario.length * scenario.rate if changing else SHORTEST):
        return None
    there = of_length(scenario, None if changing else int(min(each, suited(scenario))))
    settings = []
    for place, keys in enumerate(drawn.keys):
        mine = _with_luck(there, place // 2)
        settings += [] if place % 2 else [Setting(mine, algorithm)]
        settings.append(Setting(at(mine, keys), algorithm))
    seen = sampler.observe(settings, 1)
    for setting in settings:
        sampler.drop(setting)
    found = {}
    for aim in aims:
        logs = np.array([_log(one, aim) for one in seen]).reshape(-1, 3)
        found[aim.metric] = variances(drawn.luck, (logs[:, 1:] - logs[:, :1]).ravel())
    return found


def _with_luck(scenario: Scenario, pair: int) -> Scenario:
    return scenario.with_run(seed=scenario.run.seed + 1 + pair)


def _log(seen: Sequence[Observation], aim: Aim) -> float:
    value, _ = figure(seen, aim)
    return math.log(max(value, LEAST))
