"""How many requests are there over time: in flight at all, and at each backend."""

from __future__ import annotations

import math
from itertools import groupby

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import SymLogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from sim.analysis.presence import presence
from sim.analysis.record import Record, binned, occupancy
from sim.model.laws import Floats
from sim.output.plots.runs import dressed, empty, named
from sim.output.plots.style import FAINT, INK, duration, shortened
from sim.result import AlgorithmRun, Result

BINS = 300
"""Of the time axis: four pixels each."""
ROWS = 100
"""Backends of a heat-map; of more, neighbours share a row."""
NAMED = 40
"""Rows that have their names beside them."""
LINE = 14.0
"""Pixels of a name."""
HEAT = "YlGnBu"
"""Ever darker, so that it needs no colours to be read."""
FRAME = "#d55e00"
"""Of a fault: seen on the light end and on the dark one."""


def in_flight(result: Result) -> Figure:
    """Requests in flight over time in the first replication, a panel for each algorithm."""
    figure, panels = empty(
        result,
        f"Requests in flight, first replication: mean and range in {BINS} intervals",
        rows=len(result.runs),
        share_y=True,
    )
    edges = _edges(result)
    middles = (edges[1:] + edges[:-1]) / 2
    for ax, (run, look) in zip(panels, dressed(result), strict=True):
        record, cut, colour = run.records[0], run.warmup, look.colour
        said = named(run)
        if record.completed:
            mean, low, high = binned(*occupancy(*record.in_flight()), edges)
            ax.fill_between(middles, low, high, color=colour, alpha=0.25, linewidth=0)
            ax.plot(middles, mean, color=colour, linewidth=1.5)
            said += f": {high.max():.0f} at most"
        if cut > 0:
            ax.axvline(cut, color=INK, linewidth=1.2, linestyle=(0, (4, 3)))
            ax.axvspan(0, cut, color=FAINT, alpha=0.15, linewidth=0)
            said += f"; warm-up cut at {duration(float(f'{cut:.3g}'))}"
        ax.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        _headed(ax, said, colour)
    panels[-1].set_ylim(0, max(1.0, panels[-1].get_ylim()[1]))
    _timed(panels[-1], edges)
    figure.supylabel("requests in flight", fontsize=10)
    return figure


def queues(result: Result) -> Figure:
    """Requests at each backend over time in the first replication, a panel for each algorithm.

    Counted per worker: above one, some wait. Faults are outlined where and when they struck.
    """
    scenario = result.scenario
    workers = np.array([model.workers for _, model in scenario.modelled()])
    together = math.ceil(len(workers) / ROWS)
    rows = math.ceil(len(workers) / together)
    heats = [_heat(run, workers, together, _edges(result)) for run in result.runs]
    most = max(1.0, *(float(heat.max()) for heat in heats))
    panel = _height(len(heats), rows)
    figure, panels = empty(
        result,
        "Requests at each backend, first replication",
        rows=len(result.runs),
        share_y=True,
        height=200.0 + (panel + 25.0) * len(heats),
    )
    edges = _edges(result)
    for ax, heat, (run, look) in zip(panels, heats, dressed(result), strict=True):
        image = ax.imshow(
            heat,
            HEAT,
            SymLogNorm(linthresh=1.0, linscale=1.0, base=10, vmin=0.0, vmax=most),
            aspect="auto",
            interpolation="nearest",
            extent=(edges[0], edges[-1], rows - 0.5, -0.5),
        )
        ax.grid(visible=False)
        _outlined(ax, run.records[0], together)
        _headed(ax, named(run), look.colour)
    every = math.ceil(LINE * rows / panel)
    _backends_beside(panels[-1], [row.label for row in scenario.backends], together, every)
    _timed(panels[-1], edges, ", faults outlined" * bool(scenario.faults))
    bar = figure.colorbar(image, ax=panels, aspect=40, pad=0.01)
    bar.ax.yaxis.set_major_locator(FixedLocator(_ticks(most)))
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    bar.set_label("requests per worker; above 1, some wait")
    if together > 1:
        figure.supylabel(f"backends, the fullest of {together} neighbours each", fontsize=10)
    return figure


def _height(panels: int, rows: int) -> float:
    """Pixels of a panel: room for the names of its rows, but not without end."""
    return min(max(90.0, LINE * min(rows, NAMED)), max(90.0, 2000.0 / panels))


def _edges(result: Result) -> Floats:
    until = max(run.records[0].until for run in result.runs)
    return np.linspace(0, until or 1.0, BINS + 1)


def _heat(run: AlgorithmRun, workers: Floats, together: int, edges: Floats) -> Floats:
    """Per worker; a row is the fullest of its backends."""
    each = presence(run.records[0], len(workers), edges) / workers[:, None]
    heat: Floats = np.maximum.reduceat(each, np.arange(0, len(workers), together))
    return heat


def _outlined(ax: Axes, record: Record, together: int) -> None:
    """A frame around the rows and the time of each fault, as it struck."""
    struck: dict[tuple[float, float], set[int]] = {}
    for place, since, until in record.troubles:
        struck.setdefault((since, until), set()).add(place // together)
    for (since, until), places in struck.items():
        for _, run in groupby(enumerate(sorted(places)), lambda pair: pair[1] - pair[0]):
            rows = [row for _, row in run]
            frame = Rectangle(
                (since, rows[0] - 0.5),
                min(until, ax.get_xlim()[1]) - since,
                len(rows),
                fill=False,
                edgecolor=FRAME,
                linewidth=1.6,
                linestyle=(0, (4, 2)),
            )
            ax.add_patch(frame)


def _backends_beside(ax: Axes, names: list[str], together: int, every: int) -> None:
    if len(names) > NAMED:
        ax.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda row, _: f"{row * together + 1:.0f}"))
    else:
        ax.set_yticks(range(0, len(names), every), map(shortened, names[::every]))


def _ticks(most: float) -> list[float]:
    decades = range(math.ceil(math.log10(most)) + 1)
    steps = (1, 2, 5) if most < 200 else (1,)
    return [0.0, 0.5, *(step * 10.0**k for k in decades for step in steps if step * 10**k <= most)]


def _headed(ax: Axes, said: str, colour: str) -> None:
    """Words in the colour of an algorithm above its panel."""
    ax.annotate(
        said,
        (1, 1),
        (0, 3),
        xycoords="axes fraction",
        textcoords="offset points",
        horizontalalignment="right",
        color=colour,
        fontweight="bold",
    )


def _timed(ax: Axes, edges: Floats, more: str = "") -> None:
    ax.set_xlim(edges[0], edges[-1])
    ax.xaxis.set_major_formatter(FuncFormatter(duration))
    ax.set_xlabel(f"time since the start{more}")
