"""How much slower than the best of them each algorithm is."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from sim.output.plots.latency import PERCENTILES
from sim.output.plots.runs import dressed, empty, named
from sim.output.plots.style import INK, shortened
from sim.result import COMPARED, Result

FAR = 5.0
"""Times the best from where on a logarithmic axis tells more."""

LONGEST = 40
"""Letters beside the panels."""


def best(result: Result, metric: str) -> str | None:
    """The algorithm with the least latency; None where no two can be compared."""
    values = {run.algorithm: run.latency[metric].value for run in result.runs}
    known = {name: value for name, value in values.items() if math.isfinite(value)}
    least = min(known, key=known.__getitem__, default=None)
    return least if least is not None and len(known) > 1 and known[least] > 0 else None


def regret(result: Result) -> Figure:
    """Times the latency of the best, with 95 % intervals, a panel for each figure.

    The intervals are those of the paired difference from the best. Hollow: cannot be told from it.
    """
    figure, panels = empty(
        result,
        "How many times the best one's latency",
        columns=len(COMPARED),
        share_y=True,
        height=170.0 + 52.0 * len(result.runs),
    )
    order = [name for group in result.ranking("p99") for name in group]
    looks = {run.algorithm: (named(run), look) for run, look in dressed(result)}
    for ax, metric in zip(panels, COMPARED, strict=True):
        _against_best(ax, result, metric, order)
        ax.set_xlabel(PERCENTILES[metric])
    panels[0].set_yticks(range(len(order)), [shortened(looks[name][0], LONGEST) for name in order])
    for text, name in zip(panels[0].get_yticklabels(), order, strict=True):
        text.set_color(looks[name][1].colour)
        text.set_fontweight("bold")
    panels[0].set_ylim(len(order) - 0.5, -0.5)
    said = "hollow: cannot be told from the best at 95 %; –: too few requests, or none"
    figure.supxlabel(said, fontsize=10)
    return figure


def _against_best(ax: Axes, result: Result, metric: str, order: list[str]) -> None:
    winner = best(result, metric)
    if winner is None:
        ax.set_xticks([])
        for place, name in enumerate(order):
            if not math.isfinite(result[name].latency[metric].value):
                ax.annotate("–", (0.5, place), xycoords=("axes fraction", "data"), va="center")
        return
    ax.axvline(1.0, color=INK, linewidth=1)
    least = result[winner].latency[metric].value
    looks = {run.algorithm: look for run, look in dressed(result)}
    reach = [1.0]
    lows = [1.0]
    for place, name in enumerate(order):
        value = result[name].latency[metric].value / least
        if not math.isfinite(value):
            ax.annotate("–", (1.0, place), (8, 0), textcoords="offset points", va="center")
            continue
        low = high = value
        told = name == winner
        if name != winner:
            row = result.between(winner, name, metric)
            sign = 1.0 if row.b == name else -1.0
            told = row.distinguishable
            ends = [row.difference.low, row.difference.high]
            if ends[0] is not None and ends[1] is not None:
                low, high = sorted(1.0 + sign * end / least for end in ends if end is not None)
        colour = looks[name].colour
        ax.errorbar(
            [value],
            [place],
            xerr=np.array([[max(value - low, 0.0)], [max(high - value, 0.0)]]),
            color=colour,
            marker=looks[name].marker,
            markerfacecolor=colour if told else "white",
            markersize=7,
            capsize=4,
            linestyle="none",
        )
        ax.annotate(
            "best" if name == winner else f"{value:.3g}",
            (value, place),
            (0, 7),
            textcoords="offset points",
            horizontalalignment="center",
            fontsize=9,
        )
        reach += [value, min(high, 2 * value)]
        lows.append(max(low, 0.5))
    _scaled(ax, min(lows), max(reach))


def _scaled(ax: Axes, least: float, most: float) -> None:
    if most > FAR:
        ax.set_xscale("log")
        steps = (1, 2, 5) if most < 4 * FAR else (1,)
        ax.xaxis.set_major_locator(LogLocator(subs=steps, numticks=12))
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.set_xlim(0.8 * least, most * 1.4)
    else:
        ax.xaxis.set_major_locator(MaxNLocator(3))
        room = max(most - least, 0.05)
        ax.set_xlim(least - 0.15 * room, most + 0.2 * room)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
