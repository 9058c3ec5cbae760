"""Pictures of a result: tails, percentiles, backends, requests in flight.

The only file that imports matplotlib; callers import it inside the function that draws. Figures are
made without pyplot: no global state, no display, the same bytes every time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple
from zlib import crc32

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from sim.analysis.record import binned, occupancy
from sim.analysis.statistics import QUANTILES, student_t
from sim.experiment import Result, Run
from sim.live.verdict import Verdict
from sim.model.laws import Floats

PIXELS, DPI = (1200, 750), 100
POINTS = 500
"""Of a tail curve: more than its pixels need, whatever the sample."""
BINS = 300
"""Of the time axis: four pixels each."""
WIDE = 50.0
"""Latencies whose largest is more than this times the typical stand on a logarithmic axis."""
HANDFUL = 10
"""Requests in the tail of one replication below which its quantile is noise, and so the band."""
INK, FAINT = "#222222", "#8a8a8a"

PERCENTILES = {"mean": "mean", **{name: f"p{share * 100:g}" for name, share in QUANTILES.items()}}
"""Metrics of a run and what they are called in a picture."""


class Style(NamedTuple):
    """How one algorithm looks, in every picture."""

    colour: str
    dashes: str | tuple[int, tuple[float, ...]]
    """Differ too, so that curves that coincide can both be seen."""
    marker: str


_LONG = (0, (5, 3))
_DASH_DOT = (0, (6, 2, 1, 2))
_DOTTED = (0, (1.5, 1.5))
_DASH_DOT_DOT = (0, (8, 2, 1.5, 2, 1.5, 2))

# Okabe & Ito, "Color universal design", 2008, without its yellow, which is faint on white; then
# darker and lighter ones. Where two look alike to a colour-blind person, their dashes differ.
STYLES = {
    "round_robin": Style("#0072b2", "-", "o"),
    "weighted_round_robin": Style("#d55e00", _LONG, "s"),
    "least_connections": Style("#009e73", "-", "^"),
    "random": Style("#e69f00", "-", "D"),
    "weighted_random": Style("#cc79a7", _LONG, "d"),
    "p2c": Style("#56b4e9", _DASH_DOT, "v"),
    "peak_ewma": Style("#882255", "-", "P"),
    "least_response_time": Style("#0b5d1e", _DASH_DOT, "X"),
    "join_idle_queue": Style("#8f8f1f", _DOTTED, "<"),
    "prequal": Style("#332288", _LONG, "*"),
    "ip_hash": Style("#e0525f", _DOTTED, ">"),
    "consistent_hash": Style("#2ab7b0", _DASH_DOT_DOT, "p"),
    "maglev": Style("#aa3fb0", _DASH_DOT, "h"),
    "rendezvous": Style("#7a4b1e", _DASH_DOT_DOT, "H"),
    "sticky": Style("#7b83d6", _DOTTED, "8"),
}
SPARE = ("#000000", "#5b7f95", "#c9a227", "#b5651d", "#4d8c57")
DASHES = ((0, (6, 2, 1, 2)), (0, (3, 2)), (0, (8, 2)))
MARKERS = ("v", "P", "X", "<", ">", "h")


def style(algorithm: str) -> Style:
    """The look of an algorithm: a function of its name alone."""
    if algorithm in STYLES:
        return STYLES[algorithm]
    code = crc32(algorithm.encode())
    return Style(
        SPARE[code % len(SPARE)],
        DASHES[code // 5 % len(DASHES)],
        MARKERS[code // 15 % len(MARKERS)],
    )


def draw_all(result: Result, directory: Path) -> list[Path]:
    """Write every picture of `PICTURES` as a PNG into `directory`; the paths, in that order."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, picture in PICTURES.items():
        paths.append(directory / f"{name}.png")
        _save(picture(result), paths[-1])
    return paths


def draw_verdict(
    verdict: Verdict, predicted: Result, samples: Sequence[Floats], measured: Floats, path: Path
) -> None:
    """Write the measured tail over the predicted one as a PNG.

    `samples` holds the predicted latencies in seconds, one array per replication; `measured` the
    live ones.
    """
    figure, (ax,) = _figure(predicted, f"Measured beside predicted: {verdict.judgement.value}")
    look = style(verdict.algorithm)
    name = f"{verdict.algorithm}, predicted, with the 95 % band of one run"
    ccdf(ax, samples, name, look.colour, one_run=True)
    ccdf(ax, [measured], "measured", INK, (0, (3, 1.5)))
    tail_axes(ax)
    _legend(figure, ax)
    _save(figure, path)


# --- the pictures


def latency_ccdf(result: Result) -> Figure:
    """P(latency > t) for each algorithm, with its 95 % band over replications."""
    figure, (ax,) = _figure(result, "How many requests take longer than t")
    for run in result.runs:
        look = style(run.algorithm)
        ccdf(ax, run.samples, _label(run), look.colour, look.dashes)
    tail_axes(ax)
    _legend(figure, ax)
    return figure


