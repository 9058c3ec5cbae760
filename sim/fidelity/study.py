"""A study: case after case, each kept as soon as it is done, invalid runs once more."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from lb import BUILD, __version__
from lb.errors import LbError, UsageError
from lb.system import cores
from sim.fidelity import findings, overhead
from sim.fidelity.cases import SCENARIOS, Case, Target
from sim.fidelity.overhead import Overhead
from sim.fidelity.runs import Row, run
from sim.fit.kept import Kept
from sim.live.verdict import Judgement

FILE, RESULT = "runs.jsonl", "fidelity.json"
MOST_TRIES = 3
"""Runs of one case: one that a busy machine has made invalid is repeated."""
FRESH = 300.0
"""Seconds after which it is measured again what a request costs beside its service."""
STARTING = 5.0
"""About how many seconds a run takes beside its load: the prediction, and processes that start."""


@dataclass
class Study:
    """Cases of one target, and what is known of each."""

    cases: Sequence[Case]
    kept: Kept | None = None
    rows: list[Row | None] = field(default_factory=list)
    """None for a case that is still to be run."""

    def __post_init__(self) -> None:
        """Take over what was kept; what was invalid is tried again."""
        self._overhead: Overhead | None = None
        self._measured_at = 0.0
        there = {} if self.kept is None else self.kept.rows
        self.rows = [there.get(case.key) for case in self.cases]
        for at, row in enumerate(self.rows):
            if row is not None and row["verdict"] == Judgement.INVALID.value:
                self.rows[at] = None

    @property
    def missing(self) -> list[int]:
        """Places of cases that are still to be run."""
        return [at for at, row in enumerate(self.rows) if row is None]

    @property
    def seconds(self) -> float:
        """About how long that takes."""
        return sum(self.cases[at].seconds + STARTING for at in self.missing)

    def run(self, told: Callable[[Case, str], object]) -> Iterator[int]:
        """Run what is missing, and give the place of each when it is done.

        `told` hears why a run said nothing and is repeated. Raises LbError for a system that does
        not come up, time and again.
        """
        for at in self.missing:
            case = self.cases[at]
            row = self.rows[at] = self._row(case, self._beside(case.target), told)
            if self.kept is not None:
                self.kept.add(case.key, row)
            yield at

    def _beside(self, target: Target) -> Overhead:
        """What a request costs beside its service, as it was lately: machines are shared."""
        now = time.monotonic()
        if self._overhead is None or now - self._measured_at > FRESH:
            self._overhead, self._measured_at = overhead.measure(target), now
        return self._overhead

    @staticmethod
    def _row(case: Case, beside: Overhead, told: Callable[[Case, str], object]) -> Row:
        for number in range(1, MOST_TRIES):
            try:
                row = {**run(case, beside), "overhead": asdict(beside), "tries": number}
            except UsageError:
                raise
            except LbError as error:  # somebody has taken a port meanwhile
                told(case, str(error))
                continue
            if row["verdict"] != Judgement.INVALID.value:
                return row
            told(case, row["why"][0])
        return {**run(case, beside), "overhead": asdict(beside), "tries": MOST_TRIES}

    @property
    def done(self) -> list[Row]:
        """What is known, in the order of the cases."""
        return [row for row in self.rows if row is not None]

    def as_dict(self) -> dict[str, Any]:
        """The object of fidelity.json, schema 1."""
        target = self.cases[0].target
        names = {case.name for case in self.cases}
        return {
            "schema": 1,
            "target": target.name,
            "seconds": self.cases[0].seconds,
            "cases": len(self.cases),
            "machine": machine(),
            "overhead": median(row["overhead"]["mean"] for row in self.done) if self.done else None,
            **findings.as_dict(self.done),
            "otherwise": {name: it.why for name, it in target.otherwise.items() if name in names},
            "scenarios": {name: SCENARIOS.get(name, name) for name in sorted(names)},
            "runs": self.done,
        }


def machine() -> dict[str, Any]:
    """What it runs on."""
    return {
        "lb": __version__,
        "build": BUILD.name,
        "python": platform.python_version(),
        "cores": cores(),
        "system": f"{platform.system()} {platform.release()}",
    }


def opened(cases: Sequence[Case], directory: Path | None) -> Study:
    """With what `directory` holds of it. Raises ConfigError and CannotWrite."""
    kept = None if directory is None else Kept.open(directory, FILE)
    return Study(cases, kept)
