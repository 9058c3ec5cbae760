"""What pictures of a result share: who is drawn, how he looks, under which circumstances."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sim.model.laws import Floats
from sim.output.plots.style import Style, blank, styles
from sim.result import AlgorithmRun, Result


def empty(
    result: Result,
    title: str,
    rows: int = 1,
    columns: int = 1,
    *,
    share_y: bool = False,
    height: float = 0.0,
) -> tuple[Figure, list[Axes]]:
    """An empty picture of `result`, see `blank`."""
    told = circumstances(result)
    return blank(title, told, rows, columns, share_y=share_y, height=height)


def dressed(result: Result) -> list[tuple[AlgorithmRun, Style]]:
    """Each run with the look of its algorithm among those drawn."""
    looks = styles(run.algorithm for run in result.runs)
    return [(run, looks[run.algorithm]) for run in result.runs]


def circumstances(result: Result) -> str:
    """How much was simulated, of what load, from which seed."""
    run = result.runs[0]
    several = result.scenario.run.replications
    times = f" × {several} replications" if several > 1 else ", one replication"
    return (
        f"{run.requests:,.0f} requests{times}, offered load {result.scenario.utilisation:.2f}, "
        f"seed {result.seed}"
    )


def named(run: AlgorithmRun) -> str:
    """The algorithm, and what stands in the way of reading its latencies."""
    if run.completed:
        return run.algorithm if run.steady else f"{run.algorithm} (cannot keep up)"
    return f"{run.algorithm} (no request succeeded)"


def finite(values: Floats) -> list[float]:
    """Those that are numbers."""
    return [float(value) for value in values[np.isfinite(values)]]
