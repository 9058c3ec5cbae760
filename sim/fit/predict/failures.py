"""Requests that fail: how a change moves their share of all, with what is not sure of it."""

from __future__ import annotations

import math
from typing import NamedTuple

from sim.analysis.statistics import Estimate
from sim.fit.doubt import Spread
from sim.fit.predict.gate import Gate
from sim.fit.predict.runs import Plan, Ran, Setting

WORSE = 0.001
"""More or fewer of them than that are worth a word where something else is asked for."""


class Moved(NamedTuple):
    """By how much a figure differs from that of another setting, on the scale it is judged on."""

    centre: float
    doubt: Spread
    own: float
    """Variance of what the model may be off by there."""
    runs: int
    least: float = -math.inf
    most: float = math.inf
    """What it cannot be beyond."""

    def at(self, level: float) -> Estimate:
        """With the interval of that level."""
        low, high, *_ = self.doubt.interval(self.centre, self.own, level, self.runs)
        return Estimate(self.centre, max(low, self.least), min(high, self.most))


def failed(run: Ran) -> float:
    """The share of all requests."""
    return run.sample.lost


def moved(plan: Plan, now: Setting, other: Setting, gate: Gate) -> Moved:
    """From `now` to `other`, as a share of all requests."""
    difference = float((other.of(failed) - now.of(failed)).mean())
    before = float(now.of(failed).mean())
    own = _error_in(gate, before, abs(difference))
    doubt = plan.spread(other, failed, now)
    least = 0.0 - max(before, _measured(gate))  # never -0.0
    return Moved(difference, doubt, own**2, len(now.runs), least, 1.0 - before)


def error_at(gate: Gate, before: float, share: float) -> float:
    """What is more than chance of the model's error where `share` fail: of what it has in
    proportion, and of what it lacks with `before` as much.
    """
    return _error_in(gate, before, share + max(_measured(gate) - before, 0.0))


def _error_in(gate: Gate, before: float, part: float) -> float:
    """What is more than chance of the model's error with `before`, in so much of all that failed.

    A model of which hardly any fail is not off by as many times more where many do.
    """
    gap = gate.failed
    if gap is None or gap.chance:
        return 0.0
    whole = max(before, gap.measured)
    return abs(gap.error.value) * (part / whole if whole else 1.0)


def _measured(gate: Gate) -> float:
    return 0.0 if gate.failed is None else gate.failed.measured


def less_or_more(now: Setting, other: Setting) -> str:
    """`fewer requests would fail, 0.10% in place of 5.12%`."""
    before, after = (float(it.of(failed).mean()) for it in (now, other))
    word = "fewer" if after < before else "more"
    return f"{word} requests would fail, {after:.2%} in place of {before:.2%}"