def latency_percentiles(result: Result) -> Figure:
    """Mean and percentiles of each algorithm with their 95 % intervals."""
    figure, (ax,) = _figure(result, "Latency by percentile, with 95 % intervals")
    places = np.arange(len(PERCENTILES))
    reach: list[float] = []
    values: list[float] = []
    for run, offset in zip(result.runs, _offsets(len(result.runs)), strict=True):
        estimates = [run.latency[name] for name in PERCENTILES]
        value = np.array([estimate.value for estimate in estimates])
        low = np.array([e.value if e.low is None else max(e.low, 0.0) for e in estimates])
        high = np.array([e.value if e.high is None else e.high for e in estimates])
        look = style(run.algorithm)
        ax.errorbar(
            places + offset,
            value,
            yerr=(value - low, high - value),
            label=_label(run),
            color=look.colour,
            marker=look.marker,
            linestyle="none",
            markersize=7,
            capsize=4,
        )
        # A bar from few replications may leave the picture; it must not flatten the others.
        reach += _finite(np.minimum(high, 2 * value))
        values += _finite(value)
    ax.set_xticks(places, list(PERCENTILES.values()))
    ax.set_xlim(-0.5, len(places) - 0.5)
    for edge in places[:-1] + 0.5:
        ax.axvline(edge, color=FAINT, linewidth=0.5, alpha=0.5)
    least = min(values, default=0.0)
    _latency_axis(ax, "y", least / 1.5, least, max(reach, default=0.0))
    ax.set_ylabel("latency of successful requests")
    _legend(figure, ax)
    return figure


def backends(result: Result) -> Figure:
    """Share and utilisation of each backend under each algorithm."""
    figure, (share, busy) = _figure(result, "What each backend gets, and how busy it is", rows=2)
    capacity = np.array([model.capacity for _, model in result.scenario.modelled()])
    places = np.arange(len(capacity))
    offsets = _offsets(len(result.runs))
    width = 0.7 / len(result.runs)
    for run, offset in zip(result.runs, offsets, strict=True):
        for ax, heights in (
            (share, [use.share for use in run.backends]),
            (busy, [use.utilisation for use in run.backends]),
        ):
            colour = style(run.algorithm).colour
            ax.bar(places + offset, heights, width * 0.9, color=colour, label=run.algorithm)
    if math.isfinite(capacity.sum()):
        fair = capacity / capacity.sum()
        share.hlines(fair, places - 0.42, places + 0.42, color=INK, label="share of the capacity")
    busy.axhline(1.0, color=INK, linewidth=1, linestyle=(0, (4, 3)))
    busy.set_ylim(0, 1.1)
    share.margins(y=0.08)
    share.set_ylabel("share of requests")
    busy.set_ylabel("utilisation")
    share.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value * 100:g} %"))
    _backend_names(busy, [use.name for use in result.runs[0].backends])
    _legend(figure, share)
    return figure


def in_flight(result: Result) -> Figure:
    """Requests in flight over time in the first replication, a panel for each algorithm."""
    figure, panels = _figure(
        result,
        f"Requests in flight, first replication: mean and range in {BINS} intervals",
        rows=len(result.runs),
        share_y=True,
    )
    until = max(run.records[0].until for run in result.runs)
    edges = np.linspace(0, until, BINS + 1)
    middles = (edges[1:] + edges[:-1]) / 2
    for ax, run in zip(panels, result.runs, strict=True):
        record, cut, colour = run.records[0], run.warmups[0], style(run.algorithm).colour
        said = _label(run)
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
    panels[-1].set_ylim(0, max(1.0, panels[-1].get_ylim()[1]))
    panels[-1].set_xlim(0, until)
    panels[-1].xaxis.set_major_formatter(FuncFormatter(duration))
    panels[-1].set_xlabel("time since the start")
    figure.supylabel("requests in flight", fontsize=10)
    return figure


PICTURES: dict[str, Callable[[Result], Figure]] = {
    "latency_ccdf": latency_ccdf,
    "latency_percentiles": latency_percentiles,
    "backends": backends,
    "in_flight": in_flight,
}


# --- tails


def ccdf(
    ax: Axes,
    samples: Sequence[Floats],
    label: str,
    colour: str,
    dashes: str | tuple[int, tuple[float, ...]] = "-",
    *,
    one_run: bool = False,
) -> Line2D:
    """Draw P(latency > t), pooled, with its pointwise 95 % band over replications.

    `samples` holds latencies in seconds, one array per replication. The band is that of the
    quantile: at height 0.01 it is the interval of p99. It ends where a replication has but a
    handful of requests left; further down the curve says little. With `one_run` it is the wider
    band for one run more, which is what a single live run is held against.
    """
    filled = [sample for sample in samples if len(sample)]
    pooled = np.concatenate([np.empty(0), *filled])
    tails = np.geomspace(1, 1 / max(len(pooled), 2), POINTS)
    curve = np.quantile(pooled, 1 - tails) if len(pooled) else np.full(POINTS, np.nan)
    (line,) = ax.plot(curve, tails, label=label, color=colour, linestyle=dashes, linewidth=2)
    if len(filled) > 1:
        tails = tails[tails >= HANDFUL / min(map(len, filled))]
        each = np.array([np.quantile(sample, 1 - tails) for sample in filled])
        error = each.std(axis=0, ddof=1) * math.sqrt(1 / len(each) + one_run)
        half = student_t(0.975, len(each) - 1) * error
        middle = each.mean(axis=0)
        low = np.maximum(middle - half, 0)
        ax.fill_betweenx(tails, low, middle + half, color=colour, alpha=0.2, linewidth=0)
    return line


