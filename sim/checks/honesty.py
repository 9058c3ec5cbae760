"""Is the verdict fair, and sharp? Rehearsals of whole files: `python -m sim.checks.honesty`.

Each is judged as a live run would be, and is one of the runs that were predicted: at least 95 in
100 should pass. With `--slower 1.3` one backend, another in each run, takes that many times as long
as modelled, and says nothing of it: at least nine in ten such runs should be found out.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from lb.config import BackendTable, Bimodal, Scenario
from lb.config.laws import LawTable
from lb.errors import INTERRUPTED, LbError
from lb.terminal import Terminal
from sim.live.rehearsal import rehearse
from sim.live.verdict import Judgement, Verdict

SHIPPED = Path("loadtests/scenarios")
PASS = 0.95
"""Share of honest runs that should pass."""
FOUND = 0.9
"""Share of runs with a slower backend that should be found out."""
CHANCE = 0.01
"""How seldom the check itself is wrong about a scenario that is just as good as it should be."""


class Honesty(NamedTuple):
    """What came of the rehearsals of one scenario."""

    name: str
    passed: int
    runs: int
    missed: Counter[str]
    """What was off, and in how many runs."""
    slower: float = 1.0
    """How many times as long as modelled one backend took."""

    @property
    def right(self) -> int:
        """Runs that were judged as they should be."""
        return self.passed if self.slower == 1.0 else self.runs - self.passed

    @property
    def fair(self) -> bool:
        """Whether chance explains that no more have been."""
        return at_most(self.right, self.runs, PASS if self.slower == 1.0 else FOUND) >= CHANCE


def slowed(scenario: Scenario, which: int, factor: float) -> Scenario:
    """The scenario with one of its backends so many times as slow; `which` counts them again and
    again.
    """
    place = which % len(scenario.backends)

    def slower(row: BackendTable) -> BackendTable:
        assert row.model is not None
        model = row.model.model_copy(update={"service": _scaled(row.model.service, factor)})
        return row.model_copy(update={"model": model})

    rows = [slower(row) if i == place else row for i, row in enumerate(scenario.backends)]
    return scenario.model_copy(update={"backends": tuple(rows)})


def _scaled(law: LawTable, factor: float) -> LawTable:
    """The law of so many times as much time; one that is read from a file has no such parameter."""
    there = type(law).model_fields
    changes: dict[str, Any] = {
        name: factor * getattr(law, name) for name in ("mean", "low", "high") if name in there
    }
    if isinstance(law, Bimodal):
        changes["values"] = tuple(factor * value for value in law.values)
    return law.model_copy(update=changes)


def rehearsals(
    file: Path,
    seeds: Sequence[int],
    processes: int | None = None,
    slower: float = 1.0,
    seconds: float | None = None,
) -> Honesty:
    """Rehearse it with each of `seeds`, for so many seconds. Raises ConfigError."""
    scenario = Scenario.load(file)
    if seconds is not None:
        scenario = scenario.with_run(duration=seconds, requests=None)
    passed, missed = 0, Counter[str]()
    for verdict in _verdicts(scenario, seeds, processes, slower):
        passed += verdict.judgement is Judgement.PASSED
        missed.update([*verdict.off, *verdict.invalid])
    return Honesty(file.stem, passed, len(seeds), missed, slower)


def _verdicts(
    scenario: Scenario, seeds: Sequence[int], processes: int | None, slower: float
) -> Iterator[Verdict]:
    one = partial(_rehearsed, scenario, slower)
    if processes == 1:
        yield from map(one, seeds)
        return
    with ProcessPoolExecutor(processes) as executor:
        yield from executor.map(one, seeds)


def _rehearsed(scenario: Scenario, slower: float, seed: int) -> Verdict:
    if slower == 1.0:
        return rehearse(scenario, seed)
    return rehearse(scenario, seed, slowed(scenario, seed, slower), silent=True)


def at_most(passed: int, runs: int, chance: float) -> float:
    """The probability that so few of `runs` pass, or fewer, when each does with `chance`."""
    return sum(
        math.comb(runs, k) * chance**k * (1 - chance) ** (runs - k) for k in range(passed + 1)
    )


def _some(given: str) -> int:
    if not given.isascii() or not given.isdecimal() or not int(given):
        raise argparse.ArgumentTypeError(f"{given!r} is not a number from 1 on")
    return int(given)


def _times(given: str) -> float:
    try:
        value = float(given)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{given!r} is not a number above zero")
    return value


def main(arguments: Sequence[str] | None = None) -> int:
    """Rehearse them all; the exit status is 1 when one is judged wrongly too often for chance."""
    parser = argparse.ArgumentParser(prog="python -m sim.checks.honesty", description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, help=f"scenarios [{SHIPPED}/*.toml]")
    parser.add_argument("--runs", type=_some, default=200, help="rehearsals of each [200]")
    parser.add_argument("--seed", type=int, default=0, help="of the first of them [0]")
    parser.add_argument(
        "--slower", type=_times, default=1.0, help="times as long that one backend takes [1]"
    )
    parser.add_argument("--seconds", type=_times, help="of each run, in place of the file's")
    parser.add_argument("--processes", type=_some, default=os.cpu_count(), help="at one time")
    given = parser.parse_args(arguments)
    seeds = range(given.seed, given.seed + given.runs)
    terminal = Terminal()
    rows, unfair, interrupted = [], 0, False
    try:
        files = given.files or sorted(SHIPPED.glob("*.toml"))
        if not files:
            parser.error(f"no scenarios in {SHIPPED} here; name some")
        for file in files:
            one = rehearsals(file, seeds, given.processes, given.slower, given.seconds)
            unfair += not one.fair
            what = ", ".join(f"{name} {number}" for name, number in one.missed.most_common(3))
            rows.append([one.name, f"{one.passed} of {one.runs}", what])
            print(*rows[-1], file=sys.stderr, flush=True)
    except LbError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        interrupted = True
    title = "Honest runs" if given.slower == 1.0 else f"A backend {given.slower:g} times as slow"
    terminal.table(title, ["scenario", "passed", "missed, and how often"], rows)
    return INTERRUPTED if interrupted else int(unfair > 0)


if __name__ == "__main__":
    sys.exit(main())
