"""How a live run came through trouble, beside how it was predicted to."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from lb.config import Scenario
from sim.analysis.fates import Fates
from sim.analysis.statistics import prediction
from sim.analysis.trouble import CALM, Trouble
from sim.live.line import Line

LOST, LOST_AT_LEAST = 0.2, 5.0
GOODPUT = 0.05
SECONDS = 1.0
"""How far a recovery, or a time out of rotation, may be from its prediction."""


def ordeal(
    scenario: Scenario, live: Fates, predicted: Sequence[Fates], warm: float
) -> dict[str, Line]:
    """What is judged of a file with trouble in it, by name; nothing where there is none.

    Lost requests, good answers per second while it lasts, seconds until a second is calm again, and
    the seconds that each backend is out of rotation. What the run is too short for is left out.
    """
    trouble = Trouble.of(scenario)
    if trouble is None or not len(live.arrived):
        return {}

    def line(of: Callable[[Fates], float], tolerance: float, slack: float = 0.0) -> Line:
        return Line(of(live), prediction([of(run) for run in predicted]), tolerance, slack)

    last = float(live.arrived[-1])
    left = last - trouble.until

    def recovery(run: Fates) -> float:
        return min(trouble.recovery(run, warm), left)

    lines = {"lost": line(lambda run: float(np.count_nonzero(~run.good)), LOST, LOST_AT_LEAST)}
    lines["goodput"] = line(trouble.goodput, GOODPUT)
    if left > CALM:
        lines["recovery"] = line(recovery, 0.0, SECONDS)
    if live.rotation is not None:
        for place, row in enumerate(scenario.backends):

            def out(run: Fates, place: int = place) -> float:
                return run.out(0.0, last)[place]

            lines[f"out: {row.label}"] = line(out, 0.0, SECONDS)
    known = {name: line for name, line in lines.items() if math.isfinite(line.predicted.value)}
    return {name: line for name, line in known.items() if math.isfinite(line.measured)}
