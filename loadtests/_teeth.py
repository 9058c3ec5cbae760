"""Does the verdict have teeth? Ten honest runs, and ten with one backend twice as slow as modelled.

Honest runs should pass (at least nine of ten), the others must all miss. Takes about ten minutes.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from lb.terminal import Terminal
from sim.live.system import LiveSystem, relocated

HERE = Path(__file__).parent
SCENARIOS = [
    HERE / "scenarios" / f"{name}.toml" for name in ("round_robin", "slow_backend", "weighted")
]
"""Those of a steady load; a crowd is judged by what it leaves, not by its quantiles."""
RUNS = 10
MISSED = 4


def slowed(text: str, which: int) -> tuple[str, str]:
    """The scenario with the mean service of one backend doubled, and that backend's name."""
    blocks = re.split(r"(?=^\[\[backend\]\])", text, flags=re.MULTILINE)
    at = 1 + which % (len(blocks) - 1)
    name = re.search(r'^name = "(.+)"', blocks[at], re.MULTILINE)
    assert name is not None
    blocks[at] = re.sub(
        r'(service = .*mean = ")(\d+)ms', lambda m: f"{m[1]}{2 * int(m[2])}ms", blocks[at], count=1
    )
    return "".join(blocks), name[1]


def load_test(
    directory: Path, text: str, backends: str, seed: int
) -> tuple[int, dict[str, object]]:
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
    passed = missed = 0
    for seed in range(1, RUNS + 1):
        file = SCENARIOS[seed % len(SCENARIOS)]
        text = relocated(file.read_text(encoding="utf-8"))
        wrong, which = slowed(text, seed)
        for label, backends in (("as modelled", text), (f"{which} twice as slow", wrong)):
            with tempfile.TemporaryDirectory() as directory:
                status, verdict = load_test(Path(directory), text, backends, seed)
            ratios = [
                f"{row['measured'] / row['predicted']['value']:.3f}"
                for row in verdict["latency"].values()
            ]
            rows.append([file.stem, str(seed), label, *ratios, str(verdict["verdict"])])
            terminal.say(" ".join(rows[-1]))
            passed += backends is text and status == 0
            missed += backends is wrong and status == MISSED
    terminal.table(
        "p50, p95 and p99: measured over predicted",
        ["scenario", "seed", "backends", "p50", "p95", "p99", "verdict"],
        rows,
    )
    terminal.say(f"As modelled: {passed} of {RUNS} passed. Slowed: {missed} of {RUNS} missed.")
    return 0 if passed >= RUNS - 1 and missed == RUNS else 1


if __name__ == "__main__":
    sys.exit(main())
