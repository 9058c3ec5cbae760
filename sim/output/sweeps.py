"""A sweep for a person: a table of its cells, who wins where, and a directory of files."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lb.system import writing
from lb.terminal import Terminal, counted, listed
from sim.analysis.objectives import times_as_many
from sim.analysis.statistics import Estimate
from sim.fit.grid import short_names, shown
from sim.fit.sweep import Row, Sweep
from sim.output.documents import write_json
from sim.output.words import milliseconds
from sim.result import COMPARED

DOCUMENT = "sweep.json"
MAP = "regime_map.png"
CURVES = "{}_by_load.png"
REPORT = (DOCUMENT, MAP, *map(CURVES.format, COMPARED))
"""Files that `write_sweep` may leave."""
BEST = "*"
NAMED = 3
"""Cells that a sentence names; the rest it counts."""


def print_sweep(sweep: Sweep, metric: str, terminal: Terminal) -> None:
    """A row for each cell that is done, a column for each algorithm."""
    rows = []
    for row, best in zip(sweep.rows, sweep.best(metric), strict=True):
        if row is not None:
            cells = zip(sweep.algorithms, row["runs"], strict=True)
            rows.append(
                [
                    _label(sweep, row),
                    *(_cell(run, metric, algorithm in best) for algorithm, run in cells),
                ]
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
    if dark := _where(sweep, lambda run: _estimate(run, metric) is None):
        rows = [row for row in sweep.rows if row is not None]
        needs = [run.get("needs", {}).get(metric, 0.0) for row in rows for run in row["runs"]]
        more = f"{times_as_many(max(needs))} times as many" if max(needs) else "more"
        yield (
            f"{counted(len(dark), 'cell')} {'has' if len(dark) == 1 else 'have'} too few requests "
            f"for {metric}: give {more}, or more replications: {listed(dark, NAMED, '; ')}"
        )
    if unsteady := _where(sweep, lambda run: not run["steady"]):
        yield (
            f"In {counted(len(unsteady), 'cell')} some algorithm cannot keep up: its latencies "
            f"depend on the length of the run: {listed(unsteady, NAMED, '; ')}"
        )


def _where(sweep: Sweep, holds: Callable[[Mapping[str, Any]], bool]) -> list[str]:
    """Cells where it holds of a run, with the algorithms that it holds of."""
    found = []
    for row in sweep.rows:
        runs = [] if row is None else zip(sweep.algorithms, row["runs"], strict=True)
        names = [name for name, run in runs if holds(run)]
        if row is not None and names:
            found.append(f"{_label(sweep, row)} ({', '.join(names)})")
    return found


def _label(sweep: Sweep, row: Row) -> str:
    names = short_names(sweep.axes)
    return ", ".join(f"{names[it]} {shown(value)}" for it, value in row["parameters"].items())


def write_sweep(sweep: Sweep, metric: str, directory: Path) -> list[Path]:
    """sweep.json and pictures in `directory`. Raises CannotWrite."""
    from sim.output.plots.pictures import save
    from sim.output.plots.regimes import by_load, regime_map

    pictures = {MAP: regime_map, CURVES.format(metric): by_load}
    with writing(directory):
        directory.mkdir(parents=True, exist_ok=True)
        document = directory / DOCUMENT
        write_json(sweep.as_dict(), document)
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