def tail_axes(ax: Axes) -> None:
    """Finish axes that hold `ccdf` curves: scales, names, and the heights of p90, p99 and p99.9."""
    curves = np.array([line.get_data() for line in ax.lines], dtype=float)
    deepest = float(curves[:, 1].min())
    typical, nearly_all = (
        min(_finite(curves[:, 0][curves[:, 1] <= tail]), default=0.0) for tail in (0.5, 0.98)
    )
    ax.grid(visible=False)
    for tail, name in ((1e-1, "p90"), (1e-2, "p99"), (1e-3, "p99.9")):
        if tail >= deepest:
            ax.axhline(tail, color=FAINT, linewidth=1, alpha=0.5, zorder=0)
            ax.annotate(
                name,
                (1, tail),
                (5, 0),
                xycoords=ax.get_yaxis_transform(),
                textcoords="offset points",
                verticalalignment="center",
                color=FAINT,
            )
    # From zero a logarithmic axis would spend decades on the few fastest requests.
    _latency_axis(ax, "x", nearly_all, typical, max(_finite(curves[:, 0]), default=0.0))
    ax.set_yscale("log")
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.set_ylim(min(deepest, 0.05), 1.15)
    ax.set_xlabel("t, latency of successful requests")
    ax.set_ylabel("P(latency > t)")


# --- time


def duration(seconds: float, _position: int | None = None) -> str:
    """`0.25` -> `"250 ms"`: the unit by the magnitude. Also a tick formatter."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if abs(seconds) >= size * (1 - 1e-9):
            return f"{seconds / size:.6g} {unit}"
    return f"{seconds:g} s"


# --- figures and axes


def _save(figure: Figure, path: Path) -> None:
    # Without the version of matplotlib in the file.
    figure.savefig(path, format="png", metadata={"Software": None})


def _figure(
    result: Result, title: str, rows: int = 1, share_y: bool = False
) -> tuple[Figure, list[Axes]]:
    """An empty picture of `rows` panels over one x axis, with title and circumstances."""
    width, height = (pixels / DPI for pixels in PIXELS)
    figure = Figure((width, max(height, 1.25 * rows)), DPI, facecolor="white")
    figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.08)
    FigureCanvasAgg(figure)
    panels = list(figure.subplots(rows, 1, sharex=True, sharey=share_y, squeeze=False)[:, 0])
    for ax in panels:
        ax.spines[["top", "right"]].set_visible(False)
        ax.set_axisbelow(True)
        ax.grid(axis="y", color=FAINT, linewidth=0.5, alpha=0.4)
    panels[0].set_title(title, loc="left", pad=26, fontsize=15, fontweight="bold")
    panels[0].annotate(
        _circumstances(result),
        (0, 1),
        (0, 8),
        xycoords="axes fraction",
        textcoords="offset points",
        color="#555555",
    )
    return figure, panels


def _circumstances(result: Result) -> str:
    run = result.runs[0]
    several = len(run.records)
    times = f" × {several} replications" if several > 1 else ", one replication"
    return (
        f"{run.requests:,.0f} requests{times}, offered load {result.scenario.utilisation:.2f}, "
        f"seed {result.seed}"
    )


def _label(run: Run) -> str:
    if any(record.completed for record in run.records):
        return run.algorithm
    return f"{run.algorithm} (no request succeeded)"


def _legend(figure: Figure, ax: Axes) -> None:
    """Below the axes, where it covers nothing."""
    handles, labels = ax.get_legend_handles_labels()
    columns = min(len(labels), 5)
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False)


def _offsets(n: int) -> Floats:
    """Places of `n` neighbours around a tick, inside 0.7 of the distance between ticks."""
    return (np.arange(n) - (n - 1) / 2) * 0.7 / n


def _finite(values: Floats) -> list[float]:
    return [float(value) for value in values[np.isfinite(values)]]


def _latency_axis(
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


def _backend_names(ax: Axes, names: Sequence[str]) -> None:
    """Names under the bars; upright when there are many, thinned out when too many."""
    every = math.ceil(len(names) / 50)
    rotation = 0 if sum(map(len, names)) <= 110 else 90
    shown = [_shortened(name) for name in names[::every]]
    ax.set_xticks(range(0, len(names), every), shown, rotation=rotation)
    ax.set_xlim(-0.6, len(names) - 0.4)


def _shortened(name: str) -> str:
    return name if len(name) <= 24 else f"…{name[-23:]}"
