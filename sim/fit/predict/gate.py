"""The trust gate: how far a model is from the recording when it is given the same requests."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np

from sim.analysis.distances import Distance
from sim.analysis.forecast import forecast, level_of_each
from sim.analysis.objectives import times_as_many
from sim.analysis.statistics import FIGURES, Estimate, finite
from sim.fit.doubt import logs
from sim.fit.sample import FAILED, Sample, fewest
from sim.model.laws import Floats

BOUNDS = {"mean": 0.15, "p50": 0.15, "p95": 0.20, "p99": 0.25, FAILED: 0.02}
"""Errors beyond which a model is not to be believed, where no other bound is asked for: relative,
what chance alone makes of a minute at 100 requests per second and a load of 0.8; of the share of
failed requests in points."""
SHARE = 0.05
"""The same of a backend's share of the answers, in points."""
LEVEL = 0.95
ROUNDING = 1e-9


class Answer(Enum):
    """What the gate says."""

    PASSED = "passed"
    FAILED = "failed"
    TOO_SMALL = "too small"
    UNVOUCHED = "not vouched for"


@dataclass(frozen=True)
class Gap:
    """One figure, measured and modelled."""

    measured: float
    """NaN where the recording does not carry it."""
    modelled: float
    error: Estimate
    """Modelled over measured less 1, or of shares their difference; its interval is as wide as what
    one recording of this length leaves open."""
    bound: float
    needs: int = 0
    """Good answers that it takes, where there were too few."""
    surely: bool = False
    """Whether it is more than chance makes of any figure in one recording of twenty."""

    @property
    def beyond(self) -> bool:
        """Whether the error is above its bound, and more than chance would make it."""
        return self.surely and abs(self.error.value) > self.bound

    @property
    def chance(self) -> bool:
        """Whether it may be nothing but chance."""
        low, high = self.error.low, self.error.high
        return low is None or high is None or low <= 0 <= high

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        told: dict[str, Any] = {
            "measured": finite(self.measured),
            "modelled": finite(self.modelled),
            "error": None if self.needs else self.error.as_dict(),
            "bound": self.bound,
        }
        return {**told, "needs": self.needs} if self.needs else told


@dataclass(frozen=True)
class Gate:
    """The replay of what was recorded, and whether the model may be believed."""

    answer: Answer
    why: str
    """A sentence where it has not passed."""
    cure: str = ""
    """What it would take."""
    latency: Mapping[str, Gap] = field(default_factory=dict)
    shares: Mapping[str, Gap] = field(default_factory=dict)
    failed: Gap | None = None
    distance: Distance | None = None
    """Of the whole distributions."""
    declared: Mapping[str, float] = field(default_factory=dict)
    """Errors that a file tells of its own model, where there is no recording."""

    @property
    def passed(self) -> bool:
        return self.answer is Answer.PASSED

    def error(self, figure: str) -> float:
        """Of the model, without its sign, and of `FAILED` in points; NaN where nobody knows it."""
        if figure == FAILED:
            return math.nan if self.failed is None else abs(self.failed.error.value)
        if figure in self.latency:
            return abs(self.latency[figure].error.value)
        return abs(self.declared.get(figure, math.nan))

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        told: dict[str, Any] = {"answer": self.answer.value, "why": self.why, "cure": self.cure}
        if self.declared:
            told["declared"] = dict(self.declared)
        if self.latency:
            told["latency"] = {name: gap.as_dict() for name, gap in self.latency.items()}
            told["shares"] = {name: gap.as_dict() for name, gap in self.shares.items()}
        if self.failed is not None:
            told["failed"] = self.failed.as_dict()
        if self.distance is not None:
            told["distance"] = self.distance.as_dict()
        return told


def judged(
    metric: str,
    seen: Sample,
    replays: Sequence[Sample],
    names: Sequence[str],
    seconds: float,
    bounds: Mapping[str, float],
    distance: Distance | None = None,
    cure: str = "calibrate from this recording",
) -> Gate:
    """Hold the recording against its replays; `metric` is the one that is asked for.

    `seconds`: how long the recording is. `bounds` stand before `BOUNDS`. `cure`: of a model that
    is off.
    """
    allowed = {**BOUNDS, **bounds}
    level = level_of_each(len(FIGURES) + len(names) + 1)
    latency = {name: _latency(name, seen, replays, allowed[name], level) for name in FIGURES}
    shares = {}
    if not np.isnan(seen.shares).any():
        for at, name in enumerate(names):
            each = np.array([one.shares[at] for one in replays])
            shares[name] = _points(float(seen.shares[at]), each, SHARE, level)
    lost = _points(seen.lost, np.array([one.lost for one in replays]), allowed[FAILED], level)
    answer, why, needed = _verdict(metric, seen, latency, shares, lost, seconds, cure)
    return Gate(answer, why, needed, latency, shares, lost, distance)


