"""What a simulated request costs in both builds, beside the same model written in plain SimPy.

CPU time on one core of `simulate`, drawing and statistics included, as multiples of the plain
model: so many times as many requests in the same time. Also whole processes, from Python's start
to its end, and what the program's start takes of that.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lb.strategies import REGISTRY
from tests.bench import simulated
from tests.bench.contenders import COMPILED, PURE, contenders
from tests.bench.peers import Contender
from tests.bench.processes import PROXY_CORE, BenchError, pinned
from tests.bench.rounds import Say

HASHES = ("ip_hash", "consistent_hash", "maglev")
FAST = ("round_robin", "random", "p2c", *HASHES)
SPECIAL = dict(zip(simulated.SPECIAL, (3.5, 3.0, 2.5), strict=False))
TARGETS: dict[str, dict[str, float]] = {
    COMPILED: dict.fromkeys(REGISTRY, 6.0)
    | dict.fromkeys(FAST, 10.0)
    | {"prequal": 2.0, "rendezvous": 2.5},
    PURE: dict.fromkeys(REGISTRY, 3.5)
    | dict.fromkeys((*FAST, "join_idle_queue"), 5.0)
    | {"prequal": 1.0, "rendezvous": 1.5}
    | SPECIAL,
}
"""Multiples of the plain model, at least."""
WIDE = f"round_robin, {simulated.MANY:,} backends"
WIDE_TARGET = 1.5
"""CPU of a request with so many backends, over that with ten, at most."""
START_TARGET = 0.35
"""Seconds of CPU from Python's start until the simulation begins, at most."""


def measure(quick: bool, others: list[Path], without: Collection[str], say: Say) -> dict[str, Any]:
    """CPU microseconds for a request, round by round."""
    requests, rounds, whole = (120_000, 3, 300_000) if quick else (300_000, 5, 1_000_000)
    found = [one for one in contenders(others, without)[0] if one.name.startswith("lb")]
    costs: dict[str, list[dict[str, float]]] = {one.name: [] for one in found}
    ran: dict[str, list[dict[str, float]]] = {one.name: [] for one in found}
    with TemporaryDirectory(prefix="lb-bench-") as directory, pinned(PROXY_CORE):
        file = Path(directory, "scenario.toml")
        for turn in range(rounds):
            for one in found:
                say(f"simulating: {one.name}, round {turn + 1} of {rounds}")
                costs[one.name].append(json.loads(_run(one, [str(requests)])[0]))
                ran[one.name].append(_processes(one, file, whole))
    return {
        "scenario": f"{simulated.BACKENDS} exponential FIFO backends of one worker, "
        f"load {simulated.LOAD}",
        "requests": requests,
        "rounds": rounds,
        "targets": TARGETS,
        "plain_us": statistics.median(row["plain"] for rows in costs.values() for row in rows),
        "builds": {name: _cases(rows) for name, rows in costs.items()},
        "wide": {
            "backends": simulated.MANY,
            "target": WIDE_TARGET,
            "times": {
                name: statistics.median(row[WIDE] / row["round_robin"] for row in rows)
                for name, rows in costs.items()
            },
        },
        "processes": {
            "requests": whole,
            "start_target": START_TARGET,
            "builds": {
                name: {key: statistics.median(row[key] for row in rows) for key in rows[0]}
                for name, rows in ran.items()
            },
        },
    }


def _cases(rows: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    return {
        name: {
            "us": statistics.median(row[name] for row in rows),
            "multiple": statistics.median(row["plain"] / row[name] for row in rows),
        }
        for name in rows[0]
        if name not in ("plain", WIDE)
    }


def _processes(one: Contender, file: Path, requests: int) -> dict[str, float]:
    """CPU seconds of whole processes: the plain model, `lb simulate`, and its start alone."""
    found = {"plain": _run(one, ["plain", str(requests)])[1]}
    for name, count in (("start", 1), ("simulate", requests)):
        file.write_text(simulated.Case("round_robin").text(count), encoding="utf-8")
        command = ["-m", "lb", "simulate", "-c", str(file), "--json", "--quiet"]
        found[name] = _run(one, command, script=False)[1]
    return {**found, "multiple": found["plain"] / found["simulate"]}


def _run(one: Contender, words: Sequence[str], *, script: bool = True) -> tuple[str, float]:
    """What a Python in the contender's tree prints, and the CPU it took."""
    before = _used()
    done = subprocess.run(
        [sys.executable, *([simulated.__file__] if script else []), *words],
        capture_output=True,
        text=True,
        cwd=one.cwd,
        env={**one.environment, "PYTHONPATH": str(one.cwd)},
        check=False,
    )
    if done.returncode:
        raise BenchError(f"{one.name} does not simulate:\n{done.stderr}")
    return done.stdout, _used() - before


def _used() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime
