"""Every picture of a result, and which of them say something about it."""

from __future__ import annotations

from collections.abc import Callable

from matplotlib.figure import Figure

from sim.analysis.record import Record
from sim.output.plots.backends import backends
from sim.output.plots.crowds import in_flight, queues
from sim.output.plots.latency import latency_ccdf, latency_percentiles
from sim.output.plots.regret import best, regret
from sim.output.plots.seconds import timeline
from sim.result import COMPARED, Result

__all__ = [
    "FIGURES",
    "backends",
    "in_flight",
    "latency_ccdf",
    "latency_percentiles",
    "queues",
    "regret",
    "telling",
    "timeline",
    "untraced",
]

FIGURES: dict[str, Callable[[Result], Figure]] = {
    "latency_ccdf": latency_ccdf,
    "latency_percentiles": latency_percentiles,
    "regret": regret,
    "backends": backends,
    "in_flight": in_flight,
    "queues": queues,
    "timeline": timeline,
}


BY_REQUEST = ("latency_ccdf", "in_flight", "queues", "timeline")
"""Those that are drawn from the requests themselves, not from figures."""


def telling(result: Result) -> list[str]:
    """Names of the `FIGURES` that say something about this result."""
    lacking = untraced(result)
    silent = {
        "regret": not any(best(result, metric) for metric in COMPARED),
        "queues": len(result.scenario.backends) == 1,
        "timeline": bool(lacking) or not result.runs[0].eventful,
    }
    return [name for name in FIGURES if name not in lacking and not silent.get(name)]


def untraced(result: Result) -> tuple[str, ...]:
    """Names of those that cannot be drawn, because requests were counted and not kept."""
    kept = all(
        bool(run.records) and all(isinstance(record, Record) for record in run.records)
        for run in result.runs
    )
    return () if kept else BY_REQUEST
