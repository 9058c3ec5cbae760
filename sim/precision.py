"""Until intervals are as narrow as wanted: how many more replications it takes.

Replications are added in rounds. How many depends on the data alone, so the result is the same
whatever the number of cores. Who stops as soon as an interval looks narrow stops at lucky samples:
rounds are few and large, none is judged before `FEWEST` replications, and each aims beyond its
mark.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from lb.errors import ConfigError, UsageError, nearest
from lb.units import share
from sim.analysis.objectives import times_as_many
from sim.analysis.statistics import QUANTILES, Estimate
from sim.result import Result

FIGURES = ("mean", *QUANTILES)
MOST_REQUESTS = 10_000_000
"""Requests of each algorithm beyond which nobody wants to wait."""
FEWEST = 10
BEYOND, GROWTH = 1.15, 4.0
"""A round aims at so many times what it takes, and at so many times what there is at most."""
DOUBT = 2.0
"""How far too high the first estimate of what it takes may be."""


def wanted(given: Iterable[str]) -> dict[str, float]:
    """`["p99=2%", "mean=0.01"]`: half the width over the value, by figure. Raises UsageError."""
    found = {}
    for text in given:
        name, sign, number = text.partition("=")
        name = name.strip()
        if not sign:
            raise UsageError(f"--precision: {text!r} does not say how precise; p99=2% does")
        try:
            found[name] = share(number)
        except ValueError as error:
            raise UsageError(f"--precision {name}: {error}") from None
    return checked(found)


def checked(given: Mapping[str, float]) -> dict[str, float]:
    """What is a figure and a share above zero. Raises UsageError."""
    for name, value in given.items():
        if name not in FIGURES:
            raise UsageError(f"--precision: no figure {name!r}; {nearest(name, FIGURES)}")
        if not 0 < value < 1:
            raise UsageError(f"--precision {name}: {value:.4g} is not between 0 % and 100 %")
    return dict(given)


def width(estimate: Estimate) -> float:
    """Half an interval over its value, the longer half; infinite without one."""
    low, high, value = estimate.low, estimate.high, estimate.value
    if low is None or high is None or not value > 0:
        return math.inf
    return max(high - value, value - low) / value


def replications(
    result: Result, precision: Mapping[str, float], most: int, *, first: bool = False
) -> int:
    """How many in all the next round goes up to; those of `result` when they are enough.

    Raises ConfigError when more than `most` requests of an algorithm would be needed; of the
    `first` round's word only if it is twice that.
    """
    done = len(result.runs[0].records)
    worst, what = 0.0, ""
    for run in result.runs:
        for name, goal in precision.items():
            estimate = run.latency[name]
            if not math.isfinite(estimate.value) and estimate.needs is None:
                why = f"no request succeeded under {run.algorithm}, so {name} has no precision"
                raise ConfigError([f"{result.scenario.place('run', 'requests')}: {why}"])
            seen = width(estimate)
            factor = estimate.needs or (seen / goal) ** 2
            if factor > worst:
                so_far = "cannot be told" if estimate.needs else f"is within {seen:.2g}"
                worst, what = factor, f"{name} of {run.algorithm} to {goal:.3g}: it {so_far}"
    if worst <= 1:
        return done
    requests = max(sum(record.requests for record in run.records) for run in result.runs)
    if math.isfinite(worst) and worst * requests > most * (DOUBT if first else 1.0):
        needs = times_as_many(worst * requests)
        why = (
            f"--precision would need {needs} requests for {what} after {requests:,}, and "
            f"--max-requests is {most:,}; ask for less, or allow more"
        )
        raise ConfigError([f"{result.scenario.place('run', 'requests')}: {why}"])
    aim = min(worst * BEYOND, GROWTH)
    allowed = max(int(most / requests * done), done + 1)
    return min(max(math.ceil(done * aim), done + 1), allowed)
