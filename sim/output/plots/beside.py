"""A live run on the same axes as its prediction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from lb.config import Scenario
from sim.analysis.distances import Distance
from sim.analysis.fates import Fates
from sim.live.verdict import Verdict
from sim.model.laws import Floats
from sim.output.plots.latency import ccdf, tail_axes
from sim.output.plots.runs import empty
from sim.output.plots.seconds import curves
from sim.output.plots.style import (
    FAINT,
    INK,
    Style,
    blank,
    duration,
    legend,
    only,
    styles,
)
from sim.result import Result

BAND = "band of one run"
LIVE = Style(INK, (0, (3, 1.5)), "o")


def measured_beside_predicted(
    verdict: Verdict, predicted: Result, samples: Sequence[Floats], measured: Floats
) -> Figure:
    """A live run over those predicted: its distribution in their band, and its tail.

    `samples` holds the predicted latencies in seconds, one array per replication; `measured` the
    live ones.
    """
    title = f"Measured beside predicted: {verdict.judgement.value}"
    look = styles([verdict.algorithm])[verdict.algorithm]
    whole = verdict.distribution
    drawn = whole is not None and bool((whole.band.at > 0).any())
    figure, (*above, ax) = empty(predicted, title, 1 + drawn, height=1000 if drawn else 0.0)
    name = f"{verdict.algorithm}, predicted, with the 95 % band of one run"
    ccdf(ax, samples, name, look.colour, one_run=True)
    ccdf(ax, [measured], "measured", LIVE.colour, LIVE.dashes)
    tail_axes(ax)
    for panel in above:
        assert whole is not None
        _band(panel, whole, _distance(whole), look.colour)
        panel.set_ylabel("P(latency ≤ t)")
        panel.tick_params(labelbottom=True)
        panel.set_xlim(whole.band.at[whole.band.at > 0][0], whole.band.at[-1] * 1.05)
    legend(figure, ax)
    return figure


def distributions(verdict: Verdict) -> Figure:
    """The distribution of a live run in the band of those predicted: whole, and each phase.

    The band is simultaneous: a run as predicted lies wholly inside, up to the tolerance, with the
    probability that is left for it among all that is judged.
    """
    parts = [("all of it", verdict.distribution)] if not verdict.trouble else []
    parts += [(one.phase.name, one.distribution) for one in verdict.phases]
    drawn = [(name, far) for name, far in parts if far is not None and (far.band.at > 0).any()]
    columns = min(len(drawn), 2) or 1
    rows = -(-len(drawn) // columns) or 1
    figure, panels = blank(
        f"Distributions: {verdict.judgement.value}",
        f"{verdict.algorithm}, {verdict.requests:,} requests",
        rows,
        columns,
        share_y=True,
    )
    colour = styles([verdict.algorithm])[verdict.algorithm].colour
    for (name, far), ax in zip(drawn, panels, strict=False):
        _band(ax, far, f"{name}: {_distance(far)}", colour)
    only(panels, len(drawn), columns)
    for ax in panels[len(drawn) - columns : len(drawn)]:
        ax.set_xlabel("t, latency of successful requests")
    for ax in panels[::columns]:
        ax.set_ylabel("P(latency ≤ t)")
    if drawn:
        legend(figure, panels[0])
    return figure


def _distance(far: Distance) -> str:
    if not far.judged:
        return "not judged"
    word = "as predicted" if far.ok else "not as predicted"
    return f"distance {far.value:.1%} at {duration(float(f'{far.at:.3g}'))}, {word}"


def _band(ax: Axes, far: Distance, name: str, colour: str) -> None:
    band = far.band
    shown = band.at > 0
    at = band.at[shown]
    if far.judged:
        low, high = band.low[shown], band.high[shown]
        ax.fill_between(at, low, high, color=colour, alpha=0.25, linewidth=0, label=BAND)
        allowed = far.tolerance * np.maximum(at, np.interp(0.5, band.predicted, band.at))
        low = np.interp(at, at + allowed, np.maximum(low - far.slack, 0.0))
        high = np.interp(at, at - allowed, np.minimum(high + far.slack, 1.0))
        label = f"and {far.tolerance:.0%} beyond"
        ax.fill_between(at, low, high, color=colour, alpha=0.1, linewidth=0, label=label)
    ax.plot(at, band.predicted[shown], color=colour, linewidth=2, label="predicted")
    ax.plot(
        at,
        band.measured[shown],
        color=LIVE.colour,
        linestyle=LIVE.dashes,
        linewidth=2,
        label="measured",
    )
    if not far.ok:
        ax.axvline(far.at, color=FAINT, linewidth=1)
    ax.annotate(name, (0.02, 0.97), xycoords="axes fraction", verticalalignment="top", color=INK)
    ax.set(xscale="log", ylim=(0, 1.12))
    ax.xaxis.set_major_formatter(FuncFormatter(duration))
    ax.xaxis.set_minor_formatter(NullFormatter())


def measured_beside_predicted_over_time(
    scenario: Scenario, predicted: Result, measured: Fates
) -> Figure:
    """The seconds of a live run over those of the runs that were predicted."""
    (run,) = predicted.runs
    name = f"{run.algorithm}, predicted: mean of {len(run.records)} runs"
    look = styles([run.algorithm])[run.algorithm]
    return curves(
        "Measured beside predicted, over time",
        f"{len(measured.arrived):,} requests, seed {scenario.run.seed}",
        scenario,
        [
            (name, [record.fates for record in run.records], look),
            ("measured", [measured], LIVE),
        ],
    )
