"""Pictures of a sweep: who wins where, and latency against load."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from sim.fit.grid import short_names, shown
from sim.fit.regimes import Regimes, arranged, curves, regimes
from sim.fit.sweep import Sweep
from sim.model.laws import Floats
from sim.output.plots.style import (
    FAINT,
    INK,
    Style,
    blank,
    duration,
    legend,
    only,
    shortened,
    styles,
)
from sim.output.plots.theory import theory_lines

PANELS = 9
"""More in one picture have no room for what they say."""
CROSSES = 0.04
"""From one row of crosses to the next, over the height of a panel."""
LETTER = 6.0
"""Pixels of one in a cell."""
LINES = 40.0
"""Pixels of three lines of words."""


def regime_map(sweep: Sweep, metric: str = "p99") -> Figure:
    """One colour for each algorithm that wins; hatched where it cannot be told from others.

    A panel for every combination of the axes beyond two, `PANELS` of them at most.
    """
    all_of_them = regimes(sweep, metric)
    maps = all_of_them[:PANELS]
    looks = styles(sweep.algorithms)
    columns = min(len(maps), 3)
    rows = math.ceil(len(maps) / columns)
    up = max(len(it.best) for it in maps)
    tall = min(max(72.0 * up, 120.0), 560.0)
    figure, panels = blank(
        f"Least {metric}: which algorithm, where",
        _told(sweep, len(all_of_them)),
        rows,
        columns,
        height=90.0 + rows * (110.0 + tall),
    )
    names = {name: name for name in sweep.algorithms}
    room = 1000.0 / columns / max(len(it.across) for it in maps)
    if max(map(len, names)) * LETTER > room:
        names = codes(sweep.algorithms)
    for ax, it in zip(panels, maps, strict=False):
        _draw(ax, it, looks, names if room > 9 * LETTER and tall / up > LINES else {})
        _below(ax, sweep, it.x, it.fixed)
    only(panels, len(maps), columns)
    seen = {name for it in maps for row in it.best for names in row for name in names[:2]}
    handles = [
        Patch(
            facecolor=_pale(looks[name]),
            edgecolor=looks[name].colour,
            label=name if names[name] == name else f"{names[name]}: {name}",
        )
        for name in sweep.algorithms
        if name in seen
    ]
    handles.append(
        Patch(facecolor="white", edgecolor=FAINT, hatch="///", label="cannot be told apart at 95 %")
    )
    figure.legend(
        handles=handles, loc="outside lower center", ncols=min(len(handles), 4), frameon=False
    )
    return figure


def _draw(ax: Axes, it: Regimes, looks: Mapping[str, Style], words: Mapping[str, str]) -> None:
    for row, line in enumerate(it.best):
        for column, names in enumerate(line):
            if names:
                _cell(ax, column, row, names, float(it.values[row, column]), looks, words)
            else:
                told = "too few\nrequests" if words else "–"
                _dark(ax, column, row, told if it.simulated[row][column] else "?")
    ax.set_xlim(-0.5, len(it.across) - 0.5)
    ax.set_ylim(-0.5, len(it.best) - 0.5)
    ax.grid(visible=False)
    every = math.ceil(len(it.across) / 12)
    ax.set_xticks(range(0, len(it.across), every), [shown(v) for v in it.across[::every]])
    every = math.ceil(len(it.best) / 24)
    heights = [shortened(shown(value), 16) for value in it.up[::every]]
    ax.set_yticks(range(0, len(it.up), every), heights)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_ylabel(it.y or "")


def _dark(ax: Axes, x: int, y: int, why: str) -> None:
    ax.add_patch(Rectangle((x - 0.48, y - 0.47), 0.96, 0.94, facecolor="#f2f2f2"))
    ax.text(x, y, why, ha="center", va="center", fontsize=8, color=FAINT)


def _cell(
    ax: Axes,
    x: int,
    y: int,
    names: tuple[str, ...],
    value: float,
    looks: Mapping[str, Style],
    words: Mapping[str, str],
) -> None:
    corner = (x - 0.48, y - 0.47)
    ax.add_patch(
        Rectangle(
            corner,
            0.96,
            0.94,
            facecolor=_pale(looks[names[0]]),
            edgecolor=looks[names[1]].colour if len(names) > 1 else "none",
            hatch="///" if len(names) > 1 else None,
            linewidth=0,
        )
    )
    if words:
        told = [words[name] for name in names[:2]]
        more = [f"and {len(names) - 2} more"] if len(names) > 2 else []
        text = "\n".join(["\n= ".join(told), *more, duration(float(f"{value:.3g}"))])
        halo = [withStroke(linewidth=2.5, foreground="white")]
        ax.text(x, y, text, ha="center", va="center", fontsize=8, color=INK, path_effects=halo)


def codes(algorithms: Sequence[str]) -> dict[str, str]:
    """Short forms, no two alike: `least_connections` is LC, `p2c` stays."""
    found: dict[str, str] = {}
    for name in algorithms:
        base = name.partition(":")[0]
        parts = base.split("_")
        code = base if len(parts) == 1 else "".join(part[0] for part in parts).upper()
        alike = sum(other.rstrip("'") == code[:6] for other in found.values())
        found[name] = code[:6] + "'" * alike
    return found


def by_load(sweep: Sweep, metric: str = "p99") -> Figure:
    """Latency against load, or against the longest axis: a curve an algorithm, with 95 % bands.

    A panel for every combination of the other axes, `PANELS` of them at most.
    """
    x, *_ = arranged(sweep)
    all_of_them = list(curves(sweep, metric))
    parts = all_of_them[:PANELS]
    looks = styles(sweep.algorithms)
    columns = min(len(parts), 3)
    rows = math.ceil(len(parts) / columns)
    figure, panels = blank(
        f"{metric} against {x}",
        _told(sweep, len(all_of_them)),
        rows,
        columns,
        share_y=True,
        height=340.0 * rows + 200,
    )
    values = sweep.axes[x]
    numeric = all(isinstance(value, int | float) for value in values)
    places = np.array(values if numeric else range(len(values)), dtype=float)
    theory: list[Line2D] = []
    lacking = False
    for ax, (fixed, told) in zip(panels, parts, strict=False):
        for number, name in enumerate(sweep.algorithms):
            *curve, lacks = told[:, :, number]
            _curve(ax, places, curve, looks[name], name)
            lacking |= _gaps(ax, places[lacks == 1], looks[name], number)
        if numeric:
            theory = theory_lines(ax, sweep, x, fixed, metric) or theory
        else:
            ax.set_xticks(range(len(values)), [shortened(shown(value), 16) for value in values])
        _below(ax, sweep, x, fixed)
    known = np.concatenate([told[0].ravel() for _, told in parts])
    _latencies(panels[0], known[np.isfinite(known)])
    only(panels, len(parts), columns)
    legend(figure, panels[0], [*theory, *([_absent()] if lacking else [])])
    return figure


def _gaps(ax: Axes, places: Floats, look: Style, number: int) -> bool:
    """A cross above the axis where a curve has no point for want of requests; whether there is."""
    heights = np.full(len(places), CROSSES * (number + 1))
    across = ax.get_xaxis_transform()
    if len(places):
        ax.plot(places, heights, "x", color=look.colour, markersize=6, transform=across)
    return bool(len(places))


def _absent() -> Line2D:
    return Line2D([], [], color=FAINT, linestyle="none", marker="x", label="too few requests")


def _curve(ax: Axes, places: Floats, told: Sequence[Floats], look: Style, label: str) -> None:
    value, low, high = told
    order = np.argsort(places)
    ax.plot(
        places[order],
        value[order],
        color=look.colour,
        linestyle=look.dashes,
        marker=look.marker,
        markersize=5,
        label=label,
    )
    ax.fill_between(places[order], low[order], high[order], color=look.colour, alpha=0.15, lw=0)


def _latencies(ax: Axes, known: Floats) -> None:
    """One scale for all panels; logarithmic where they span more than a decade."""
    ax.yaxis.set_major_formatter(FuncFormatter(duration))
    if len(known) and known.min() > 0 and known.max() > 10 * known.min():
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=30))
        ax.yaxis.set_major_formatter(FuncFormatter(duration))
        ax.yaxis.set_minor_formatter(NullFormatter())
        ax.set_ylim(known.min() / 1.2, known.max() * 1.3)
    elif len(known):
        ax.set_ylim(0.0, known.max() * 1.15)


def _told(sweep: Sweep, panels: int) -> str:
    run, count = sweep.scenario.run, len(sweep.cells)
    done = count - sweep.rows.count(None)
    cells = f"{count} cells" if done == count else f"{done} of {count} cells"
    single = {name: values[0] for name, values in sweep.axes.items() if len(values) == 1}
    told = ", ".join([f"{cells}, each a comparison of its own", *_places(single)])
    few = f"; the first {PANELS} of {panels} panels" if panels > PANELS else ""
    return f"{told}; {run.replications} replications, seed {run.seed}{few}"


def _below(ax: Axes, sweep: Sweep, x: str, fixed: Mapping[str, Any]) -> None:
    """The name of the axis, and what is peculiar to this panel."""
    names = short_names(sweep.axes)
    own = {names[it]: value for it, value in fixed.items() if len(sweep.axes[it]) > 1}
    ax.set_xlabel("\n".join([x, *([", ".join(_places(own))] if own else [])]))


def _places(fixed: Mapping[str, Any]) -> list[str]:
    return [f"{name} {shortened(shown(value), 16)}" for name, value in fixed.items()]


def _pale(look: Style) -> tuple[float, float, float]:
    """Its colour with white, so that words can be read on it."""
    red, green, blue = (0.55 + 0.45 * part for part in to_rgb(look.colour))
    return red, green, blue
