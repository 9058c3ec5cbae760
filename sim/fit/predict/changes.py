"""What a change would do: figures, the gain over the current setting, and whether to believe it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from sim.analysis.forecast import level_of_each
from sim.analysis.objectives import times_as_many
from sim.analysis.statistics import FIGURES, Estimate
from sim.fit.doubt import Bias, Spread, logs, quantile, spread
from sim.fit.predict.gate import Gate
from sim.fit.predict.runs import Plan, Ran, Setting

LEVEL = 0.95
WORSE = 0.001
"""More failed requests than that, as a share of all, are no gain."""
NOTHING = "it changes nothing"
HOPELESS = 400.0
"""Times as long that nobody would record."""


@dataclass(frozen=True)
class Figure:
    """One latency under a setting, seconds."""

    expected: Estimate
    """On traffic like this, corrected by what is known of the model's error; its interval holds all
    that is not sure."""
    modelled: float
    """What the model alone says."""
    one_run: tuple[float, float]
    """Where it lies in one run of this length, 19 times in 20."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        low, high = self.one_run
        told = self.expected.as_dict() or {}
        return {**told, "modelled": self.modelled, "one_run": {"low": low, "high": high}}


class Ejections(NamedTuple):
    """Per run, all backends together."""

    ejected: float
    falsely: float


NONE = Ejections(0.0, 0.0)


@dataclass(frozen=True)
class Outlook:
    """A setting as predicted, the current one or another."""

    name: str
    load: float
    """Offered work over capacity; infinite where nothing is left to serve it."""
    latency: Mapping[str, Figure] = field(default_factory=dict)
    """Empty where it cannot be told, see `overload`."""
    shares: Mapping[str, Estimate] = field(default_factory=dict)
    failed: Estimate | None = None
    ejections: Ejections = NONE
    overload: str = ""
    """Why there are no figures."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "change": self.name,
            "load": self.load if math.isfinite(self.load) else None,
            "latency": {name: it.as_dict() for name, it in self.latency.items()} or None,
            "shares": {name: it.as_dict() for name, it in self.shares.items()} or None,
            "failed": None if self.failed is None else self.failed.as_dict(),
            "ejections": {"per_run": self.ejections.ejected, "false": self.ejections.falsely},
            "overload": self.overload or None,
        }


@dataclass(frozen=True)
class Change:
    """One what-if beside the current setting."""

    outlook: Outlook
    metric: str
    beside: str = ""
    """The change it is held against: the same circumstances without a choice; empty is the current
    setting."""
    changes: Mapping[str, Estimate] = field(default_factory=dict)
    """Relative, by figure: -0.4 is 40 % less."""
    family: Estimate | None = None
    """That of `metric`, its interval as wide as all changes of the prediction together make it."""
    distinguishable: bool = False
    """Whether it can be told from no change."""
    told: bool = False
    """Whether anything can be said of it: that it is better, by more than the model's own error, or
    worse, or cannot be carried."""
    recommended: bool = False
    why: str = ""
    circumstance: bool = False
    """Whether nobody chooses it: how much traffic there is, or who is lost."""

    @property
    def gain(self) -> Estimate | None:
        """How much less `metric` becomes, relative."""
        change = self.changes.get(self.metric)
        if change is None or change.low is None or change.high is None:
            return None
        return Estimate(-change.value, -change.high, -change.low)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        gain = self.gain
        return {
            **self.outlook.as_dict(),
            "beside": self.beside or None,
            "relative": {name: it.as_dict() for name, it in self.changes.items()} or None,
            "gain": None if gain is None else {"metric": self.metric, **(gain.as_dict() or {})},
            "distinguishable": self.distinguishable,
            "recommended": self.recommended,
            "why": self.why,
        }


def outlook(
    plan: Plan, setting: Setting, name: str, load: float, biases: Mapping[str, Bias]
) -> Outlook:
    """Of a setting that has been simulated; the first of `plan` is the current one."""
    rows = setting.scenario.backends
    latency = {}
    for figure in FIGURES:
        runs = logs(setting.figure(figure))
        if not np.isfinite(setting.figure(figure)).all():
            continue
        told = _log(figure)
        known = biases[figure]
        doubt = plan.spread(setting, told)
        value, own = _known(plan, setting, figure, known)
        centre = float(runs.mean()) + value
        more = known.deviation**2 + own
        one = doubt.interval(centre, more + float(runs.var(ddof=1)), LEVEL, len(runs))
        low, high, _, _ = doubt.interval(centre, more, LEVEL, len(runs))
        latency[figure] = Figure(
            Estimate(math.exp(centre), math.exp(low), math.exp(high)),
            math.exp(float(runs.mean())),
            (math.exp(one[0]), math.exp(one[1])),
        )
    shares = {
        row.label: _share(plan, setting, partial(_share_of, at)) for at, row in enumerate(rows)
    }
    ejected = [tuple(map(sum, zip(*run.ejected, strict=True))) for run in setting.runs]
    often, falsely = np.mean(ejected, axis=0).tolist()
    return Outlook(
        name,
        load,
        latency,
        shares,
        _share(plan, setting, lambda run: run.sample.lost),
        Ejections(often, falsely),
    )


def _known(plan: Plan, setting: Setting, figure: str, known: Bias) -> tuple[float, float]:
    """The model's error there, and the variance of what is its own: none where it was seen."""
    now = plan.settings[0]
    if setting is now:
        return known.value, 0.0
    times = logs(setting.figure(figure)).mean() - logs(now.figure(figure)).mean()
    return known.at(math.exp(float(times)) if math.isfinite(times) else 1.0)


