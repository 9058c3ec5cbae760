"""A live run on the same axes as its prediction."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from sim.live.verdict import Verdict
from sim.model.laws import Floats
from sim.output.plots.latency import ccdf, tail_axes
from sim.output.plots.runs import empty
from sim.output.plots.style import INK, legend, styles
from sim.result import Result


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
    ccdf(ax, [measured], "measured", INK, (0, (3, 1.5)))
    tail_axes(ax)
    legend(figure, ax)
    return figure
