"""A run second by second: goodput, losses, and who is in rotation, with its faults shaded."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from lb.config import Scenario
from sim.analysis.fates import Series
from sim.model.laws import Floats
from sim.output.plots.style import FAINT, INK, blank, duration, legend, styles
from sim.result import Result

PANELS = (
    ("good", "good answers/s"),
    ("lost", "lost requests/s"),
    ("usable", "backends in rotation"),
)


def timeline(result: Result) -> Figure:
    """Every algorithm over the seconds of a run, the mean of its replications."""
    looks = styles(run.algorithm for run in result.runs)
    runs = {run.algorithm: run.timeline for run in result.runs}
    several = len(result.runs[0].records)
    told = f"mean of {several} replications" if several > 1 else "one replication"
    figure, panels = _empty(result.scenario, f"{told}, seed {result.seed}")
    _arrivals(panels[0], next(iter(runs.values())))
    for name, seen in runs.items():
        look = looks[name]
        for ax, (column, _) in zip(panels, PANELS, strict=True):
            values: Floats = getattr(seen, column)
            _steps(ax, values, name, color=look.colour, linestyle=look.dashes, linewidth=1.8)
    return _finished(figure, panels, result.scenario)


def _empty(scenario: Scenario, circumstances: str) -> tuple[Figure, list[Axes]]:
    figure, panels = blank("Second by second", circumstances, rows=len(PANELS))
    for ax in panels:
        for fault in scenario.faults:
            ax.axvspan(fault.since, fault.until, color=FAINT, alpha=0.15, linewidth=0)
    for ax, (_, said) in zip(panels, PANELS, strict=True):
        ax.set_ylabel(said)
    return figure, panels


def _arrivals(ax: Axes, seen: Series) -> None:
    _steps(ax, seen.arrivals, "arrivals", color=INK, linestyle=(0, (1, 1)), linewidth=1)


def _steps(ax: Axes, values: Floats, label: str, **look: Any) -> None:
    ax.stairs(values, np.arange(len(values) + 1.0), baseline=None, label=label, **look)


def _finished(figure: Figure, panels: list[Axes], scenario: Scenario) -> Figure:
    top = len(scenario.backends)
    panels[-1].set_ylim(-0.05 * top, 1.1 * top)
    panels[-1].yaxis.set_major_locator(MaxNLocator(4, integer=True))
    for ax in panels[:-1]:
        ax.set_ylim(bottom=0)
    panels[-1].xaxis.set_major_formatter(FuncFormatter(duration))
    panels[-1].set_xlabel("time since the start" + ", faults shaded" * bool(scenario.faults))
    panels[-1].set_xlim(left=0)
    legend(figure, panels[0])
    return figure
