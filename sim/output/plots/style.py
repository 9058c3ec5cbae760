"""How pictures look: colours, dashes and markers of algorithms, scales and units of axes.

Figures are made without pyplot: no global state, no display, the same bytes every time.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, NamedTuple
from zlib import crc32

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from lb.strategies import REGISTRY
from sim.model.laws import Floats

PIXELS, DPI = (1200, 750), 100
WIDE = 50.0
"""Latencies whose largest is more than this times the typical stand on a logarithmic axis."""
INK, FAINT = "#222222", "#8a8a8a"

Dashes = str | tuple[int, tuple[float, ...]]
Marker = str | tuple[int, int, int]


class Style(NamedTuple):
    """How one algorithm looks in a picture."""

    colour: str
    dashes: Dashes
    """Differ too, so that curves that coincide can both be seen."""
    marker: Marker


DASHES: tuple[Dashes, ...] = (
    "-",
    (0, (5, 3)),
    (0, (6, 2, 1, 2)),
    (0, (1.5, 1.5)),
    (0, (8, 2, 1.5, 2, 1.5, 2)),
)
_SOLID, _LONG, _DASH_DOT, _DOTTED, _DASH_DOT_DOT = DASHES

# Okabe & Ito, "Color universal design", 2008, without its yellow, which is faint on white; then
# darker and lighter ones. Where two look alike to a colour-blind person, their dashes differ.
LOOKS = (
    Style("#0072b2", _SOLID, "o"),
    Style("#d55e00", _LONG, "s"),
    Style("#e69f00", _SOLID, "D"),
    Style("#cc79a7", _LONG, "d"),
    Style("#009e73", _SOLID, "^"),
    Style("#56b4e9", _DASH_DOT, "v"),
    Style("#882255", _SOLID, "P"),
    Style("#0b5d1e", _DASH_DOT, "X"),
    Style("#8f8f1f", _DOTTED, "<"),
    Style("#e0525f", _DOTTED, ">"),
    Style("#2ab7b0", _DASH_DOT_DOT, "p"),
    Style("#aa3fb0", _DASH_DOT, "h"),
    Style("#7a4b1e", _DASH_DOT_DOT, "H"),
    Style("#332288", _LONG, "*"),
    Style("#7b83d6", _DOTTED, "8"),
    Style("#000000", _DASH_DOT, (4, 1, 0)),
    Style("#5b7f95", _DASH_DOT_DOT, (6, 1, 0)),
    Style("#c9a227", _DOTTED, (3, 1, 0)),
    Style("#b5651d", _DASH_DOT, (4, 1, 45)),
    Style("#4d8c57", _LONG, (8, 1, 0)),
    Style("#b2182b", _SOLID, (7, 1, 0)),
    Style("#6b6b2f", _DASH_DOT, (5, 1, 36)),
)


def styles(algorithms: Iterable[str]) -> dict[str, Style]:
    """A look for each algorithm of one picture, no two alike.

    A registered one always has the look of its place in the registry. Any other, a plug-in or one
    with parameters, begins at a place that its name alone decides and takes the next free one,
    those that no registered algorithm has before the rest. Beyond all of `LOOKS` the colours come
    again with other dashes and markers.
    """
    names = list(dict.fromkeys(algorithms))
    registered = {name: place for place, name in enumerate(REGISTRY)}
    places = {name: registered[name] for name in names if name in registered}
    for name in sorted(set(names) - places.keys()):
        taken = set(places.values())
        places[name] = next(place for place in _preferred(name, len(names)) if place not in taken)
    return {name: _look(places[name]) for name in names}


def _preferred(name: str, drawn: int) -> Iterable[int]:
    own = len(REGISTRY)
    code = crc32(name.encode())
    for places in (range(own, len(LOOKS)), range(own), range(len(LOOKS), len(LOOKS) + drawn)):
        if places:
            start = code % len(places)
            yield from (*places[start:], *places[:start])


def _look(place: int) -> Style:
    again, at = divmod(place, len(LOOKS))
    base = LOOKS[at]
    if not again:
        return base
    dashes = DASHES[(DASHES.index(base.dashes) + again) % len(DASHES)]
    return Style(base.colour, dashes, LOOKS[(at + 7 * again) % len(LOOKS)].marker)


# --- time


def duration(seconds: float, _position: int | None = None) -> str:
    """`0.25` -> `"250 ms"`: the unit by the magnitude. Also a tick formatter."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if abs(seconds) >= size * (1 - 1e-9):
            return f"{seconds / size:.6g} {unit}"
    return f"{seconds:g} s"


