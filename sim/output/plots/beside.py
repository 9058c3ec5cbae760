"""A live run on the same axes as its prediction."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from lb.config import Scenario
from sim.analysis.fates import Fates
from sim.live.verdict import Verdict
from sim.model.laws import Floats
from sim.output.plots.latency import ccdf, tail_axes
from sim.output.plots.runs import empty
from sim.output.plots.seconds import curves
from sim.output.plots.style import INK, Style, legend, styles
from sim.result import Result

LIVE = Style(INK, (0, (3, 1.5)), "o")


def measured_beside_predicted(
    verdict: Verdict, predicted: Result, samples: Sequence[Floats], measured: Floats
) -> Figure:
    """The tail of a live run over the one predicted, with the 95 % band of one run.

    `samples` holds the predicted latencies in seconds, one array per replication; `measured` the
    live ones.
    """
    title = f"Measured beside predicted: {verdict.judgement.value}"
    figure, (ax,) = empty(predicted, title)
    look = styles([verdict.algorithm])[verdict.algorithm]
    name = f"{verdict.algorithm}, predicted, with the 95 % band of one run"
    ccdf(ax, samples, name, look.colour, one_run=True)
    ccdf(ax, [measured], "measured", LIVE.colour, LIVE.dashes)
    tail_axes(ax)
    legend(figure, ax)
    return figure


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
