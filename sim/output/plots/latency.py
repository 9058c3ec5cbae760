"""Latencies of a result on axes: tails, mean and percentiles."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

from sim.analysis.objectives import times_as_many
from sim.analysis.statistics import QUANTILES, student_t
from sim.model.laws import Floats
from sim.output.plots.runs import dressed, empty, finite, named
from sim.output.plots.style import FAINT, Dashes, latency_axis, legend, offsets
from sim.result import Result

POINTS = 500
"""Of a tail curve: more than its pixels need, whatever the sample."""
HANDFUL = 10
"""Requests in the tail of one replication below which its quantile is noise, and so the band."""

PERCENTILES = {"mean": "mean", **{name: f"p{share * 100:g}" for name, share in QUANTILES.items()}}
"""Metrics of a run and what they are called in a picture."""


def latency_ccdf(result: Result) -> Figure:
    """P(latency > t) for each algorithm, with its 95 % band over replications."""
    figure, (ax,) = empty(result, "How many requests take longer than t")
    for run, look in dressed(result):
        ccdf(ax, run.samples, named(run), look.colour, look.dashes)
    tail_axes(ax)
    legend(figure, ax)
    return figure


def latency_percentiles(result: Result) -> Figure:
    """Mean and percentiles of each algorithm with their 95 % intervals."""
    figure, (ax,) = empty(result, "Latency by percentile, with 95 % intervals")
    places = np.arange(len(PERCENTILES))
    reach: list[float] = []
    values: list[float] = []
    for (run, look), offset in zip(dressed(result), offsets(len(result.runs)), strict=True):
        estimates = [run.latency[name] for name in PERCENTILES]
        value = np.array([estimate.value for estimate in estimates])
        low = np.array([e.value if e.low is None else max(e.low, 0.0) for e in estimates])
        high = np.array([e.value if e.high is None else e.high for e in estimates])
        ax.errorbar(
            places + offset,
            value,
            yerr=(value - low, high - value),
            label=named(run),
            color=look.colour,
            marker=look.marker,
            linestyle="none",
            markersize=7,
            capsize=4,
        )
        for place in places[~np.isfinite(value)]:
            _absent(ax, place + offset, look.colour)
        # A bar from few replications may leave the picture; it must not flatten the others.
        reach += finite(np.minimum(high, 2 * value))
        values += finite(value)
    ax.set_xticks(places, [_ticked(result, name) for name in PERCENTILES])
    ax.set_xlim(-0.5, len(places) - 0.5)
    for edge in places[:-1] + 0.5:
        ax.axvline(edge, color=FAINT, linewidth=0.5, alpha=0.5)
    least = min(values, default=0.0)
    latency_axis(ax, "y", least / 1.5, least, max(reach, default=0.0))
    ax.set_ylabel("latency of successful requests")
    legend(figure, ax)
    return figure


def _ticked(result: Result, name: str) -> str:
    needs = [needs for run in result.runs if (needs := run.latency[name].needs)]
    told = f"\n–: needs {times_as_many(max(needs))} times\nas many requests" if needs else ""
    return PERCENTILES[name] + told


def _absent(ax: Axes, place: float, colour: str) -> None:
    """A dash at the foot, where the sample does not carry a figure."""
    ax.annotate(
        "–",
        (place, 0),
        (0, 4),
        xycoords=ax.get_xaxis_transform(),
        textcoords="offset points",
        horizontalalignment="center",
        color=colour,
        fontweight="bold",
    )


# --- tails


def ccdf(
    ax: Axes,
    samples: Sequence[Floats],
    label: str,
    colour: str,
    dashes: Dashes = "-",
    *,
    one_run: bool = False,
) -> Line2D:
    """Draw P(latency > t), pooled, with its pointwise 95 % band over replications.

    `samples` holds latencies in seconds, one array per replication. The band is that of the
    quantile, from the spread between replications alone, so it is wider than the interval that is
    told where they are few. It ends where a replication has but a handful of requests left; further
    down the curve says little. With `one_run` it is the wider band for one run more, which is what
    a single live run is held against.
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
        min(finite(curves[:, 0][curves[:, 1] <= tail]), default=0.0) for tail in (0.5, 0.98)
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
    latency_axis(ax, "x", nearly_all, typical, max(finite(curves[:, 0]), default=0.0))
    ax.set_yscale("log")
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.set_ylim(min(deepest, 0.05), 1.15)
    ax.set_xlabel("t, latency of successful requests")
    ax.set_ylabel("P(latency > t)")
