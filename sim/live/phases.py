"""Parts of a run that differ: before, during and after trouble, or step by step of a profile."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lb.config import Profile, Scenario
from sim.analysis.fates import EVERY, Fates
from sim.analysis.trouble import CALM, Trouble
from sim.model.laws import Floats

NEAR_FULL = 0.9
"""Load of a step from which on lines get long enough to be felt after it."""


@dataclass(frozen=True)
class Phase:
    """A part of a run: requests that arrive within it belong to it."""

    name: str
    since: float
    until: float
    loose: bool = False
    """Whether there is trouble in it, or what it has left behind."""

    def holds(self, arrived: Floats) -> NDArray[np.bool_]:
        """Which of these arrivals are part of it."""
        found: NDArray[np.bool_] = (arrived >= self.since) & (arrived < self.until)
        return found


def phases(scenario: Scenario, runs: Sequence[Fates], cut: float, last: float) -> list[Phase]:
    """Of the time that is judged, from `cut` to the `last` arrival; none where all of it is alike.

    `runs` are those predicted: they say when the trouble is over.
    """
    trouble, profile = Trouble.of(scenario), scenario.offered().arrivals
    if trouble is None:
        return []
    if isinstance(profile, Profile) and profile.shape == "step" and not scenario.faults:
        found = _steps(scenario, profile)
    elif trouble.since <= cut and trouble.until >= last:
        found = [Phase("throughout", cut, math.inf)]
    else:
        over = _over(trouble, runs, cut, last)
        found = [
            Phase("before", 0.0, trouble.since),
            Phase("during", trouble.since, trouble.until, loose=True),
            Phase("recovery", trouble.until, over, loose=True),
            Phase("after", over, math.inf),
        ]
    end = math.nextafter(last, math.inf)  # the last request is part of the last phase
    clipped = [
        Phase(one.name, max(one.since, cut), min(one.until, end), one.loose) for one in found
    ]
    return [one for one in clipped if one.until > one.since]


def _over(trouble: Trouble, runs: Sequence[Fates], cut: float, last: float) -> float:
    """When all runs have come through it, every backend is in rotation again, and a while more."""
    if trouble.until >= last:
        return math.inf
    ends = [trouble.until]
    for run in runs:
        calm = trouble.recovery(run, cut)
        ends.append(trouble.until + (calm if math.isfinite(calm) else math.inf))
        if run.rotation is not None:
            out = np.flatnonzero((run.rotation < 1).any(axis=1))
            if len(out):
                ends.append(EVERY * (float(out[-1]) + 1))
    return max(ends) + 2 * CALM


def _steps(scenario: Scenario, profile: Profile) -> list[Phase]:
    """One for each rate; what is near the capacity is felt in all that come after."""
    found: list[Phase] = []
    capacity = scenario.rate / scenario.utilisation if scenario.utilisation else math.inf
    ends = [*(at for at, _ in profile.points[1:]), math.inf]
    since, loose = 0.0, False
    for (_, rate), until in zip(profile.points, ends, strict=True):
        loose = loose or rate > NEAR_FULL * capacity
        if found and found[-1].name.endswith(f" {rate:g}/s"):
            found[-1] = Phase(found[-1].name, found[-1].since, until, loose)
        else:
            found.append(Phase(f"{len(found) + 1}: {rate:g}/s", since, until, loose))
        since = until
    return found
