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
from sim.fit.doubt import Bias, logs, quantile
from sim.fit.predict.failures import WORSE, Moved, error_at, failed, less_or_more, moved
from sim.fit.predict.gate import Gate
from sim.fit.predict.runs import Plan, Ran, Setting
from sim.fit.sample import FAILED

LEVEL = 0.95
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

    def told(self, metric: str) -> tuple[float, float]:
        """To be ranked by: less is better, and of equal ones the p99."""
        latency = {name: it.expected.value for name, it in self.latency.items()}
        assert self.failed is not None
        asked = self.failed.value if metric == FAILED else latency[metric]
        return asked, latency.get("p99", math.inf)

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
    failed: Estimate | None = None
    """How many more requests fail, as a share of all."""
    family: Estimate | None = None
    """That of `metric`, its interval as wide as all changes of the prediction together make it."""
    distinguishable: bool = False
    """Whether it can be told from no change."""
    told: bool = False
    """Whether anything can be said of it: that it is better, by more than the model's own error, or
    worse, or cannot be carried."""
    recommended: bool = False
    why: str = ""
    choice: str = ""
    """What somebody would do of it, in words."""
    circumstance: bool = False
    """Whether nobody chooses it: how much traffic there is, or who is lost."""

    @property
    def gain(self) -> Estimate | None:
        """How much less `metric` becomes, relative, or the share of the requests that fail."""
        change = self.failed if self.metric == FAILED else self.changes.get(self.metric)
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
            "failed_change": None if self.failed is None else self.failed.as_dict(),
            "gain": None if gain is None else {"metric": self.metric, **(gain.as_dict() or {})},
            "distinguishable": self.distinguishable,
            "recommended": self.recommended,
            "why": self.why,
        }