def compared(
    plan: Plan,
    now: Setting,
    other: Setting,
    view: Outlook,
    metric: str,
    biases: Mapping[str, Bias],
    gate: Gate,
    family: int,
) -> Change:
    """`other`, whose outlook is `view`, beside the current setting; `family`: of how many."""
    changes, spreads, centres, owns = {}, {}, {}, {}
    for figure in FIGURES:
        a, b = now.figure(figure), other.figure(figure)
        if not (np.isfinite(a).all() and np.isfinite(b).all()):
            continue
        runs = logs(b) - logs(a)
        doubt = spreads[figure] = plan.spread(other, _log(figure), now)
        value, own = _known(plan, other, figure, biases[figure])
        before, _ = _known(plan, now, figure, biases[figure])
        owns[figure] = own
        centre = centres[figure] = float(runs.mean()) + value - before
        low, high, _, _ = doubt.interval(centre, own, LEVEL, len(runs))
        changes[figure] = Estimate(math.expm1(centre), math.expm1(low), math.expm1(high))
    if metric not in changes:
        return Change(view, metric, "", changes, told=True, why="no request succeeds")
    centre, own = centres[metric], owns[metric]
    n = len(now.runs)
    low, high, *_ = spreads[metric].interval(centre, own, level_of_each(family), n)
    whole = Estimate(math.expm1(centre), math.expm1(low), math.expm1(high))
    apart = low > 0 or high < 0
    takes = "" if apart else _takes(plan, now, other, metric, centre, spreads[metric], own)
    why = _why(view, whole, apart, centre, spreads[metric], takes, gate, metric)
    lost = _more_lost(plan, now, other)
    better = gate.passed and high < 0 and -whole.value > _own(gate, metric)
    told_of = better or (gate.passed and low > 0)
    if lost and gate.passed:  # whatever becomes of the latency of the others
        worse = apart and whole.value > 0
        told_of, better, why = True, False, f"{why}; {lost}" if worse else lost
    return Change(view, metric, "", changes, whole, apart, told_of, better, why)


def rescued(change: Change, gate: Gate) -> Change:
    """`change`, with which the backends keep up where without it they would not."""
    return replace(
        change,
        changes={},
        distinguishable=True,
        told=gate.passed,
        recommended=gate.passed,
        why="the backends keep up, and without it they would not" if gate.passed else gate.why,
    )


def _own(gate: Gate, metric: str) -> float:
    error = gate.error(metric)
    return 0.0 if math.isnan(error) else error


def _why(
    view: Outlook,
    whole: Estimate,
    apart: bool,
    centre: float,
    doubt: Spread,
    takes: str,
    gate: Gate,
    metric: str,
) -> str:
    if not gate.passed:
        return gate.why
    if not apart and not centre and not doubt.chance:
        return NOTHING
    if not apart:
        return f"cannot be told from no change; {takes}"
    if whole.value > 0:
        return f"{metric} would be higher"
    if -whole.value <= _own(gate, metric):
        return (
            f"a gain of {-whole.value:.1%} is less than the model's own error of "
            f"{_own(gate, metric):.1%}"
        )
    return f"{metric} would be lower"


def _takes(
    plan: Plan, now: Setting, other: Setting, metric: str, centre: float, doubt: Spread, own: float
) -> str:
    """What would tell the change from none: longer recordings narrow what they decide alone."""
    toward = doubt.unknown[1] if centre < 0 else -doubt.unknown[0]
    away = abs(centre) - toward
    z = quantile(LEVEL, len(now.runs))
    fixed, shrinks = own, doubt.chance + max(doubt.parameters)
    left = (away / z) ** 2 - fixed
    times = shrinks / left if left > 0 else math.inf
    least = z * math.sqrt(max(fixed, shrinks))
    if toward and (away <= 0 or (times > HOPELESS and toward > least)):
        what = plan.hangs_on(other, _log(metric), now, -math.copysign(1.0, centre))
        return f"it hangs on what could not be identified: {what}"
    if times > HOPELESS and fixed > shrinks:
        return "it is smaller than a model can be trusted"
    if times > HOPELESS:
        return "too close for any recording to tell"
    return f"a recording {times_as_many(times)} times as long would tell"


def _more_lost(plan: Plan, now: Setting, other: Setting) -> str:
    """Why it is no gain, where more requests fail."""
    runs = other.of(lambda run: run.sample.lost) - now.of(lambda run: run.sample.lost)
    doubt = spread(runs, (0.0, 0.0))
    low, *_ = doubt.interval(float(runs.mean()), 0.0, LEVEL, len(runs))
    if low <= 0 or float(runs.mean()) <= WORSE:
        return ""
    before, after = (float(it.of(lambda run: run.sample.lost).mean()) for it in (now, other))
    return f"more requests would fail, {after:.2%} in place of {before:.2%}"


def _log(figure: str) -> Callable[[Ran], float]:
    return lambda run: float(logs([run.figures[figure]])[0])


def _share_of(place: int, run: Ran) -> float:
    return float(run.sample.shares[place])


def _share(plan: Plan, setting: Setting, told: Callable[[Ran], float]) -> Estimate:
    runs = setting.of(told)
    doubt = plan.spread(setting, told)
    centre = float(runs.mean())
    low, high, _, _ = doubt.interval(centre, 0.0, LEVEL, len(runs))
    return Estimate(centre, max(low, 0.0), min(high, 1.0))
