"""What theory says, under the curves of a sweep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from sim.checks.theory.known import known
from sim.fit.sweep import Sweep
from sim.output.plots.style import FAINT, styles

POINTS = 60
"""Of a curve against the load."""
BROAD: dict[str, Any] = {"linewidth": 6, "alpha": 0.3, "zorder": 1, "solid_capstyle": "butt"}


def theory_lines(
    ax: Axes, sweep: Sweep, x: str, fixed: Mapping[str, Any], metric: str
) -> list[Line2D]:
    """Draw a broad pale line for each algorithm with a closed form; a line of them for a legend.

    `fixed` are the values of the other axes than `x`, which must be one of numbers.
    """
    cells = [
        cell
        for cell in sweep.cells
        if all(cell.parameters[name] == value for name, value in fixed.items())
    ]
    drawn = []
    for number, name in enumerate(sweep.algorithms):
        scenarios = [(cell.parameters[x], cell.scenario) for cell in cells]
        if x == "load":
            first, loads = cells[0].scenario, [cell.parameters[x] for cell in cells]
            # Theory needs no grid.
            among = np.linspace(min(loads), max(loads), POINTS)
            scenarios = [(float(load), first.at_load(float(load))) for load in among]
        forms = [(place, known(it, cells[0].algorithms[number])) for place, it in scenarios]
        told = [(place, form) for place, form in forms if form is not None]
        if not told:
            continue
        ax.plot(
            [place for place, _ in told],
            [form.latency(metric) for _, form in told],
            color=styles(sweep.algorithms)[name].colour,
            **BROAD,
        )
        drawn.append((name, told[0][1].limit))
    limits = ", ".join(name for name, limit in drawn if limit)
    said = "theory" + f"; {limits}: for n → ∞" * bool(limits)
    return [Line2D([], [], color=FAINT, label=said, **BROAD)] if drawn else []
