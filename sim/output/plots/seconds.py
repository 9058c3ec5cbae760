"""A run over time: latency, goodput, losses, who is in rotation; its faults shaded."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator

from lb.config import Scenario
from lb.terminal import listed
from sim.analysis.fates import Fates, Series, series
from sim.analysis.trouble import Trouble
from sim.model.laws import Floats
from sim.output.plots.runs import finite
from sim.output.plots.style import (
    FAINT,
    INK,
    Style,
    blank,
    duration,
    latency_axis,
    legend,
    shortened,
    styles,
)
from sim.result import Result

PANELS = (
    ("p50", "p50"),
    ("p99", "p99"),
    ("good", "good answers/s"),
    ("lost", "lost requests/s"),
    ("usable", "backends\nin rotation"),
)
LATENCIES = 2
"""Of the panels, from the top."""
GOOD = 2
"""The panel that arrivals stand in."""
STEPS, FEWEST = 300, 40
"""Of a picture, at most; and at least, however few answers fall into each."""
CARRIED = 100
"""Answers in a step without which it has no p99."""
NICE = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600)
"""Seconds that a step may last; beyond, multiples of the last."""
CALM, LONG = 10.0, 3.0
"""Seconds at least that are shown before trouble, twice after it; and how many times all of that
a run must last for the rest of it to be left out."""

Curve = tuple[str, Sequence[Fates], Style]
"""A name, the runs whose mean it is, and how it looks."""


def timeline(result: Result) -> Figure:
    """Every algorithm over the seconds of a run, the mean of its replications.

    Of a long run with short trouble in it, the time around that.
    """
    looks = styles(run.algorithm for run in result.runs)
    several = len(result.runs[0].records)
    told = f"mean of {several} replications" if several > 1 else "one replication"
    return curves(
        "Around the trouble" if _around(result) else "Over time",
        f"{told}, seed {result.seed}",
        result.scenario,
        [
            (run.algorithm, [record.fates for record in run.records], looks[run.algorithm])
            for run in result.runs
        ],
        _around(result),
    )


def curves(
    title: str,
    circumstances: str,
    scenario: Scenario,
    drawn: Sequence[Curve],
    span: tuple[float, float] | None = None,
) -> Figure:
    """The panels of a timeline, with these curves in them, within `span` of the seconds."""
    since, until = span or (0.0, max(_ends(runs) for _, runs, _ in drawn))
    step = _step(until - since, [_answers(runs, since, until) for _, runs, _ in drawn])
    until = since + max(math.floor((until - since) / step), 1) * step  # no part of a step
    seen = [(series(runs, step, since, until), name, look) for name, runs, look in drawn]
    told = f"{circumstances}; in steps of {duration(step)}"
    figure, panels = blank(title, told, rows=len(PANELS), height=170.0 * len(PANELS))
    for ax in panels:
        for fault in scenario.faults:
            ax.axvspan(fault.since, fault.until, color=FAINT, alpha=0.15, linewidth=0)
    _steps(panels[GOOD], seen[0][0], seen[0][0].arrivals, "arrivals", Style(INK, (0, (1, 1)), ""))
    for ax, (column, said) in zip(panels, PANELS, strict=True):
        for columns, name, look in seen:
            _steps(ax, columns, getattr(columns, column), name, look)
        ax.set_ylabel(said)
    for ax, (column, _) in zip(panels[:LATENCIES], PANELS, strict=False):
        values = np.concatenate([getattr(columns, column) for columns, _, _ in seen])
        found = finite(values)
        least, most = min(found, default=0.0), max(found, default=0.0)
        latency_axis(ax, "y", least / 1.3, float(np.median(found)) if found else 0.0, most * 1.05)
        if ax.get_yscale() == "log":
            ax.yaxis.set_major_locator(LogLocator(numticks=6))
        if not found:
            ax.set_yticks([])
            said = f"too few answers: {CARRIED} a step carry it" if column == "p99" else "no answer"
            ax.annotate(said, (0.5, 0.5), xycoords="axes fraction", ha="center", color=FAINT)
    for ax in panels[LATENCIES:-1]:
        ax.set_ylim(0, max(ax.get_ylim()[1], 1.0))
    top = len(scenario.backends)
    panels[-1].set_ylim(-0.05 * top, 1.1 * top)
    panels[-1].yaxis.set_major_locator(MaxNLocator(4, integer=True))
    panels[-1].xaxis.set_major_formatter(FuncFormatter(duration))
    panels[-1].set_xlabel("time since the start" + _faults(scenario))
    panels[-1].set_xlim(since, until)
    figure.align_ylabels()
    legend(figure, panels[GOOD])
    return figure


def _steps(ax: Axes, seen: Series, values: Floats, label: str, look: Style) -> None:
    edges = seen.since + seen.step * np.arange(len(values) + 1.0)
    ax.stairs(
        values,
        edges,
        baseline=None,
        label=label,
        color=look.colour,
        linestyle=look.dashes,
        linewidth=1.8 if look.marker else 1.0,
    )


def _faults(scenario: Scenario) -> str:
    kinds = [
        f"{fault.kind} ({', '.join(map(shortened, fault.backends))})" for fault in scenario.faults
    ]
    told = listed(kinds, 3)
    if not kinds:
        return ""
    return f"; shaded: {told}" if len(told) <= 100 else f"; {len(kinds)} faults shaded"


def _around(result: Result) -> tuple[float, float] | None:
    """The seconds of the trouble and of the calm around it, where a run is much longer."""
    trouble = Trouble.of(result.scenario)
    whole = max(_ends([record.fates for record in run.records]) for run in result.runs)
    if trouble is None or not math.isfinite(trouble.until):
        return None
    calm = max(trouble.until - trouble.since, CALM)
    since = max(math.floor(trouble.since - calm), 0.0)
    until = math.ceil(trouble.until + 2 * calm)
    return (since, until) if whole > LONG * (until - since) else None


def _ends(runs: Sequence[Fates]) -> float:
    return max((float(np.nanmax(run.ended, initial=0.0)) for run in runs), default=0.0)


def _answers(runs: Sequence[Fates], since: float, until: float) -> int:
    return sum(
        int(np.count_nonzero(run.good & (run.ended >= since) & (run.ended < until))) for run in runs
    )


def _step(span: float, answers: Sequence[int]) -> float:
    """Seconds: a picture has room for it, and it carries a p99 where that leaves enough of them."""
    carries = 2 * CARRIED * span / max(min(answers), 1)
    wanted = max(span / STEPS, min(carries, span / FEWEST))
    return float(next((step for step in NICE if step >= wanted), math.ceil(wanted / 3600) * 3600))
