"""A sweep: every cell of a grid simulated, by whoever is there, and what came of it as arrays."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lb.config import Scenario
from sim.crew import Crew, Workers, result
from sim.engine.jobs import Job, least_seconds
from sim.experiment import simulate
from sim.fit.grid import Axes, Cell, cells
from sim.fit.kept import Kept
from sim.model.laws import Floats
from sim.result import COMPARED, COUNTS

Row = dict[str, Any]
"""What is kept and printed of a cell: `parameters`, `offered_load`, `runs`, `ranking`.

A run has `needs`, by figure, where its sample does not carry some: times as many requests."""


@dataclass
class Sweep:
    """A grid over a scenario and what is known of its cells, in the order of `cells`.

    Arrays have one dimension for each axis, in the order they were given, and where algorithms are
    told apart a last one for those.
    """

    scenario: Scenario
    algorithms: tuple[str, ...]
    axes: dict[str, tuple[Any, ...]]
    cells: list[Cell]
    rows: list[Row | None] = field(default_factory=list)
    """None for a cell that has not been simulated."""

    @classmethod
    def of(cls, scenario: Scenario, algorithms: Sequence[str], over: Axes) -> Sweep:
        """Nothing simulated yet. Raises UsageError and ConfigError, see `sim.fit.grid.cells`."""
        grid = cells(scenario, algorithms, over)
        axes = {name: tuple(values) for name, values in over.items()}
        return cls(scenario, tuple(algorithms), axes, grid, [None] * len(grid))

    def recall(self, kept: Kept) -> tuple[int, int]:
        """Take over what has been kept of these very cells.

        Gives how many that are, and how many others were kept of something that has changed since.
        """
        self.rows = [kept.rows.get(cell.key) for cell in self.cells]
        pairs = zip(self.cells, self.rows, strict=True)
        changed = [row is None and kept.others(cell.parameters) for cell, row in pairs]
        return len(self.rows) - self.rows.count(None), sum(changed)

    def run(self, crew: Crew, kept: Kept | None = None) -> Iterator[int]:
        """Simulate what is missing and keep it; gives the place of each as soon as it is known.

        What takes longest comes first, so that nobody is left alone with it at the end.
        """
        missing = [place for place, row in enumerate(self.rows) if row is None]
        missing.sort(key=lambda place: -effort(self.cells[place]))
        todo = [self.cells[place] for place in missing]
        with closing(crew.as_done(simulated, todo, min(map(effort, todo), default=0.0))) as done:
            for number, future in done:
                place = missing[number]
                row = self.rows[place] = result(future)
                if kept is not None:
                    kept.add(self.cells[place].key, row)
                yield place

    @property
    def shape(self) -> tuple[int, ...]:
        """How many values each axis has."""
        return tuple(map(len, self.axes.values()))

    def latency(self, metric: str = "p99", what: str = "value") -> Floats:
        """Seconds, of each cell and algorithm; `what` may be "low" and "high", ends of intervals.

        NaN where nothing is known, or the sample does not carry it.
        """
        return self._array(lambda run: (run["latency"][metric] or {}).get(what))

    def lacking(self, metric: str = "p99") -> Floats:
        """Of each cell and algorithm: 1 where the sample does not carry the figure, else 0.

        NaN where nothing has been simulated.
        """
        return self._array(lambda run: float(run["latency"][metric] is None))

    def count(self, name: str) -> Floats:
        """One of the counts of a RUN, such as "failed", or "throughput"."""
        return self._array(lambda run: run[name])

    def best(self, metric: str = "p99") -> list[tuple[str, ...]]:
        """Of each cell, flat: the best algorithm, with those that cannot be told from it.

        As they were given, without parameters that the cell adds; none whose sample does not carry
        the figure, so that it is empty where nothing is known.
        """
        return [self._best(row, metric) for row in self.rows]

    def _best(self, row: Row | None, metric: str) -> tuple[str, ...]:
        if row is None:
            return ()
        pairs = zip(row["runs"], self.algorithms, strict=True)
        known = {run["algorithm"]: given for run, given in pairs if run["latency"][metric]}
        for group in row["ranking"][metric]:
            if measured := tuple(known[name] for name in group if name in known):
                return measured
        return ()

    def _array(self, of: Callable[[Any], float | None]) -> Floats:
        nothing = [None] * len(self.algorithms)
        flat = [nothing if row is None else [of(run) for run in row["runs"]] for row in self.rows]
        return np.array(flat, dtype=float).reshape(*self.shape, len(self.algorithms))  # None: NaN

    def as_dict(self) -> dict[str, Any]:
        """The object of `lb sweep --json`, schema 1; cells that are missing are left out."""
        return {
            "schema": 1,
            "seed": self.scenario.run.seed,
            "scenario": self.scenario.model_dump(mode="json", by_alias=True, exclude_none=True),
            "algorithms": list(self.algorithms),
            "axes": {name: list(values) for name, values in self.axes.items()},
            "cells": [row for row in self.rows if row is not None],
        }


def sweep(
    scenario: Scenario,
    algorithms: str | Sequence[str],
    over: Axes,
    *,
    workers: Workers = 1,
    directory: Path | None = None,
    on_cell: Callable[[], None] | None = None,
) -> Sweep:
    """Simulate `scenario` at every combination of the values of `over`, under each of `algorithms`.

    `over` names "load" or "rate", "backends", "balancers", parameters of an algorithm such as
    "p2c:choices", or the dotted path of any key of the file such as "traffic.keys.s". All cells
    have the scenario's seed. `workers`: see `simulate`; a cell is done by one of them. `directory`
    keeps what is done, and has what was done before. `on_cell` is called after each cell.

    >>> from sim import Scenario, sweep
    >>> done = sweep(Scenario.load("lb.toml"), ["p2c", "random"], {"load": [0.5, 0.7, 0.9]})
    >>> done.latency("p99").shape
    (3, 2)

    Raises UsageError and ConfigError before anything is simulated, CannotWrite and WorkerDied.
    """
    names = [algorithms] if isinstance(algorithms, str) else algorithms
    made = Sweep.of(scenario, names, over)
    kept = None if directory is None else Kept.open(directory)
    if kept is not None:
        made.recall(kept)
    with Crew(workers) as crew:
        for _ in made.run(crew, kept):
            if on_cell is not None:
                on_cell()
    return made


def effort(cell: Cell) -> float:
    """Seconds that it takes at least."""
    once = Job(cell.scenario, cell.algorithms, 0, None, None)
    return least_seconds(once) * cell.scenario.run.replications


def simulated(cell: Cell) -> Row:
    """What comes of a cell, as JSON has it: the same whether it was just made or read again."""
    done = simulate(cell.scenario, cell.algorithms)
    runs = []
    for run in done.runs:
        told = run.as_dict()
        figures = {name: told[name] for name in ("algorithm", *COUNTS, "latency", "throughput")}
        needs = {name: value.needs for name, value in run.latency.items() if value.needs}
        runs.append({**figures, "steady": run.steady, **({"needs": needs} if needs else {})})
    row = {
        "parameters": cell.parameters,
        "offered_load": cell.scenario.utilisation,
        "runs": runs,
        "ranking": {metric: done.ranking(metric) for metric in COMPARED},
    }
    read: Row = json.loads(json.dumps(row))
    return read
