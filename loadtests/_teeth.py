"""Does the verdict have teeth? Ten honest runs, and as many with one backend slower than modelled.

Honest runs should pass (at least nine of ten). One backend 30 % slower should be found out in nine
runs of a minute out of ten, one twice as slow always, and backends named as the cause. Takes about
twenty minutes.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from lb.terminal import Terminal
from sim.live.system import LiveSystem, relocated

HERE = Path(__file__).parent
SCENARIOS = [
    HERE / "scenarios" / f"{name}.toml" for name in ("round_robin", "slow_backend", "weighted")
]
"""Those of a steady load; a crowd is judged by what it leaves, not by its quantiles."""
RUNS = 10
MISSED = 4


class Kind(NamedTuple):
    """What is run ten times."""

    factor: float
    """Times as long as modelled that one backend takes."""
    seconds: int
    least: int
    """How many of the runs must be judged rightly."""


KINDS = (Kind(1, 20, RUNS - 1), Kind(1.3, 60, RUNS - 1), Kind(2, 20, RUNS))


def slowed(text: str, which: int, factor: float) -> tuple[str, str]:
    """The scenario with the mean service of one backend so many times as long, and its name."""
    blocks = re.split(r"(?=^\[\[backend\]\])", text, flags=re.MULTILINE)
    at = 1 + which % (len(blocks) - 1)
    name = re.search(r'^name = "(.+)"', blocks[at], re.MULTILINE)
    assert name is not None

    def longer(mean: re.Match[str]) -> str:
        return f"{mean[1]}{factor * int(mean[2]):g}ms"

    blocks[at] = re.sub(r'(service = .*mean = ")(\d+)ms', longer, blocks[at], count=1)
    return "".join(blocks), name[1]


def load_test(directory: Path, text: str, backends: str, seed: int) -> tuple[int, dict[str, Any]]:
    """One live run under locust: exit status and verdict.json."""
    scenario, really = directory / "scenario.toml", directory / "backends.toml"
    scenario.write_text(text, encoding="utf-8")
    really.write_text(backends, encoding="utf-8")
    verdict = directory / "verdict.json"
    with LiveSystem(scenario, directory, really) as system:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "locust", "-f", str(HERE), "--headless"),
                *("--host", system.url, "--scenario", str(scenario)),
                *("--seed", str(seed), "--verdict", str(verdict)),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=300,
            check=False,
        )
    return done.returncode, json.loads(verdict.read_text(encoding="utf-8"))


def main() -> int:
    terminal = Terminal()
    rows = []
    right = dict.fromkeys(KINDS, 0)
    for seed in range(1, RUNS + 1):
        file = SCENARIOS[seed % len(SCENARIOS)]
        for kind in KINDS:
            text = relocated(file.read_text(encoding="utf-8"))
            text = text.replace('duration = "20s"', f'duration = "{kind.seconds}s"')
            backends, which = slowed(text, seed, kind.factor)
            with tempfile.TemporaryDirectory() as directory:
                status, verdict = load_test(Path(directory), text, backends, seed)
            cause = verdict["cause"] or {"who": ""}
            ratios = [
                f"{row['measured'] / row['predicted']['value']:.3f}"
                for row in verdict["latency"].values()
            ]
            label = "as modelled" if kind.factor == 1 else f"{which} {kind.factor:g} times"
            rows.append([file.stem, str(seed), label, *ratios, verdict["verdict"], cause["who"]])
            terminal.say(" ".join(rows[-1]))
            slow = kind.factor > 1
            right[kind] += status == (MISSED if slow else 0) and (
                not slow or cause["who"] == "backends"
            )
    terminal.table(
        "p50, p95 and p99: measured over predicted",
        ["scenario", "seed", "backends", "p50", "p95", "p99", "verdict", "cause"],
        rows,
    )
    for kind, count in right.items():
        terminal.say(f"{kind.factor:g} times as slow, {kind.seconds} s: {count} of {RUNS} right")
    return int(any(count < kind.least for kind, count in right.items()))


if __name__ == "__main__":
    sys.exit(main())
