"""Random fault schedules against the live proxy: `python -m sim.live.chaos`.

The laws are those of `sim.checks.chaos`, held against what the proxy tells of itself, while it and
its modelled backends run as processes of their own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lb.config import Scenario
from lb.errors import LbError
from lb.strategies import REGISTRY
from sim.analysis.books import imbalances, unsettled
from sim.live import punctual
from sim.live.load import play
from sim.live.system import LiveSystem, relocated
from sim.model.arrivals import Schedule
from sim.model.trials import trial

SECONDS = 60.0
SETTLED_WITHIN = 40.0
"""Seconds after the last answer: the longest ejection, and a check."""


def account(url: str) -> dict[str, Any]:
    """What the proxy tells of itself."""
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
        f"{url}/lb-stats", timeout=10
    ) as answer:
        told: dict[str, Any] = json.load(answer)
    return told


async def observed(scenario: Scenario, url: str) -> list[str]:
    """Play the traffic; what did not hold, at the latest a while after its end."""
    loop = asyncio.get_running_loop()
    broken: list[str] = []
    load = loop.create_task(play(scenario, Schedule.draw(scenario), url))
    while not load.done():
        await asyncio.wait([load], timeout=1.0)
        broken += imbalances(await asyncio.to_thread(account, url))
    measured = await load
    ends = loop.time() + SETTLED_WITHIN
    while left := list(unsettled(await asyncio.to_thread(account, url))):
        if loop.time() > ends:
            break
        await asyncio.sleep(0.5)
    unanswered = int((measured.ended != measured.ended).sum() - (measured.lost > 0).sum())
    if unanswered:
        left.append(f"{unanswered} wait for ever")
    return [*broken[:5], *left]


def lived(seed: int) -> tuple[str, list[str]]:
    """One schedule, live: its file, and what did not hold."""
    text = trial(seed, tuple(sorted(REGISTRY)), SECONDS)
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "trial.toml"
        file.write_text(relocated(text), encoding="utf-8")
        try:
            with LiveSystem(file, Path(directory)) as system:
                return text, punctual.run(observed(Scenario.load(file), system.url))
        except (LbError, OSError, ValueError) as error:
            return text, [f"{type(error).__name__}: {error}"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Live through them; the exit status is 1 when a law was broken."""
    parser = argparse.ArgumentParser(prog="python -m sim.live.chaos", description=__doc__)
    parser.add_argument("--runs", type=int, default=10, help="schedules [10]")
    parser.add_argument("--seed", type=int, default=0, help="of the first of them [0]")
    given = parser.parse_args(arguments)
    bad = 0
    for seed in range(given.seed, given.seed + given.runs):
        text, broken = lived(seed)
        print(f"live, seed {seed}: {'broken' if broken else 'held'}", flush=True)
        if broken:
            bad += 1
            print(f"# seed {seed}:", *broken, sep="\n#   ")
            print(text, flush=True)
    print(f"{given.runs} live fault schedules of {SECONDS:g} s: {given.runs - bad} held, {bad} not")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
