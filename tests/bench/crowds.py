"""Crowds, live and simulated: `flash_crowd` and `overload`, the very same requests in both worlds.

    python -m tests.bench.crowds [flash_crowd | overload]...

Goodput is answers of status 200 per second, counted when they end. Of the flash crowd it is that of
its two seconds; recovery is how long after them the last half second begins in which a request was
refused, or p95 was above twice the calm one and 50 ms.

Both worlds have the same arrivals, and these files' work is deterministic: while the backends have
something to do all the time, the two come to the same counts, to the request. Latencies differ, and
with work that each world draws for itself so do the counts.
"""

from __future__ import annotations

import asyncio
import json
import sys
import urllib.request
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from lb.config import Scenario
from sim.analysis.record import Record
from sim.engine.world import World
from sim.live.system import LiveSystem, relocated
from sim.model.arrivals import Schedule
from sim.model.laws import Floats
from tests.bench.open_loop import LONGEST, offer

SCENARIOS = Path(__file__).parents[2] / "loadtests" / "scenarios"
CROWD = (10.0, 12.0)
BIN = 0.5


def goodput(ended: Floats, since: float, until: float) -> float:
    return float(np.count_nonzero((ended >= since) & (ended < until)) / (until - since))


def recovery(times: Floats, arrived: Floats, ended: Floats) -> float:
    """Seconds; `times` of all requests, `arrived` and `ended` of those answered well."""
    latency = ended - arrived
    calm = np.percentile(latency[(arrived > 2.0) & (arrived < CROWD[0])], 95)
    since = CROWD[1]
    for begin in np.arange(CROWD[1], times.max() - BIN, BIN):
        mine = (arrived >= begin) & (arrived < begin + BIN)
        came = np.count_nonzero((times >= begin) & (times < begin + BIN))
        if np.count_nonzero(mine) < came or np.percentile(latency[mine], 95) > 2 * calm + 0.05:
            since = begin + BIN
    return float(since - CROWD[1])


def figures(name: str, times: Floats, arrived: Floats, ended: Floats) -> dict[str, float]:
    if name == "flash_crowd":
        return {
            "calm": goodput(ended, 2.0, CROWD[0]),
            "goodput": goodput(ended, *CROWD),
            "recovery": recovery(times, arrived, ended),
        }
    return {"goodput": goodput(ended, 5.0, times.max())}


def simulated(name: str, file: Scenario, schedule: Schedule) -> dict[str, Any]:
    record: Record = World(file, schedule).replicate()
    entered = sum(record.entered(place) for place in range(len(file.backends)))
    found = figures(name, schedule.times, record.arrived, record.ended)
    return {**found, "attempts": entered, "refused": record.refused}


def live(name: str, text: str, schedule: Schedule) -> dict[str, Any]:
    with TemporaryDirectory(prefix="lb-bench-") as directory:
        path = Path(directory) / "scenario.toml"
        path.write_text(relocated(text), encoding="utf-8")
        patience = LONGEST if schedule.patience is None else float(schedule.patience[0])
        with LiveSystem(path, Path(directory)) as system:
            port = int(system.url.rpartition(":")[2])
            asked = asyncio.run(offer(port, schedule.times.tolist(), patience))
            with urllib.request.urlopen(f"{system.url}/lb-stats") as answer:
                stats = json.load(answer)
    good = [one for one in asked if one.status == 200]
    arrived = np.array([one.at for one in good])
    ended = arrived + np.array([one.seconds for one in good])
    return {
        **figures(name, schedule.times, arrived, ended),
        "attempts": sum(row["picked"] for row in stats["backends"]),
        "refused": {why: count for why, count in stats["refused"].items() if count},
        "left_line": stats["left_line"],
        "loop_lag": stats["loop_lag"],
    }


def main(names: list[str]) -> None:
    for name in names or ["flash_crowd", "overload", "overload, fifo"]:
        text = (SCENARIOS / f"{name.partition(',')[0]}.toml").read_text(encoding="utf-8")
        if name.endswith("fifo"):
            text = text.replace('discipline = "adaptive"\n', "")
        file = Scenario.parse(text)
        schedule = Schedule.draw(file)
        print(name, len(schedule), "requests")
        print("  simulated", simulated(name, file, schedule), flush=True)
        print("  live     ", live(name, text, schedule), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