def by_the_file(errors: Mapping[str, float], metric: str, bounds: Mapping[str, float]) -> Gate:
    """Without a recording: what the file says of its model."""
    if metric not in errors:
        return Gate(
            Answer.UNVOUCHED,
            f"the file does not tell the model's error at {metric}"
            if errors
            else "nothing vouches for this model",
            "give a recording of what runs now, --from FILE"
            + ("" if errors else ", or a file made by lb calibrate"),
            declared=errors,
        )
    bound = {**BOUNDS, **bounds}[metric]
    if abs(errors[metric]) > bound:
        why = f"by its own file the model is off by {abs(errors[metric]):.0%} at {metric}"
        cure = f"calibrate again; {bound:.0%} is the most, see --max-error"
        return Gate(Answer.FAILED, f"{why}, more than {bound:.0%}", cure, declared=errors)
    return Gate(Answer.PASSED, "", declared=errors)


def _latency(name: str, seen: Sample, replays: Sequence[Sample], bound: float, level: float) -> Gap:
    runs = np.array([one.figures[name] for one in replays])
    modelled = float(np.exp(logs(runs).mean())) if np.isfinite(runs).all() else math.nan
    value, needs = seen.figures[name], fewest(name)
    if len(seen.latency) < needs or not math.isfinite(modelled):
        short = needs if len(seen.latency) < needs else 0
        return Gap(math.nan, modelled, Estimate(math.nan, None, None), bound, short)
    d = math.log(modelled / value) if modelled > 0 and value > 0 else 0.0
    chance = forecast(runs.tolist(), LEVEL)
    low, high = (
        None
        if end is None or not end > 0 or not modelled > 0
        else math.expm1(d + math.log(end / modelled))
        for end in (chance.low, chance.high)
    )
    error = Estimate(math.expm1(d), low, high)
    return Gap(value, modelled, error, bound, surely=_outside(value, runs, level))


def _outside(value: float, runs: Floats, level: float) -> bool:
    """Whether it is none of what one more run shows with that probability."""
    some = forecast(runs.tolist(), level)
    if some.low is None or some.high is None:
        return False
    return not some.low - ROUNDING <= value <= some.high + ROUNDING


def _points(value: float, runs: Floats, bound: float, level: float) -> Gap:
    """Of a share: differences are in points."""
    mean = float(runs.mean())
    chance = forecast(runs.tolist(), LEVEL)
    ends = (None if end is None else end - value for end in (chance.low, chance.high))
    error = Estimate(mean - value, *ends)
    return Gap(value, mean, error, bound, surely=_outside(value, runs, level))


def _verdict(
    metric: str,
    seen: Sample,
    latency: Mapping[str, Gap],
    shares: Mapping[str, Gap],
    lost: Gap,
    seconds: float,
    cure: str,
) -> tuple[Answer, str, str]:
    asked = lost if metric == FAILED else latency[metric]
    if asked.needs:
        enough = [name for name in FIGURES if not latency[name].needs]
        have = len(seen.latency)
        other = f", or ask for --metric {enough[-1]}" if enough else ""
        return (
            Answer.TOO_SMALL,
            f"{metric} takes {asked.needs:,} good answers, and {have:,} were seen",
            _record(seconds, asked.needs / max(have, 1)) + other,
        )
    off = [f"{name} by {_percent(gap.error)}" for name, gap in latency.items() if gap.beyond]
    off += [
        f"the share of {name} by {_in_points(gap)}" for name, gap in shares.items() if gap.beyond
    ]
    off += [f"the share of failed requests by {_in_points(lost)}"] if lost.beyond else []
    if off:
        why = f"the model is off: {'; '.join(off)}"
        cure = f"{cure}; --max-error moves the bound"
        if any(gap.beyond for gap in shares.values()):
            seen_shares = ", ".join(f"{name} {gap.measured:.1%}" for name, gap in shares.items())
            cure = f"say which weights and which algorithm gave {seen_shares}; or {cure}"
        return Answer.FAILED, why, cure
    if abs(asked.error.value) > asked.bound:
        why = "the recording is too short to tell the model's error at"
        cure = _record(seconds, _longer(asked))
        return (
            Answer.TOO_SMALL,
            f"{why} {metric}: {_in_points(asked) if metric == FAILED else _percent(asked.error)}",
            f"{cure}, or ask for a figure that varies less, such as --metric mean",
        )
    return Answer.PASSED, "", ""


def _record(seconds: float, times: float) -> str:
    return f"record {times_as_many(times)} times as long ({seconds * times:.0f} s)"


def _longer(gap: Gap) -> float:
    """Times as many requests with which half the interval is the bound."""
    low, high = gap.error.low, gap.error.high
    if low is None or high is None:
        return 2.0
    return max(((high - low) / 2 / gap.bound) ** 2, 1.5)


def _percent(error: Estimate) -> str:
    """`+23 % (+15 to +31)`."""
    low, high = error.low, error.high
    if low is None or high is None:
        return f"{error.value:+.0%}"
    return f"{error.value:+.0%} ({low:+.0%} to {high:+.0%})"


def _in_points(gap: Gap) -> str:
    return f"{gap.error.value * 100:+.1f} points"
