"""Data on axes: tails, percentiles, backends, requests in flight."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from sim.analysis.record import binned, occupancy
from sim.analysis.statistics import QUANTILES, student_t
from sim.live.verdict import Verdict
from sim.model.laws import Floats
from sim.output.plots.style import (
    FAINT,
    INK,
    Dashes,
    Style,
    backend_names,
    blank,
    duration,
    latency_axis,
    legend,
    offsets,
    styles,
)
from sim.result import AlgorithmRun, Result

POINTS = 500
"""Of a tail curve: more than its pixels need, whatever the sample."""
BINS = 300
"""Of the time axis: four pixels each."""
HANDFUL = 10
"""Requests in the tail of one replication below which its quantile is noise, and so the band."""

PERCENTILES = {"mean": "mean", **{name: f"p{share * 100:g}" for name, share in QUANTILES.items()}}
"""Metrics of a run and what they are called in a picture."""


def latency_ccdf(result: Result) -> Figure:
    """P(latency > t) for each algorithm, with its 95 % band over replications."""
    figure, (ax,) = _blank(result, "How many requests take longer than t")
    for run, look in _dressed(result):
        ccdf(ax, run.samples, _label(run), look.colour, look.dashes)
    tail_axes(ax)
    legend(figure, ax)
    return figure


def latency_percentiles(result: Result) -> Figure:
    """Mean and percentiles of each algorithm with their 95 % intervals."""
    figure, (ax,) = _blank(result, "Latency by percentile, with 95 % intervals")
    places = np.arange(len(PERCENTILES))
    reach: list[float] = []
    values: list[float] = []
    for (run, look), offset in zip(_dressed(result), offsets(len(result.runs)), strict=True):
        estimates = [run.latency[name] for name in PERCENTILES]
        value = np.array([estimate.value for estimate in estimates])
        low = np.array([e.value if e.low is None else max(e.low, 0.0) for e in estimates])
        high = np.array([e.value if e.high is None else e.high for e in estimates])
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
    latency_axis(ax, "y", least / 1.5, least, max(reach, default=0.0))
    ax.set_ylabel("latency of successful requests")
    legend(figure, ax)
    return figure


def backends(result: Result) -> Figure:
    """Share and utilisation of each backend under each algorithm."""
    figure, (share, busy) = _blank(result, "What each backend gets, and how busy it is", rows=2)
    capacity = np.array([model.capacity for _, model in result.scenario.modelled()])
    places = np.arange(len(capacity))
    width = 0.7 / len(result.runs)
    for (run, look), offset in zip(_dressed(result), offsets(len(result.runs)), strict=True):
        for ax, heights in (
            (share, [use.share for use in run.backends]),
            (busy, [use.utilisation for use in run.backends]),
        ):
            ax.bar(places + offset, heights, width * 0.9, color=look.colour, label=run.algorithm)
    if math.isfinite(capacity.sum()):
        fair = capacity / capacity.sum()
        share.hlines(fair, places - 0.42, places + 0.42, color=INK, label="share of the capacity")
    busy.axhline(1.0, color=INK, linewidth=1, linestyle=(0, (4, 3)))
    busy.set_ylim(0, 1.1)
    share.margins(y=0.08)
    share.set_ylabel("share of requests")
    busy.set_ylabel("utilisation")
    share.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value * 100:g} %"))
    backend_names(busy, [use.name for use in result.runs[0].backends])
    legend(figure, share)
    return figure


def in_flight(result: Result) -> Figure:
    """Requests in flight over time in the first replication, a panel for each algorithm."""
    figure, panels = _blank(
        result,
        f"Requests in flight, first replication: mean and range in {BINS} intervals",
        rows=len(result.runs),
        share_y=True,
    )
    until = max(run.records[0].until for run in result.runs)
    edges = np.linspace(0, until, BINS + 1)
    middles = (edges[1:] + edges[:-1]) / 2
    for ax, (run, look) in zip(panels, _dressed(result), strict=True):
        record, cut, colour = run.records[0], run.warmup, look.colour
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


def measured_beside_predicted(
    verdict: Verdict, predicted: Result, samples: Sequence[Floats], measured: Floats
) -> Figure:
    """The tail of a live run over the one predicted, with the 95 % band of one run.

    `samples` holds the predicted latencies in seconds, one array per replication; `measured` the
    live ones.
    """
    title = f"Measured beside predicted: {verdict.judgement.value}"
    figure, (ax,) = _blank(predicted, title)
    look = styles([verdict.algorithm])[verdict.algorithm]
    name = f"{verdict.algorithm}, predicted, with the 95 % band of one run"
    ccdf(ax, samples, name, look.colour, one_run=True)
    ccdf(ax, [measured], "measured", INK, (0, (3, 1.5)))
    tail_axes(ax)
    legend(figure, ax)
    return figure


FIGURES: dict[str, Callable[[Result], Figure]] = {
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
    dashes: Dashes = "-",
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
    latency_axis(ax, "x", nearly_all, typical, max(_finite(curves[:, 0]), default=0.0))
    ax.set_yscale("log")
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.set_ylim(min(deepest, 0.05), 1.15)
    ax.set_xlabel("t, latency of successful requests")
    ax.set_ylabel("P(latency > t)")


# --- runs


def _blank(
    result: Result, title: str, rows: int = 1, *, share_y: bool = False
) -> tuple[Figure, list[Axes]]:
    return blank(title, _circumstances(result), rows, share_y=share_y)


def _dressed(result: Result) -> list[tuple[AlgorithmRun, Style]]:
    """Each run with the look of its algorithm among those drawn."""
    looks = styles(run.algorithm for run in result.runs)
    return [(run, looks[run.algorithm]) for run in result.runs]


def _circumstances(result: Result) -> str:
    run = result.runs[0]
    several = len(run.records)
    times = f" × {several} replications" if several > 1 else ", one replication"
    return (
        f"{run.requests:,.0f} requests{times}, offered load {result.scenario.utilisation:.2f}, "
        f"seed {result.seed}"
    )


def _label(run: AlgorithmRun) -> str:
    if any(record.completed for record in run.records):
        return run.algorithm if run.steady else f"{run.algorithm} (cannot keep up)"
    return f"{run.algorithm} (no request succeeded)"


def _finite(values: Floats) -> list[float]:
    return [float(value) for value in values[np.isfinite(values)]]
