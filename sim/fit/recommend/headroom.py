"""The safe load: the most times today's traffic at which the objectives hold, with its interval.

One over the score falls about in a straight line to the load that the backends can serve (it does
so exactly for the mean and every quantile of M/M/1), so secants find where it is 1 in a few steps.
All loads are tried on the same random numbers, under which the score hardly jumps (a root of the
sample average; Shapiro, Dentcheva & Ruszczynski, "Lectures on Stochastic Programming", 2009, 5.1);
how uncertain that root is follows from the score's own error there, over its slope.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from lb.config import Scenario
from lb.errors import UsageError
from sim.analysis.statistics import student_t
from sim.fit.parameters import OF_INTERVAL
from sim.fit.recommend.aims import Aim
from sim.fit.recommend.doubts import NONE, Doubt
from sim.fit.recommend.sampling import Sampler, Setting, of_length, suited
from sim.fit.recommend.scores import Score, score
from sim.fit.recommend.variations import losses, scaled

REPLICATIONS = 10
STEPS = 7
"""Loads that are tried at most."""
DRAWN = (0.5, 0.8, 0.93, 1.05)
"""Shares of the safe load that are tried too, for the curve, and for its slope there."""
LIGHT = (0.12, 0.25)
"""And where the model's own error leads far down."""
NEAR = 0.004
"""A bracket so narrow, over the load, needs no further step."""
MOST = 16.0
"""Times today's traffic beyond which nobody asks."""
NEVER = 0.02
"""Of today's traffic: where not even that meets the objectives, nothing does."""
DOWN = 1.5
"""How much wider the interval is below: a sample without a burst looks safe and sure at once. With
1 the interval of p99 of M/M/1 missed it in 14 of 100 searches, in 10 of these it was too high."""
FULL = 0.999
"""Of capacity, where lines have no end."""


