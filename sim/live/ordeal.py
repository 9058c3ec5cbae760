"""How a live run came through trouble, beside how it was predicted to."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from lb.config import Scenario
from sim.analysis.fates import Fates
from sim.analysis.trouble import CALM, Trouble
from sim.live.line import Figure

OUT = (0.0, 1.0)
ALLOWED = {"lost": (0.2, 5.0), "goodput": (0.05, 0.0), "recovery": (0.0, 1.0)}
"""How far a figure may be from what runs show, relative to its prediction, and in any case; seconds
of recovery as seconds out of rotation."""


def ordeal(
    scenario: Scenario, live: Fates, predicted: Sequence[Fates], warm: float
) -> dict[str, Figure]:
    """What is judged of a file with trouble in it, by name; nothing where there is none.

    Lost requests, good answers per second while it lasts, seconds until a second is calm again, and
    the seconds that each backend is out of rotation. What the run is too short for is left out.
    """
    trouble = Trouble.of(scenario)
    if trouble is None or not len(live.arrived):
        return {}
    figures = [_figures(scenario, trouble, run, warm, live) for run in (live, *predicted)]
    seen, *runs = figures
    known = [name for name in seen if all(math.isfinite(run[name]) for run in figures)]
    return {
        name: Figure(seen[name], [run[name] for run in runs], *ALLOWED.get(name, OUT))
        for name in known
    }


def _figures(
    scenario: Scenario, trouble: Trouble, run: Fates, warm: float, live: Fates
) -> dict[str, float]:
    last = float(live.arrived[-1])
    left = last - trouble.until
    found = {"lost": float(np.count_nonzero(~run.good)), "goodput": trouble.goodput(run)}
    if left > CALM:
        found["recovery"] = min(trouble.recovery(run, warm), left)
    if live.rotation is not None:
        out = run.out(0.0, last)
        found |= {f"out: {row.label}": out[i] for i, row in enumerate(scenario.backends)}
    return found
