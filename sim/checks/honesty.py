"""Is the verdict fair? Rehearsals of whole scenario files: `python -m sim.checks.honesty`.

Each is judged as a live run would be, and is one of the runs that were predicted: at least 95 in
100 should pass.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

from lb.config import Scenario
from lb.errors import INTERRUPTED, LbError
from lb.terminal import Terminal
from sim.analysis.objectives import Answer
from sim.live.rehearsal import rehearse
from sim.live.verdict import Judgement, Verdict

SHIPPED = Path("loadtests/scenarios")
PASS = 0.95
"""Share of honest runs that should pass."""
CHANCE = 0.01
"""How seldom the check itself is wrong about a scenario that passes just as often as it should."""


class Honesty(NamedTuple):
    """What came of the rehearsals of one scenario."""

    name: str
    passed: int
    runs: int
    missed: Counter[str]
    """What was off, and in how many runs."""

    @property
    def fair(self) -> bool:
        """Whether chance explains that no more have passed."""
        return at_most(self.passed, self.runs, PASS) >= CHANCE


def off(verdict: Verdict) -> list[str]:
    """What a verdict misses, by name."""
    if verdict.trouble:
        lines = verdict.trouble
    else:
        shares = {f"share of {name}": line for name, line in verdict.shares.items()}
        lines = {**verdict.latency, **shares, "failed": verdict.failures}
    found = [name for name, line in lines.items() if not line.ok]
    found += [
        f"objective {objective.metric}"
        for objective in verdict.objectives
        if objective.answer is not Answer.MET
    ]
    return [*found, *verdict.invalid]


def playable(files: Iterable[Path]) -> list[Path]:
    """Those that a load generator can play: users who wait for answers have no timetable."""
    return [file for file in sorted(files) if Scenario.load(file).offered().users is None]


def rehearsals(file: Path, seeds: Sequence[int], processes: int | None = None) -> Honesty:
    """Rehearse it with each of `seeds`. Raises ConfigError."""
    scenario = Scenario.load(file)
    passed, missed = 0, Counter[str]()
    for verdict in _verdicts(scenario, seeds, processes):
        passed += verdict.judgement is Judgement.PASSED
        missed.update(off(verdict))
    return Honesty(file.stem, passed, len(seeds), missed)


def _verdicts(scenario: Scenario, seeds: Sequence[int], processes: int | None) -> Iterator[Verdict]:
    if processes == 1:
        yield from (rehearse(scenario, seed) for seed in seeds)
        return
    with ProcessPoolExecutor(processes) as executor:
        yield from executor.map(rehearse, [scenario] * len(seeds), seeds)


def at_most(passed: int, runs: int, chance: float) -> float:
    """The probability that so few of `runs` pass, or fewer, when each does with `chance`."""
    return sum(
        math.comb(runs, k) * chance**k * (1 - chance) ** (runs - k) for k in range(passed + 1)
    )


def _some(given: str) -> int:
    if not given.isascii() or not given.isdecimal() or not int(given):
        raise argparse.ArgumentTypeError(f"{given!r} is not a number from 1 on")
    return int(given)


def main(arguments: Sequence[str] | None = None) -> int:
    """Rehearse them all; the exit status is 1 when a scenario passes too seldom for chance."""
    parser = argparse.ArgumentParser(prog="python -m sim.checks.honesty", description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, help=f"scenarios [{SHIPPED}/*.toml]")
    parser.add_argument("--runs", type=_some, default=200, help="rehearsals of each [200]")
    parser.add_argument("--seed", type=int, default=0, help="of the first of them [0]")
    parser.add_argument("--processes", type=_some, default=os.cpu_count(), help="at one time")
    given = parser.parse_args(arguments)
    seeds = range(given.seed, given.seed + given.runs)
    terminal = Terminal()
    rows, unfair, interrupted = [], 0, False
    try:
        files = given.files or playable(SHIPPED.glob("*.toml"))
        if not files:
            parser.error(f"no scenarios in {SHIPPED} here; name some")
        for file in files:
            one = rehearsals(file, seeds, given.processes)
            unfair += not one.fair
            what = ", ".join(f"{name} {number}" for name, number in one.missed.most_common(3))
            rows.append([one.name, f"{one.passed} of {one.runs}", what])
            print(*rows[-1], file=sys.stderr, flush=True)
    except LbError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        interrupted = True
    terminal.table("Honest runs", ["scenario", "passed", "missed, and how often"], rows)
    return INTERRUPTED if interrupted else int(unfair > 0)


if __name__ == "__main__":
    sys.exit(main())