def latency_axis(
    ax: Axes, which: Literal["x", "y"], least: float, typical: float, most: float
) -> None:
    """Scale, limits and ticks for seconds: up to `most`, from zero or, if logarithmic, `least`."""
    axis = ax.xaxis if which == "x" else ax.yaxis
    limits = (0.0, most * 1.05 or 1.0)
    if least > 0 and most > WIDE * typical:
        ax.set(**{f"{which}scale": "log"})
        limits = (least, most * 1.15)
        axis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=30))
        axis.set_minor_formatter(NullFormatter())
    axis.set_major_formatter(FuncFormatter(duration))
    ax.set(**{f"{which}lim": limits})


# --- layout


@contextmanager
def without_warnings() -> Iterator[None]:
    """What a library warns of while it draws (of labels that leave no room, say) is no user's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def blank(
    title: str,
    circumstances: str,
    rows: int = 1,
    columns: int = 1,
    *,
    share_x: bool = True,
    share_y: bool = False,
    height: float = 0.0,
) -> tuple[Figure, list[Axes]]:
    """An empty picture of panels, row by row: those below each other have one x axis, if
    `share_x`.

    `height` is in pixels; where none is given, every row has enough of them.
    """
    inches = (height or max(PIXELS[1], 125 * rows)) / DPI
    figure = Figure((PIXELS[0] / DPI, inches), DPI, facecolor="white")
    figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.08)
    FigureCanvasAgg(figure)
    sharing: Literal["col", "none"] = "col" if share_x else "none"
    panels = list(
        figure.subplots(rows, columns, sharex=sharing, sharey=share_y, squeeze=False).flat
    )
    for ax in panels:
        ax.spines[["top", "right"]].set_visible(False)
        ax.set_axisbelow(True)
        ax.grid(axis="y", color=FAINT, linewidth=0.5, alpha=0.4)
    panels[0].set_title(title, loc="left", pad=26, fontsize=15, fontweight="bold")
    told = panels[0].annotate(
        circumstances,
        (0, 1),
        (0, 8),
        xycoords="axes fraction",
        textcoords="offset points",
        color="#555555",
    )
    # What stands above one of several columns must not make it the widest. Of a title the layout
    # takes the height only.
    told.set_in_layout(columns == 1)
    return figure, panels


def only(panels: Sequence[Axes], count: int, columns: int) -> None:
    """Leave the first `count` panels, the lowest of each column with what stands at its ticks."""
    for ax in panels[count:]:
        ax.set_axis_off()
    for ax in panels[max(count - columns, 0) : count]:
        ax.tick_params(labelbottom=True)


def legend(figure: Figure, ax: Axes, more: Sequence[Line2D] = ()) -> None:
    """Of what is on `ax` and of `more`, below the axes, where it covers nothing."""
    handles, labels = ax.get_legend_handles_labels()
    handles, labels = [*handles, *more], [*labels, *(str(line.get_label()) for line in more)]
    columns = max(1, min(len(labels), 5, 130 // (max(map(len, labels), default=1) + 6)))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False)


def offsets(n: int) -> Floats:
    """Places of `n` neighbours around a tick, inside 0.7 of the distance between ticks."""
    return (np.arange(n) - (n - 1) / 2) * 0.7 / n


def backend_names(ax: Axes, names: Sequence[str]) -> None:
    """Names under the bars; upright when there are many, thinned out when too many."""
    every = math.ceil(len(names) / 50)
    rotation = 0 if sum(map(len, names)) <= 110 else 90
    shown = [shortened(name) for name in names[::every]]
    ax.set_xticks(range(0, len(names), every), shown, rotation=rotation)
    ax.set_xlim(-0.6, len(names) - 0.4)


def shortened(name: str, most: int = 24) -> str:
    """A name that leaves room for the picture, the end tells most; and that is no formula."""
    short = name if len(name) <= most else f"…{name[1 - most :]}"
    return short.replace("$", r"\$")
