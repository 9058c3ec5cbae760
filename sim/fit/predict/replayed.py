"""A scenario in which a recording's requests come again: its arrivals and keys, the work drawn."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from lb.config import Poisson, Run, Scenario, Trace, Traffic
from lb.system import writing
from lb.terminal import plain
from lb.traces.observed import UNKNOWN
from sim.fit.sample import MOST
from sim.fit.seen import Seen
from sim.model.arrivals import streams

COARSE = 0.01
"""Seconds that arrivals may be rounded to before those of one moment are spread over it."""
REQUESTS = 20_000
"""Of a replication without a recording, where the file says nothing."""
START = 0.1
"""Of such a run, what is not counted where the file says nothing."""


def replayed(now: Scenario, seen: Seen, directory: Path) -> tuple[Scenario, list[str]]:
    """`now` with the requests of `seen`, which go into a file in `directory`; and what to know.

    Raises CannotWrite.
    """
    run = now.run.model_copy(update={"duration": None, "requests": None, "warmup": 0.0})
    remarks = list(seen.observed.remarks)
    if ".worker" in Path(seen.observed.source).name:
        remarks.append(
            f"{seen.observed.source} is what one of several workers saw, without what the others "
            "sent to the same backends; the access log is of all of them"
        )
    if run.balancers > 1:
        remarks.append(
            f"{run.balancers} balancers: each sees its own requests, and has its part of the limits"
        )
    if now.traffic is not None and now.traffic.users is not None:
        remarks.append(
            "the file says users: they send when they have their answers, so the replay lets them, "
            "and the recorded arrivals are not used"
        )
        run = run.model_copy(update={"duration": _seconds(seen)})
        return now.model_copy(update={"run": run}), remarks
    if seen.observed.share < 1.0:
        return _in_their_place(now, seen, run, remarks)
    path = directory / "requests.csv"
    remarks += _write(seen, path, now.run.seed)
    trace = Trace(process="trace", file=str(path))
    traffic = (
        Traffic(arrivals=trace)
        if now.traffic is None
        else now.traffic.model_copy(update={"arrivals": trace})
    )
    return now.model_copy(update={"run": run, "traffic": traffic}), remarks


def _in_their_place(
    now: Scenario, seen: Seen, run: Run, remarks: list[str]
) -> tuple[Scenario, list[str]]:
    """With arrivals that are drawn, where a recording holds a sample of them only."""
    rate = len(seen) / seen.observed.share / max(seen.seconds, 1e-3)
    run = run.model_copy(update={"duration": _seconds(seen)})
    there = now.model_copy(update={"run": run})
    if now.traffic is None:
        poisson = Traffic(arrivals=Poisson(process="poisson", rate=rate))
        there = there.model_copy(update={"traffic": poisson})
    else:
        there = there.at_rate(rate)
    remarks.append(
        f"in a sample not all arrivals are there: those of the model are drawn, {plain(rate)}/s"
    )
    return there, remarks


def _seconds(seen: Seen) -> float:
    """How long what is replayed of it is."""
    return max(float(seen.arrived[min(len(seen), MOST) - 1]), 1e-3)


def on_its_own(now: Scenario) -> tuple[Scenario, float]:
    """`now` with a length where it has none, and the seconds at its start that do not count.

    Raises ConfigError.
    """
    run = now.run
    if run.duration is None and run.requests is None and not _ends(now):
        now = now.with_run(requests=REQUESTS)
    return now, START * now.length if run.warmup is None else run.warmup


def _ends(now: Scenario) -> bool:
    return isinstance(now.offered().arrivals, Trace)


def _write(seen: Seen, path: Path, seed: int) -> list[str]:
    times, remarks = seen.arrived[:MOST], []
    order = np.arange(len(times))
    resolution = seen.observed.resolution
    if resolution > COARSE:
        luck = streams(seed, 0, "within a moment")[0]
        times = times + resolution * luck.random(len(times))
        order = np.argsort(times, kind="stable")
        times = times[order] - times[order[0]]
        remarks.append(
            f"arrivals are known to {resolution:g} s only: those of one moment are spread over it"
        )
    columns: dict[str, list[str]] = {"time": [repr(time) for time in times.tolist()]}
    keys = seen.key[order]
    if (keys != UNKNOWN).any():
        texts = [_plain(text) for text in seen.observed.texts]
        columns["key"] = ["" if key == UNKNOWN else texts[key] for key in keys.tolist()]
    if seen.observed.balancers > 1:
        columns["balancer"] = [str(number + 1) for number in seen.balancer[order].tolist()]
    with writing(path), path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(columns)
        table.writerows(zip(*columns.values(), strict=True))
    return remarks


def _plain(text: str) -> str:
    """What a header field can carry; another text remains another."""
    return text if text.isprintable() else repr(text)[1:-1]
