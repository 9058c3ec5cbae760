"""Does the verdict have teeth? Ten honest runs, and as many with one backend slower than modelled.

Honest runs should pass (at least nine of ten). One backend 30 % slower should be found out in nine
runs of a minute out of ten, one twice as slow always, and backends named as the cause. Takes about
twenty minutes. The exit status is 1 where the verdict is wrong too often, and 4 where a machine
that is busy leaves too few runs to say: `chrt -f 10` before the command has others give way to it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from lb.errors import INTERRUPTED, LbError
from lb.terminal import Terminal
from sim.live.line import OF_LATENCY
from sim.live.system import LiveSystem, relocated
from sim.live.verdict import Judgement

HERE = Path(__file__).parent
SCENARIOS = [
    HERE / "scenarios" / f"{name}.toml"
    for name in ("round_robin", "slow_backend", "weighted", "fail_fast")
]
"""Those whose load is steady; a crowd is judged by what it leaves, not by its quantiles."""
RUNS = 10
FAILED, CANNOT_TELL = 1, 4


class Kind(NamedTuple):
    """What is run ten times."""

    factor: float
    """Times as long as modelled that one backend takes."""
    seconds: int
    least: int
    """How many of the runs must be judged rightly."""

    @property
    def label(self) -> str:
        return "as modelled" if self.factor == 1 else f"{self.factor:g} times as slow"

    def right(self, verdict: dict[str, Any]) -> bool:
        """Whether that is what the verdict should say."""
        if self.factor == 1:
            return bool(verdict["verdict"] == Judgement.PASSED.value)
        missed = verdict["verdict"] == Judgement.MISSED.value
        return missed and verdict["cause"]["who"] == "backends"


KINDS = (Kind(1, 20, RUNS - 1), Kind(1.3, 60, RUNS - 1), Kind(2, 20, RUNS))


class Count(NamedTuple):
    """What became of the runs of one kind."""

    right: int = 0
    wrong: int = 0
    invalid: int = 0
    """Those that the machine was too busy for."""

    def after(self, kind: Kind, verdict: dict[str, Any]) -> Count:
        """With one more run."""
        if verdict["verdict"] == Judgement.INVALID.value:
            return self._replace(invalid=self.invalid + 1)
        if kind.right(verdict):
            return self._replace(right=self.right + 1)
        return self._replace(wrong=self.wrong + 1)

    def status(self, least: int) -> int:
        """Of the whole check, as far as this kind goes."""
        if self.right >= least:
            return 0
        return FAILED if self.right + self.invalid < least else CANNOT_TELL

    def says(self, kind: Kind) -> str:
        """One line."""
        words = {0: "as it should be", FAILED: "too few", CANNOT_TELL: "cannot judge"}
        told = f"{kind.seconds} s {kind.label}: {self.right} right, {self.wrong} wrong"
        if self.invalid:
            told += f", {self.invalid} on a busy machine"
        return f"{told}: {words[self.status(kind.least)]}"


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


def load_test(directory: Path, text: str, backends: str, seed: int) -> dict[str, Any]:
    """One live run under locust: what verdict.json says. Raises LbError where there is none."""
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
            capture_output=True,
            text=True,
            check=False,
        )
    if not verdict.exists():
        wrong = [line for line in done.stderr.splitlines() if "Error" in line]
        raise LbError(f"locust gave no verdict: {wrong[-1] if wrong else done.returncode}")
    told: dict[str, Any] = json.loads(verdict.read_text(encoding="utf-8"))
    if done.returncode != Judgement(told["verdict"]).exit_status:
        raise LbError(f"locust ends with {done.returncode} and says {told['verdict']}")
    return told


def main() -> int:
    terminal = Terminal()
    rows: list[list[str]] = []
    counts = dict.fromkeys(KINDS, Count())
    try:
        for seed in range(1, RUNS + 1):
            file = SCENARIOS[seed % len(SCENARIOS)]
            for kind in KINDS:
                text = relocated(file.read_text(encoding="utf-8"))
                text = text.replace('duration = "20s"', f'duration = "{kind.seconds}s"')
                backends, which = slowed(text, seed, kind.factor)
                with tempfile.TemporaryDirectory() as directory:
                    verdict = load_test(Path(directory), text, backends, seed)
                counts[kind] = counts[kind].after(kind, verdict)
                label = kind.label if kind.factor == 1 else f"{which} {kind.factor:g} times"
                rows.append([file.stem, str(seed), label, *_told(verdict)])
                terminal.say(" ".join(rows[-1]))
    except LbError as error:
        terminal.say(str(error))
        return error.exit_status
    except KeyboardInterrupt:
        return INTERRUPTED
    terminal.table(
        "p50, p95 and p99: measured over predicted",
        ["scenario", "seed", "backends", *OF_LATENCY, "verdict", "cause"],
        rows,
    )
    for kind, count in counts.items():
        terminal.say(count.says(kind))
    found = {count.status(kind.least) for kind, count in counts.items()}
    return FAILED if FAILED in found else max(found)


def _told(verdict: dict[str, Any]) -> list[str]:
    """Ratios, the judgement and its cause."""
    ratios = []
    for name in OF_LATENCY:
        row = verdict["latency"].get(name, {"measured": None})
        seen = row["measured"]
        ratios.append("" if seen is None else f"{seen / row['predicted']['value']:.3f}")
    return [*ratios, verdict["verdict"], verdict["cause"]["who"] if verdict["cause"] else ""]


if __name__ == "__main__":
    sys.exit(main())
