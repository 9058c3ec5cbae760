"""What is compared: both builds of this tree, other checkouts of it, and peers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from tests.bench.peers import MAKERS, Contender, peers
from tests.bench.processes import ROOT, BenchError

COMPILED, PURE, BESIDE, RELAY = "lb", "lb pure", "lb beside", "relay"
EMBEDDED = "aiohttp"
NAMES = (COMPILED, PURE, RELAY, EMBEDDED, *MAKERS)
"""Whoever can be left out."""
BUILD = "import lb; print(getattr(lb, 'BUILD', 'pure Python'))"


def contenders(
    others: Sequence[Path] = (), without: Collection[str] = ()
) -> tuple[list[Contender], list[str]]:
    """Those that can run here, and the names of those that are not installed.

    Raises BenchError if this tree is not compiled, unless it is to be left out.
    """
    installed, missing = peers()
    ours = [make() for name, make in _OURS.items() if name not in without]
    ours += [_beside(tree, number) for number, tree in enumerate(others)]
    ours += [make() for name, make in _MARKS.items() if name not in without]
    kept = [one for one in installed if one.name not in without]
    return ours + kept, [name for name in missing if name not in without]


def compiled() -> Contender:
    """This tree as `make build` has compiled it. Raises BenchError if it has not."""
    one = _lb(COMPILED, ROOT, os.environ | {"LB_PURE": "0"})
    if not one.version.startswith("compiled"):
        raise BenchError(
            f"this tree is not compiled ({one.version}): `python -m lb.native.build` does it, "
            f"`--without {COMPILED}` measures the rest"
        )
    return one


def pure() -> Contender:
    """This tree as it is written."""
    return _lb(PURE, ROOT, os.environ | {"LB_PURE": "1"})


_OURS = {COMPILED: compiled, PURE: pure}


def _beside(tree: Path, number: int) -> Contender:
    return _lb(f"{BESIDE} {number + 1}" if number else BESIDE, tree, os.environ)


def _lb(name: str, tree: Path, environment: Mapping[str, str]) -> Contender:
    def command(port: int, origins: list[int], directory: Path) -> list[str]:
        backends = ",".join(f"127.0.0.1:{origin}" for origin in origins)
        return [sys.executable, "-m", "lb", "serve", "-p", str(port), "-b", backends]

    asked = subprocess.run(
        [sys.executable, "-c", BUILD], capture_output=True, text=True, cwd=tree, env=environment
    )
    if asked.returncode:
        raise BenchError(f"{name} cannot be imported:\n{asked.stderr}")
    setup = "defaults: round robin, all validation, health checks every 30 s, one worker"
    build = f"{asked.stdout.strip()}, {commit(tree)}"
    return Contender(name, build, setup, command, tree, environment)


def _relay() -> Contender:
    def command(port: int, origins: list[int], directory: Path) -> list[str]:
        return [sys.executable, "-m", "tests.bench.relay", *map(str, (port, *origins))]

    setup = "bytes both ways on uvloop, nothing of HTTP: the floor for a proxy in Python"
    return Contender(RELAY, version("uvloop"), setup, command)


def _embedded() -> Contender:
    def command(port: int, origins: list[int], directory: Path) -> list[str]:
        return [sys.executable, "-m", "tests.bench.embedded", *map(str, (port, *origins))]

    setup = "lb.aio's application on aiohttp's server and client, uvloop; the rest as lb's defaults"
    return Contender(EMBEDDED, version("aiohttp"), setup, command)


_MARKS = {RELAY: _relay, EMBEDDED: _embedded}
"""What a path in Python may cost: the least, and what it costs where nothing of it is ours."""


def commit(tree: Path) -> str:
    """Which commit a tree is at, as people write it."""
    git = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    try:
        said = subprocess.run(git, capture_output=True, text=True, cwd=tree, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "no commit"
    return f"commit {said.stdout.strip()}"
