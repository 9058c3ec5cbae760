"""A picture of a recommendation: latency against load for each contender, with the objective."""

from __future__ import annotations

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from sim.fit.recommend.aims import LATENCIES
from sim.fit.recommend.headroom import Headroom
from sim.fit.recommend.recommendation import Recommendation
from sim.output.plots.style import FAINT, INK, Style, blank, duration, legend, offsets, styles

ABOVE = 1.6
"""Times the objective up to which curves are shown."""
APART = 0.25
"""By how much of the objective dots are moved apart, so that none hides another."""


def headroom_picture(found: Recommendation) -> Figure:
    """Two panels: all backends there, and the worst to lose lost; a dot at each safe load."""
    rows = [row for row in found.rows if row.headroom is not None]
    looks = styles(row.algorithm for row in rows)
    lost = any(row.one_lost is not None for row in rows)
    goal = ", ".join(map(str, found.aims))
    dots = "dots, moved apart: safe load with its 95 % interval"
    told = f"{goal}; {dots}; seed {found.scenario.run.seed}"
    figure, panels = blank("How much load each bears", told, 1, 1 + lost, share_y=True)
    single = len(found.aims) == 1 and found.aims[0].metric in LATENCIES
    bound = found.aims[0].bound if single else 1.0
    for row, offset in zip(rows, offsets(len(rows)), strict=True):
        at = bound * (1 + APART * offset)
        for ax, it in zip(panels, (row.headroom, row.one_lost), strict=False):
            if it is not None:
                _curve(ax, it, bound, looks[row.algorithm], row.algorithm)
                _dot(ax, it, at, looks[row.algorithm])
    tried = [it for row in rows for it in (row.headroom, row.one_lost) if it is not None]
    least = min((used for it in tried for _, used in it.curve), default=1.0)
    top = max(ABOVE, 1.5 * least) if math.isfinite(least) else ABOVE
    gone = sorted({row.one_lost.lost for row in rows if row.one_lost is not None})
    names = f"{' or '.join(gone)} lost, the worst to lose"
    for ax, what in zip(panels, ("all backends", names), strict=False):
        ax.axhline(bound, color=INK, linewidth=1)
        ax.axvline(1.0, color=FAINT, linewidth=1, linestyle=":")
        ax.set_xlim(left=0.0)
        ax.set_ylim(0.0, top * bound)
        ax.set_xlabel(f"times today's traffic, {what}")
    if single:
        panels[0].set_ylabel(f"{found.aims[0].metric} as clients see it")
        panels[0].yaxis.set_major_formatter(FuncFormatter(duration))
    else:
        panels[0].set_ylabel("largest share of an objective that is used")
    legend(figure, panels[0])
    return figure


def _curve(ax: Axes, it: Headroom, bound: float, look: Style, label: str) -> None:
    able = [(x, used * bound) for x, used in it.curve if math.isfinite(used)]
    if able:
        ax.plot(
            *zip(*able, strict=True),
            color=look.colour,
            linestyle=look.dashes,
            marker=look.marker,
            markersize=4,
            label=label,
        )


def _dot(ax: Axes, it: Headroom, at: float, look: Style) -> None:
    if it.factor and it.high > it.low:
        ax.errorbar(
            [it.factor],
            [at],
            xerr=[[it.factor - it.low], [it.high - it.factor]],
            color=look.colour,
            marker="o",
            markersize=6,
            capsize=4,
        )
