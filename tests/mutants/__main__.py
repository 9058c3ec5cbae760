"""`make mutants`: a seeded sample of small changes to the pure rooms; which of them nobody notices.

Each change is made in a copy of the tree and meets the tests of its file, then all of its room. A
run that takes several times as long as without the change has noticed it too.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from random import Random
from time import monotonic

from tests.mutants.changes import Change, changes
from tests.test_architecture import graph

HOUSE = Path(__file__).parents[2]
ROOMS = {
    "lb/strategies": ("tests/strategies", "tests/contract"),
    "lb/balancing": ("tests/balancing", "tests/recording"),
    "sim/model": ("tests/sim",),
    "sim/analysis": ("tests/sim",),
}
"""Pure rooms, and where their tests are."""
LAWS = "tests/contract/test_laws.py"
COPIED = ("lb", "sim", "tests", "loadtests", "pyproject.toml", "CHANGELOG.md", "README.md")
ASKED = 0.93
PYTEST = """
import resource, sys, pytest
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))  # a loop without end may fill it
sys.exit(pytest.main(sys.argv[1:]))
"""
QUICK = ("-x", "-q", "-m", "not no_cover", "-p", "no:cacheprovider", "-p", "no:xdist")
Stage = tuple[str, ...]
"""Arguments of pytest."""


@cache
def stages(path: Path) -> tuple[Stage, ...]:
    """Tests named after a file, those that speak of it, and those of all that is built on it."""
    room = next(room for room in ROOMS if path.is_relative_to(room))
    files = [file for folder in ROOMS[room] for file in sorted((HOUSE / folder).rglob("test_*.py"))]
    module = ".".join(path.with_suffix("").parts)
    own = {file for file in files if file.stem == f"test_{path.stem}"}
    about = {
        file for file in files if module in (text := file.read_text()) or f'"{path.stem}' in text
    }
    above = [name.rpartition(".")[2] for name in built_on(module)]
    rest = {file for file in files if file.stem.removeprefix("test_") in above}
    found = []
    for some in (own, about - own, rest - about - own):
        names = tuple(sorted(str(file.relative_to(HOUSE)) for file in some))
        if names := tuple(name for name in names if name != LAWS):
            found.append(names)
    if room == "lb/strategies":
        found.append((LAWS, "-k", " or ".join(sorted({path.stem, *above}))))
        found.append((ROOMS[room][0],))
    elif room == "lb/balancing":
        found.append(ROOMS[room])
    else:
        found.append(tuple(str(file.relative_to(HOUSE)) for file in files if not _slow(file)))
    return tuple(found)


def _slow(test: Path) -> bool:
    """Whether it draws, listens or starts processes."""
    return any(room in test.read_text() for room in ("sim.output", "sim.live", "sim.checks"))


def built_on(module: str) -> list[str]:
    """Modules of the same room that import one of ours, others of the room in between or not."""
    room = module.rpartition(".")[0].removesuffix(".parts")
    named = {"lb.strategies.registry", "lb.strategies"}  # they import everybody
    users = {
        name: others & graph().keys()
        for name, others in graph().items()
        if name.startswith(f"{room}.") and name not in named
    }
    found = [module]
    for one in found:
        found += [name for name in sorted(users) if one in users[name] and name not in found]
    return found[1:]


class Copy:
    """A copy of the tree, in which one change at a time is tried."""

    def __init__(self, where: Path) -> None:
        self.where = where
        for name in COPIED:
            source = HOUSE / name
            if source.is_dir():
                ignored = shutil.ignore_patterns("__pycache__", ".hypothesis")
                shutil.copytree(source, where / name, ignore=ignored)
            else:
                shutil.copy(source, where / name)

    def run(self, stage: Stage, limit: float | None = None) -> bool:
        """Whether the tests pass, in time."""
        command = [sys.executable, "-c", PYTEST, *QUICK, *stage]
        environment = {**os.environ, "PYTHONPATH": str(self.where), "PYTHONDONTWRITEBYTECODE": "1"}
        ran = subprocess.Popen(
            command,
            cwd=self.where,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            return ran.wait(limit) in (0, 5)  # 5: nothing but slow tests here
        except subprocess.TimeoutExpired:
            os.killpg(ran.pid, signal.SIGKILL)
            ran.wait()
            return False

    def survives(self, change: Change, limits: dict[Stage, float]) -> bool:
        target = self.where / change.path
        source = target.read_bytes()
        target.write_bytes(change.applied(source))
        try:
            return all(self.run(stage, limits[stage]) for stage in stages(change.path))
        finally:
            target.write_bytes(source)


def found(only: Sequence[str]) -> list[Change]:
    files = [file for room in ROOMS for file in sorted((HOUSE / room).rglob("*.py"))]
    paths = [file.relative_to(HOUSE) for file in files]
    chosen = [path for path in paths if not only or any(str(path).startswith(o) for o in only)]
    return [one for path in chosen for one in changes(path, (HOUSE / path).read_bytes())]


class Bench:
    """As many copies as runs at a time."""

    def __init__(self, where: Path, jobs: int) -> None:
        self._free: SimpleQueue[Copy] = SimpleQueue()
        for number in range(jobs):
            self._free.put(Copy(where / str(number)))

    @contextmanager
    def _copy(self) -> Iterator[Copy]:
        copy = self._free.get()
        try:
            yield copy
        finally:
            self._free.put(copy)

    def limit(self, stage: Stage) -> tuple[Stage, float]:
        """Several times as long as some tests take without a change."""
        with self._copy() as copy:
            began = monotonic()
            if not copy.run(stage):
                raise SystemExit(f"these tests fail without any change: {' '.join(stage)}")
            return stage, 10 + 5 * (monotonic() - began)

    def tried(self, change: Change, limits: dict[Stage, float]) -> bool:
        """Whether a change survives."""
        with self._copy() as copy:
            survives = copy.survives(change, limits)
        if survives:
            print(change.diff((HOUSE / change.path).read_bytes()), flush=True)
        else:
            print(".", end="", file=sys.stderr, flush=True)
        return survives


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="*", help="files or rooms, as lb/strategies/p2c.py [all]")
    parser.add_argument("--sample", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    everything = found(asked.only)
    sample = Random(asked.seed).sample(everything, min(asked.sample, len(everything)))
    needed = {stage for path in {change.path for change in sample} for stage in stages(path)}
    with tempfile.TemporaryDirectory() as where, ThreadPoolExecutor(asked.jobs) as pool:
        bench = Bench(Path(where), asked.jobs)
        limits = dict(pool.map(bench.limit, sorted(needed)))
        outcomes = list(pool.map(lambda change: bench.tried(change, limits), sample))
    noticed = outcomes.count(False)
    score = noticed / len(sample)
    print(file=sys.stderr)
    print(f"{noticed} of {len(sample)} noticed ({len(everything)} possible): {score:.1%}")
    return int(score < ASKED)


if __name__ == "__main__":
    sys.exit(main())
