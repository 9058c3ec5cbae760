"""A sweep for a person: a table of its cells, who wins where, and a directory of files."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lb.system import writing
from lb.terminal import Terminal
from sim.analysis.statistics import Estimate
from sim.fit.grid import short_names, shown
from sim.fit.sweep import Sweep
from sim.output.words import milliseconds
from sim.result import COMPARED

DOCUMENT = "sweep.json"
MAP = "regime_map.png"
CURVES = "{}_by_load.png"
REPORT = (DOCUMENT, MAP, *map(CURVES.format, COMPARED))
"""Files that `write_sweep` may leave."""
BEST = "*"


def print_sweep(sweep: Sweep, metric: str, terminal: Terminal) -> None:
    """A row for each cell that is done, a column for each algorithm."""
    names = short_names(sweep.axes)
    rows = []
    for row, best in zip(sweep.rows, sweep.best(metric), strict=True):
        if row is not None:
            label = ", ".join(
                f"{names[it]} {shown(value)}" for it, value in row["parameters"].items()
            )
            cells = zip(sweep.algorithms, row["runs"], strict=True)
            rows.append(
                [label, *(_cell(run, metric, algorithm in best) for algorithm, run in cells)]
            )
    if rows:
        terminal.table(
            f"{metric} in ms as clients see it, 95 % intervals; {BEST} best of its cell, or not "
            "distinguishable from the best",
            ["cell", *sweep.algorithms],
            rows,
        )
    for sentence in sentences(sweep, metric):
        terminal.say(sentence)


def sentences(sweep: Sweep, metric: str) -> Iterator[str]:
    """Who wins how often, and what cannot be told."""
    best = [names for names in sweep.best(metric) if names]
    if best and len(sweep.algorithms) > 1:
        for name in sweep.algorithms:
            often = sum(name in names for names in best)
            alone = sum(names == (name,) for names in best)
            yield f"{name}: best by {metric} in {often} of {len(best)} cells, alone in {alone}"
    rows = [row for row in sweep.rows if row is not None]
    dark = sum(any(_estimate(run, metric) is None for run in row["runs"]) for row in rows)
    if dark:
        yield (
            f"{dark} {'cell has' if dark == 1 else 'cells have'} too few requests for {metric}: "
            "give more, or more replications"
        )
    unsteady = sum(not all(run["steady"] for run in row["runs"]) for row in rows)
    if unsteady:
        cells = "1 cell" if unsteady == 1 else f"{unsteady} cells"
        yield (
            f"In {cells} some algorithm cannot keep up: its latencies depend on the length of "
            "the run"
        )


def write_sweep(sweep: Sweep, metric: str, directory: Path) -> list[Path]:
    """sweep.json and pictures in `directory`. Raises CannotWrite."""
    from sim.output.plots.pictures import save
    from sim.output.plots.regimes import by_load, regime_map

    pictures = {MAP: regime_map, CURVES.format(metric): by_load}
    with writing(directory):
        directory.mkdir(parents=True, exist_ok=True)
        document = directory / DOCUMENT
        document.write_text(json.dumps(sweep.as_dict(), indent=1) + "\n", encoding="utf-8")
        drawn = [] if sweep.rows.count(None) == len(sweep.rows) else list(pictures)
        for name in drawn:
            save(pictures[name](sweep, metric), directory / name)
        return [document, *(directory / name for name in drawn)]


def _cell(run: Mapping[str, Any], metric: str, best: bool) -> str:
    estimate = _estimate(run, metric)
    return "-" if estimate is None else f"{milliseconds(estimate)} {BEST if best else ' '}"


def _estimate(run: Mapping[str, Any], metric: str) -> Estimate | None:
    told = run["latency"][metric]
    if told is None or told["value"] is None or not math.isfinite(told["value"]):
        return None
    return Estimate(told["value"], told["low"], told["high"])