def outlook(
    plan: Plan, setting: Setting, name: str, load: float, biases: Mapping[str, Bias], gate: Gate
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
    before, share = (float(it.of(failed).mean()) for it in (plan.settings[0], setting))
    ejected = [tuple(map(sum, zip(*run.ejected, strict=True))) for run in setting.runs]
    often, falsely = np.mean(ejected, axis=0).tolist()
    return Outlook(
        name,
        load,
        latency,
        shares,
        _share(plan, setting, failed, error_at(gate, before, share)),
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
    moves = {FAILED: moved(plan, now, other, gate)}
    for figure in FIGURES:
        a, b = now.figure(figure), other.figure(figure)
        if not (np.isfinite(a).all() and np.isfinite(b).all()):
            continue
        value, own = _known(plan, other, figure, biases[figure])
        before, _ = _known(plan, now, figure, biases[figure])
        centre = float((logs(b) - logs(a)).mean()) + value - before
        moves[figure] = Moved(centre, plan.spread(other, _log(figure), now), own, len(now.runs))
    changes = {name: it.at(LEVEL) for name, it in moves.items()}
    failed = changes.pop(FAILED)
    relative = {name: _relative(it) for name, it in changes.items()}
    found = Change(view, metric, "", relative, failed)
    if metric not in moves:
        return replace(found, told=True, why="no request succeeds")
    mine = moves[metric]
    whole = mine.at(level_of_each(family))
    whole = whole if metric == FAILED else _relative(whole)
    apart = surely(whole) != 0
    own = _own(gate, metric)
    takes = "" if apart else _takes(plan, now, other, metric, mine)
    return replace(
        found,
        family=whole,
        distinguishable=apart,
        told=gate.passed and (surely(whole) > 0 or (apart and -whole.value > own)),
        recommended=gate.passed and surely(whole) < 0 and -whole.value > own,
        why=_why(whole, mine, takes, gate, metric, less_or_more(now, other)),
    )


def with_the_rest(plan: Plan, change: Change, now: Setting, other: Setting, gate: Gate) -> Change:
    """`change` with what else becomes of requests, which may matter more than what was asked.

    That more would fail counts by what is simulated alone: a model that is off is no excuse.
    """
    failed, why, slower = change.failed, change.why, change.changes.get("p99")
    if failed is None or not gate.passed:
        return change
    if change.metric == FAILED:
        if change.recommended and slower is not None and surely(slower) > 0:
            why = f"{why}; p99 would be {slower.value:.0%} higher"
        return replace(change, why=why)
    counted = less_or_more(now, other)
    simulated = moved(plan, now, other, gate)._replace(own=0.0).at(LEVEL)
    # Whatever becomes of the latency of the others.
    if surely(simulated) > 0 and failed.value > WORSE:
        worse = change.family is not None and surely(change.family) > 0
        why = f"{why}; {counted}" if worse else counted
        return replace(change, told=True, recommended=False, why=why)
    if surely(failed) < 0 and -failed.value > max(WORSE, _own(gate, FAILED)):
        return replace(change, told=True, why=f"{why}; {counted}")
    return change


def rescued(change: Change, gate: Gate) -> Change:
    """`change`, with which the backends keep up where without it they would not."""
    return replace(
        change,
        changes={},
        failed=None,
        distinguishable=True,
        told=gate.passed,
        recommended=gate.passed,
        why="the backends keep up, and without it they would not" if gate.passed else gate.why,
    )


def _own(gate: Gate, metric: str) -> float:
    error = gate.error(metric)
    return 0.0 if math.isnan(error) else error


def _why(whole: Estimate, mine: Moved, takes: str, gate: Gate, metric: str, counted: str) -> str:
    own, gain = _own(gate, metric), -whole.value
    if not gate.passed:
        return gate.why
    if not surely(whole) and not mine.centre and not mine.doubt.chance:
        return "as many requests would fail" if metric == FAILED else NOTHING
    if not surely(whole):
        return f"cannot be told from no change; {takes}"
    if 0 < gain <= own:
        told = (f"{it * 100:.2g} points" if metric == FAILED else f"{it:.1%}" for it in (gain, own))
        return "a gain of {} is less than the model's own error of {}".format(*told)
    if metric == FAILED:
        return counted
    return f"{metric} would be {'lower' if gain > 0 else 'higher'}"


def _takes(plan: Plan, now: Setting, other: Setting, metric: str, mine: Moved) -> str:
    """What would tell the change from none: longer recordings narrow what they decide alone."""
    centre, doubt = mine.centre, mine.doubt
    toward = doubt.unknown[1] if centre < 0 else -doubt.unknown[0]
    away = abs(centre) - toward
    z = quantile(LEVEL, mine.runs)
    fixed, shrinks = mine.own, doubt.chance + max(doubt.parameters)
    left = (away / z) ** 2 - fixed
    times = shrinks / left if left > 0 else math.inf
    least = z * math.sqrt(max(fixed, shrinks))
    if toward and (away <= 0 or (times > HOPELESS and toward > least)):
        told = failed if metric == FAILED else _log(metric)
        what = plan.hangs_on(other, told, now, -math.copysign(1.0, centre))
        return f"it hangs on what could not be identified: {what}"
    if times > HOPELESS and fixed > shrinks:
        return "it is smaller than a model can be trusted"
    if times > HOPELESS:
        return "too close for any recording to tell"
    return f"a recording {times_as_many(times)} times as long would tell"


def surely(it: Estimate) -> int:
    """1 where it is above zero with its whole interval, -1 below, 0 where that cannot be told."""
    if it.low is None or it.high is None:
        return 0
    return (it.low > 0) - (it.high < 0)


def _relative(it: Estimate) -> Estimate:
    """Of logarithms."""
    assert it.low is not None
    assert it.high is not None
    return Estimate(math.expm1(it.value), math.expm1(it.low), math.expm1(it.high))


def _log(figure: str) -> Callable[[Ran], float]:
    return lambda run: float(logs([run.figures[figure]])[0])


def _share_of(place: int, run: Ran) -> float:
    return float(run.sample.shares[place])


def _share(
    plan: Plan, setting: Setting, told: Callable[[Ran], float], own: float = 0.0
) -> Estimate:
    runs = setting.of(told)
    doubt = plan.spread(setting, told)
    centre = float(runs.mean())
    low, high, _, _ = doubt.interval(centre, own**2, LEVEL, len(runs))
    return Estimate(centre, max(low, 0.0), min(high, 1.0))
