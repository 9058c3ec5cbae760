"""How much of its objectives a setting uses, and how each replication speaks for that figure.

The score is the largest share of a bound that is used: below 1 all objectives hold. Its figures are
those of all replications together; what one replication adds to such a figure is its influence, the
first-order term of the jackknife (Asmussen & Glynn, "Stochastic Simulation", 2007, III.4), so that
two settings which saw the same requests can be compared in pairs, quantiles too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lb.config import Scenario
from sim.analysis.intervals import estimate_together
from sim.analysis.memory import expected_memory
from sim.analysis.statistics import QUANTILES, Estimate, quantile, student_t
from sim.fit.recommend.aims import LATENCIES, Aim
from sim.fit.recommend.sampling import Observation, growing, steady
from sim.model.laws import Floats

AROUND = 0.25
"""Half the part of the requests beyond a quantile that its density is read from, on either side;
more where replications differ by more."""


class Score(NamedTuple):
    """Of one setting."""

    value: float
    """The largest share of a bound that is used; infinite where a line surely grows for ever."""
    parts: Floats
    """What each replication says of it: their mean is `value`."""

    @property
    def error(self) -> float:
        """Standard error."""
        n = len(self.parts)
        return float(self.parts.std(ddof=1)) / math.sqrt(n) if n > 1 else math.inf


def score(seen: Sequence[Observation], aims: Sequence[Aim]) -> Score:
    """Of its replications."""
    if growing(seen):
        return Score(math.inf, np.full(len(seen), math.inf))
    scores = [_used(seen, aim) for aim in aims]
    return max(scores, key=lambda it: it.value)


def _used(seen: Sequence[Observation], aim: Aim) -> Score:
    value, parts = figure(seen, aim)
    used = aim.used(value)
    if not math.isfinite(used):
        return Score(math.inf, np.full(len(seen), math.inf))
    if aim.least:  # one over the figure
        return Score(used, used - used / value * (parts - value))
    return Score(used, parts / aim.bound)


def figure(seen: Sequence[Observation], aim: Aim) -> tuple[float, Floats]:
    """The figure that an objective is about, and what each replication says of it."""
    good = np.array([len(it.latency) for it in seen], dtype=float)
    if aim.metric in LATENCIES:
        total = good.sum()
        if not total:
            return math.inf, np.full(len(seen), math.inf)
        if aim.metric == "mean":
            sums = np.array([it.latency.sum() for it in seen])
            value = float(sums.sum() / total)
            return value, value + (sums - value * good) / good.mean()
        return _quantile([it.latency for it in seen], QUANTILES[aim.metric])
    failed = np.array([it.failed for it in seen], dtype=float)
    if aim.share:
        return _ratio(failed if aim.metric == "failed" else good, good + failed)
    return _ratio(good, np.array([it.seconds for it in seen]))


def _ratio(above: Floats, below: Floats) -> tuple[float, Floats]:
    if not below.sum():
        return math.inf, np.full(len(below), math.inf)
    value = float(above.sum() / below.sum())
    parts: Floats = value + (above - value * below) / below.mean()
    return value, parts


def _quantile(samples: Sequence[Floats], q: float) -> tuple[float, Floats]:
    """By how the share of requests beyond it differs, carried to seconds by the density there."""
    everything = np.sort(np.concatenate(samples))
    value = quantile(everything, q)
    sizes = np.array([len(it) for it in samples], dtype=float)
    beyond = np.array([np.count_nonzero(it > value) for it in samples], dtype=float)
    shares = (beyond - beyond.sum() / sizes.sum() * sizes) / sizes.mean()
    error = float(shares.std(ddof=1)) / math.sqrt(len(shares)) if len(shares) > 1 else 0.0
    width = min(max(AROUND * (1 - q), error), 0.9 * min(q, 1 - q))
    slope = (quantile(everything, q + width) - quantile(everything, q - width)) / (2 * width)
    return value, value + slope * shares


def estimates(
    scenario: Scenario, seen: Sequence[Observation], aims: Sequence[Aim], level: float = 0.95
) -> dict[str, Estimate]:
    """Latencies and whatever else is aimed at, each with its interval, as `lb simulate` has them;
    `failed` always, as a share.
    """
    calm = steady(seen)
    load = max((max(it.offered, default=0.0) for it in seen), default=0.0)
    still = calm and not scenario.changing
    memory = expected_memory(scenario, load)
    latency, _, _ = estimate_together(
        {"": [it.latency for it in seen]}, memory, steady=still, growing=not calm, level=level
    )
    told = {name: latency[""][name] for name in LATENCIES}
    for aim in (Aim("failed", 1.0), *(it for it in aims if it.metric == "goodput")):
        told[aim.metric] = _share(seen, aim, level)
    return told


def _share(seen: Sequence[Observation], aim: Aim, level: float) -> Estimate:
    value, parts = figure(seen, aim)
    n = len(parts)
    if n < 2 or not math.isfinite(value):
        return Estimate(value, None, None)
    half = student_t((1 + level) / 2, n - 1) * float(parts.std(ddof=1)) / math.sqrt(n)
    if not aim.share:
        return Estimate(value, max(value - half, 0.0), value + half)
    # Those that fail are few, and a sample without one does not say that there is none.
    requests = sum(len(it.latency) + it.failed for it in seen)
    rare = 1 - value if aim.metric == "goodput" else value
    none_seen = -math.log((1 - level) / 2)  # what a count of none leaves possible
    least = min(none_seen / max(requests, 1), 1.0)
    if aim.metric == "goodput":
        return Estimate(value, max(value - max(half, least), 0.0), min(value + half, 1.0))
    return Estimate(value, max(value - half, 0.0), min(rare + max(half, least), 1.0))
