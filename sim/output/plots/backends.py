"""What each backend gets, and how busy it is."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from sim.model.laws import Floats
from sim.output.plots.runs import dressed, empty
from sim.output.plots.style import INK, backend_names, legend, offsets
from sim.result import Result

BARS = 400
"""In one panel: more are narrower than a pixel or two, and backends are ranked instead."""


def backends(result: Result) -> Figure:
    """Share and utilisation of each backend under each algorithm.

    Where there are too many bars, backends stand from the most to the least, each algorithm's own.
    """
    figure, (share, busy) = empty(result, "What each backend gets, and how busy it is", rows=2)
    capacity = np.array([model.capacity for _, model in result.scenario.modelled()])
    fair = capacity / capacity.sum() if math.isfinite(capacity.sum()) else None
    draw = _bars if len(capacity) * len(result.runs) <= BARS else _ranked
    draw(result, share, busy, fair)
    busy.axhline(1.0, color=INK, linewidth=1, linestyle=(0, (4, 3)))
    busy.set_ylim(0, 1.1)
    share.margins(y=0.08)
    share.set_ylim(bottom=0)
    share.set_ylabel("share of requests")
    busy.set_ylabel("utilisation")
    share.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value * 100:g} %"))
    legend(figure, share)
    return figure


def _bars(result: Result, share: Axes, busy: Axes, fair: Floats | None) -> None:
    places = np.arange(len(result.scenario.backends))
    width = 0.7 / len(result.runs)
    for (run, look), offset in zip(dressed(result), offsets(len(result.runs)), strict=True):
        for ax, heights in (
            (share, [use.share for use in run.backends]),
            (busy, [use.utilisation for use in run.backends]),
        ):
            ax.bar(places + offset, heights, width * 0.9, color=look.colour, label=run.algorithm)
    if fair is not None:
        share.hlines(fair, places - 0.42, places + 0.42, color=INK, label="share of the capacity")
    backend_names(busy, [use.name for use in result.runs[0].backends])


def _ranked(result: Result, share: Axes, busy: Axes, fair: Floats | None) -> None:
    edges = np.arange(len(result.scenario.backends) + 1) + 0.5
    for run, look in dressed(result):
        for ax, heights in (
            (share, [use.share for use in run.backends]),
            (busy, [use.utilisation for use in run.backends]),
        ):
            ax.stairs(
                np.sort(heights)[::-1],
                edges,
                baseline=None,
                label=run.algorithm,
                color=look.colour,
                linestyle=look.dashes,
                linewidth=1.8,
            )
    if fair is not None:
        said = "share of the capacity"
        share.stairs(np.sort(fair)[::-1], edges, baseline=None, color=INK, label=said)
    busy.xaxis.set_major_locator(MaxNLocator(integer=True))
    busy.set_xlim(edges[0], edges[-1])
    busy.set_xlabel("backends, those with the most first")
