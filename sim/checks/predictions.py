"""Do predictions keep their word? Synthetic worlds: `python -m sim.checks.predictions`.

Each world is a pool drawn at random, recorded for one run under one setting, and asked what another
one would give; then the other is simulated many times on the same arrivals. Intervals should cover
what comes of it in 95 of 100 worlds, whether the model is the world itself, one whose parameters
were estimated (as its calibration says), one that lacks something (a network), or the one that a
calibration makes of the very recording.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import NamedTuple

from lb.config import Scenario, changed
from lb.errors import LbError
from lb.terminal import Terminal
from lb.traces.observed import Observed
from sim.analysis.statistics import FIGURES
from sim.crew import Crew
from sim.fit.calibrate import calibrate
from sim.fit.doubt import logs
from sim.fit.predict import Prediction, predict
from sim.fit.predict.replayed import replayed
from sim.fit.predict.runs import Plan
from sim.fit.sample import window_of
from sim.fit.seen import Seen
from sim.fit.whatif import WhatIf
from sim.fit.witnessed import witnessed
from sim.model.laws import Floats

LAWS = (
    '{ law = "exponential", mean = "%gms" }',
    '{ law = "lognormal", mean = "%gms", cv = 1.5 }',
    '{ law = "lognormal", mean = "%gms", cv = 0.7 }',
    '{ law = "gamma", mean = "%gms", cv = 0.5 }',
    '{ law = "deterministic", mean = "%gms" }',
)
ALGORITHMS = ("weighted_round_robin", "random", "p2c", "least_connections", "peak_ewma")
KINDS = ("the world itself", "estimated", "without its network", "calibrated")
RUNS = 16
"""Simulations of what comes of a change."""
ELSEWHERE = 777_777
"""Added to a seed: another one."""
FAIR = 3.1
"""Standard errors below 95 % that one share in a thousand is by chance."""


class Case(NamedTuple):
    """One world."""

    world: Scenario
    model: Scenario
    change: WhatIf


def case(number: int, kind: str, requests: int = 3000) -> Case:
    """The world of that number."""
    rng = Random(f"{kind} {number}")
    law = rng.choice(LAWS)
    rows: list[str] = []
    capacity = 0.0
    for at in range(rng.randint(2, 5)):
        mean, workers = rng.choice((10, 20, 30, 40)), rng.choice((1, 1, 2, 4))
        discipline = rng.choice(("fifo", "fifo", "ps"))
        workers = workers if discipline == "fifo" else 1
        served = workers / mean * 1e3
        capacity += served
        rows.append(
            f'[[backend]]\nname = "b{at}"\naddress = "b:{at + 1}"\nweight = {round(served / 10)}\n'
            f"[backend.model]\nservice = {law % mean}\n"
            f'discipline = "{discipline}"\nworkers = {workers}\n'
        )
    rate = rng.uniform(0.35, 0.8) * capacity
    own, other = rng.sample(ALGORITHMS, 2)
    text = (
        f'algorithm = "{own}"\n[traffic]\narrivals = {{ process = "poisson", rate = {rate:.4f} }}\n'
        f"[run]\nrequests = {requests}\nseed = {rng.randint(1, 10**6)}\n"
    )
    model = world = Scenario.parse(text + "\n".join(rows))
    if kind == "estimated":
        model = _estimated(world, rng, requests)
    elif kind == "without its network":
        way = rng.choice((0.0005, 0.001, 0.002))
        world = changed(world, {"traffic.network": {"law": "exponential", "mean": way}})
    asked = (WhatIf(other), WhatIf(other), WhatIf(more=("b0",)), WhatIf(rate_times=1.15))
    model = changed(model, {"run.seed": world.run.seed + 1})
    return Case(world, model, rng.choice(asked))


def _estimated(world: Scenario, rng: Random, requests: int) -> Scenario:
    """As a calibration might have it: off by chance, and it says by how much."""
    keys: dict[str, object] = {}
    rows = []
    for at, (_, model) in enumerate(world.modelled()):
        law = model.service
        error = math.sqrt(law.squared_cv / requests * len(world.backends))
        if error:
            key, value = (
                f"backend.{at}.model.service.mean",
                law.mean * math.exp(rng.gauss(0.0, error)),
            )
            keys[key] = value
            ends = (value * math.exp(sign * 1.96 * error) for sign in (-1, 1))
            rows.append(
                {"key": key, "value": value, **dict(zip(("low", "high"), ends, strict=True))}
            )
    keys["calibration"] = {"from": "paper", "requests": requests, "seconds": 1.0, "estimate": rows}
    return changed(world, keys)


def truth(world: Scenario, seen: Observed, change: WhatIf | None) -> Mapping[str, Floats]:
    """What comes of it on the arrivals of `seen`: logarithms by figure, one per simulation."""
    with TemporaryDirectory() as directory:
        columns = Seen.of(seen)
        window, _ = window_of(columns, None)
        there, _ = replayed(world, columns, Path(directory))
        there = changed(there, {"run.seed": there.run.seed + ELSEWHERE})
        pace = 1.0 if change is None else change.rate_times
        plan = Plan(there, [change], [window.at(pace)], RUNS, varied=False)
        plan.run(Crew(1))
        (setting,) = plan.settings
        return {name: logs(setting.figure(name)) for name in FIGURES}


def covered(
    told: Prediction, before: Mapping[str, Floats], after: Mapping[str, Floats]
) -> Counter[str]:
    """Which intervals of the only change hold what came of it."""
    change, found = told.changes[-1], Counter[str]()
    for name, figure in change.outlook.latency.items():
        value = math.exp(float(after[name].mean()))
        low, high = figure.expected.low, figure.expected.high
        assert low is not None
        assert high is not None
        found[name] += low <= value <= high
        low, high = figure.one_run
        found["one run"] += low <= math.exp(float(after[name][0])) <= high
        relative = change.changes[name]
        assert relative.low is not None
        assert relative.high is not None
        moved = math.expm1(float(after[name].mean() - before[name].mean()))
        found["change"] += relative.low <= moved <= relative.high
    found["all"] += 1
    return found


def study(kind: str, worlds: int) -> Counter[str]:
    """Of so many worlds: how many were predicted (`all`), and what was covered."""
    found = Counter[str]()
    for number in range(worlds):
        one = case(number, kind)
        seen = witnessed(one.world, 9, f"world {number}")
        model = one.model
        if kind == "calibrated":
            model = changed(calibrate(seen, replays=0).scenario, {"run.seed": model.run.seed})
        told = predict(model, [one.change], seen, replications=20)
        found["refused"] += not told.gate.passed
        if told.current is None or not told.changes[-1].outlook.latency:
            continue
        found += covered(told, truth(one.world, seen, None), truth(one.world, seen, one.change))
        change = told.changes[-1]
        found["recommended"] += change.recommended
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Study them all; the exit status is 1 where intervals cover too little for chance."""
    parser = argparse.ArgumentParser(prog="python -m sim.checks.predictions", description=__doc__)
    parser.add_argument("--worlds", type=int, default=100, help="of each kind [100]")
    parser.add_argument("--kind", choices=KINDS, action="append", help="of model [all]")
    given = parser.parse_args(arguments)
    rows: list[list[str]] = []
    poor = False
    try:
        for kind in given.kind or KINDS:
            seen = study(kind, given.worlds)
            several = len(FIGURES) * seen["all"]
            shares = {name: seen[name] / max(seen["all"], 1) for name in FIGURES}
            shares |= {name: seen[name] / max(several, 1) for name in ("change", "one run")}
            error = math.sqrt(0.05 * 0.95 / max(seen["all"], 1))
            poor |= min(shares.values()) < 0.95 - FAIR * error
            cells = [f"{share:.0%}" for share in shares.values()]
            rows.append([kind, f"{seen['all']}", *cells, str(seen["refused"])])
            print(*rows[-1], file=sys.stderr, flush=True)
    except LbError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    header = ["model", "worlds", *FIGURES, "change", "one run", "refused"]
    Terminal().table("Intervals that cover what comes of a change", header, rows)
    return int(poor)


if __name__ == "__main__":
    sys.exit(main())