@dataclass(frozen=True)
class Headroom:
    """Times today's traffic."""

    factor: float
    """0 where no load meets the objectives; `MOST` stands for that or more."""
    low: float
    high: float
    lost: str = ""
    """The backend that is not there."""
    curve: list[tuple[float, float]] = field(default_factory=list)
    """What was tried: times today's traffic, and the score there."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        told = {"times": self.factor, "low": self.low, "high": self.high}
        return {**told, "lost": self.lost} if self.lost else told


def aims_at(aims: Sequence[Aim], factor: float) -> list[Aim]:
    """Good answers per second are asked for in proportion to the traffic."""
    return [
        Aim(aim.metric, aim.bound * factor) if aim.least and not aim.relative else aim
        for aim in aims
    ]


def headroom(
    sampler: Sampler,
    scenario: Scenario,
    algorithm: str,
    aims: Sequence[Aim],
    budget: float,
    lost: str = "",
    doubt: Doubt = NONE,
) -> Headroom | None:
    """Of `scenario`, whose traffic is today's; None where the budget, in requests, is too small or
    no other rate can be had. `doubt` makes the interval wider.
    """
    length = _length(scenario, budget)
    if length is None:
        return None
    seen: dict[float, Score] = {}

    def margin(factor: float) -> float:
        if factor not in seen:
            there = of_length(scaled(scenario, factor), length)
            setting = Setting(there, algorithm)
            (observed,) = sampler.observe([setting], REPLICATIONS)
            seen[factor] = score(observed, aims_at(aims, factor))
            sampler.drop(setting)
        return _margin(seen[factor])

    most = MOST
    if not scenario.bounded and scenario.utilisation > 0:
        most = min(MOST, FULL / scenario.utilisation)
    try:
        low, high = _bracket(margin, most, ends=not scenario.bounded)
        root, slope_at = _root(margin, low, high, seen)
    except UsageError:
        return None  # these gaps are as they were measured
    for share in (*(LIGHT if doubt.deviations else ()), *DRAWN):
        around = share * (low or 0.0 if math.isnan(root) else root)
        if 0 < around < most and all(abs(x - around) > 0.05 * around for x in seen):
            margin(around)
    curve = sorted((x, it.value) for x, it in seen.items())
    if high is None:
        return Headroom(MOST, MOST, MOST, lost, curve)
    if low is None:
        return Headroom(0.0, 0.0, min(seen, default=NEVER), lost, curve)
    half = _half(seen, slope_at, root)
    less, more = (OF_INTERVAL * it for it in doubt.of(aims))
    below = math.hypot(DOWN * half, root - _where(curve, root, math.exp(-more)))
    above = math.hypot(half, _where(curve, root, math.exp(less)) - root)
    return Headroom(root, max(root - below, 0.0), min(root + above, most), lost, curve)


def with_one_lost(
    sampler: Sampler,
    scenario: Scenario,
    algorithm: str,
    aims: Sequence[Aim],
    budget: float,
    doubt: Doubt = NONE,
) -> Headroom | None:
    """The safe load without the backend that it is worst to lose."""
    without = losses(scenario)
    if not without:
        return None
    (name, there), *others = without  # the rest has least capacity
    until = sampler.spent + budget
    worst = headroom(
        sampler, there, algorithm, aims, budget * (0.7 if others else 1.0), name, doubt
    )
    for name, there in others:
        left = until - sampler.spent
        length = _length(there, left)
        if worst is None or not worst.factor or length is None:
            break
        setting = Setting(of_length(scaled(there, worst.factor), length), algorithm)
        (seen,) = sampler.observe([setting], REPLICATIONS)
        sampler.drop(setting)
        if score(seen, aims_at(aims, worst.factor)).value > 1:  # worse at the same load
            found = headroom(sampler, there, algorithm, aims, left, name, doubt)
            if found is not None and found.factor < worst.factor:
                worst = found
    return worst


def _length(scenario: Scenario, budget: float) -> int | None:
    """Requests of a replication, from what may be spent."""
    least = of_length(scenario)
    if scenario.changing:
        fits = budget >= least.length * scenario.rate * REPLICATIONS * 3
        return 1 if fits else None
    each = budget / (REPLICATIONS * (STEPS + len(DRAWN)))
    full = 2 * suited(scenario)
    return None if each < min(full, 500) else int(min(each, full))


def _margin(it: Score) -> float:
    return 1 / it.value - 1 if it.value > 0 else 1e9


def _bracket(
    margin: Callable[[float], float], most: float, *, ends: bool
) -> tuple[float | None, float | None]:
    """A load that meets the objectives, and one that misses them; None where there is none."""
    low: float | None = None
    high: float | None = None
    x = min(1.0, most * 0.9)
    if margin(x) >= 0:
        low = x
        while high is None:
            if ends and x * 2 >= most:
                return low, most  # there lines have no end
            x = min(2 * x, most)
            if margin(x) < 0:
                high = x
            elif x >= most:
                return x, None
            else:
                low = x
        return low, high
    high = x
    while low is None:
        x /= 2
        if x < NEVER:
            return None, high
        if margin(x) >= 0:
            low = x
        else:
            high = x
    return low, high


def _root(
    margin: Callable[[float], float],
    low: float | None,
    high: float | None,
    seen: dict[float, Score],
) -> tuple[float, float]:
    """Where the margin is zero, and its slope there."""
    if low is None or high is None:
        return math.nan, math.nan
    at_low = margin(low)
    at_high = margin(high) if high in seen else -1.0
    side = 0
    for _ in range(max(STEPS - len(seen), 2)):
        share = at_low / (at_low - at_high)
        x = low + (high - low) * min(max(share, 0.03), 0.97)
        there = margin(x)
        if abs(there) < 1e-4:
            break
        if there >= 0:
            low, at_low = x, there
            if side > 0:
                at_high /= 2  # Illinois: the end that stays is made lighter
            side = 1
        else:
            high, at_high = x, there
            if side < 0:
                at_low /= 2
            side = -1
        if high - low < NEAR * high:
            break
    at_low, at_high = margin(low), margin(high) if high in seen else -1.0
    root = low + (high - low) * at_low / (at_low - at_high) if at_low > 0 else low
    return root, (at_high - at_low) / (high - low)


def _where(curve: Sequence[tuple[float, float]], root: float, used: float) -> float:
    """The load at which so much of the objectives is used, by the curve through what was tried:
    none where all use more, and the largest where all use less.
    """
    if used == 1.0:
        return root
    points = [(x, y) for x, y in curve if (x < root if used < 1 else x > root) and y > 0]
    points = sorted([*points, (root, 1.0)], reverse=used < 1)
    for (x, y), (beyond, there) in pairwise(points):
        if (there - used) * (y - used) <= 0:
            if not math.isfinite(there):
                return beyond
            share = (1 / used - 1 / y) / (1 / there - 1 / y) if there != y else 0.0
            return x + share * (beyond - x)
    return 0.0 if used < 1 else points[-1][0]


def _half(seen: dict[float, Score], slope: float, root: float) -> float:
    """Half the interval, from the score's error near the root."""
    near = min((x for x in seen if math.isfinite(seen[x].value)), key=lambda x: abs(x - root))
    it = seen[near]
    if not it.value or not slope:
        return 0.0
    error = it.error / it.value**2  # of one over it
    wide = _slope(seen, root) or slope
    t = student_t(0.975, max(len(it.parts) - 1, 1))
    return t * error / abs(wide) + NEAR / 2 * root


def _slope(seen: dict[float, Score], root: float) -> float | None:
    """Between the nearest loads on either side that are not next to each other: of two that are
    very near the difference is mostly noise.
    """
    able = sorted(x for x in seen if math.isfinite(seen[x].value))
    below = [x for x in able if x <= root * 0.99]
    above = [x for x in able if x >= root * 1.01]
    pair = (below[-1] if below else able[0], above[0] if above else able[-1])
    if pair[1] - pair[0] < 0.01 * root:
        return None
    return (_margin(seen[pair[1]]) - _margin(seen[pair[0]])) / (pair[1] - pair[0])
