"""Random fault schedules against everything that decides: `python -m sim.checks.chaos`.

In each, the last fault ends at half time. Whatever happens, the books balance in every second, and
at the end every backend is in rotation again, nothing is in flight, and nobody has waited for ever.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice

from lb.config import Scenario
from lb.strategies import REGISTRY
from sim.analysis.books import Account, imbalances, overspent, unsettled
from sim.engine.alarms import Alarm
from sim.engine.world import World
from sim.model.arrivals import Schedule
from sim.model.trials import trial

SECONDS = 300.0
FOR_EVER = 120.0
"""Seconds after the last arrival by which everybody has been answered."""
ALGORITHMS = tuple(sorted(REGISTRY))


class Stuck(Exception):
    """Somebody waits for ever."""


@dataclass(frozen=True)
class Trial:
    """What came of one schedule."""

    seed: int
    text: str
    broken: tuple[str, ...]
    """What did not hold; empty when all did."""
    requests: int = 0
    failed: int = 0


def tried(seed: int, seconds: float = SECONDS) -> Trial:
    """Simulate one schedule and hold the balancer to its account."""
    text = trial(seed, ALGORITHMS, seconds)
    scenario = Scenario.parse(text, f"trial {seed}")
    world = World(scenario, Schedule.draw(scenario))
    (dispatcher,) = world.dispatchers
    broken: list[str] = []
    policy = scenario.setup().retries
    share = policy.share(len(scenario.backends))
    seconds_of_it = math.ceil(policy.window)
    before: deque[Account] = deque(maxlen=2 * seconds_of_it + 1)

    def look(now: float) -> None:
        account = asdict(dispatcher.balancer.snapshot(now))
        before.append(account)
        at_least = policy.min_per_second * policy.window
        found = [*imbalances(account), *overspent(before, seconds_of_it, at_least, share)]
        broken.extend(f"at {now:.3f} s: {why}" for why in found)
        if now >= seconds + FOR_EVER:
            raise Stuck
        world.set(watch, now + 1.0)

    watch = Alarm(look)
    world.set(watch, 1.0)
    try:
        record = world.replicate()
    except Stuck:
        return Trial(seed, text, (*islice(broken, 5), "somebody waits for ever"))
    account = asdict(dispatcher.balancer.snapshot(world.now))
    broken += [*imbalances(account), *unsettled(account)]
    if record.completed + record.failed != record.requests:
        broken.append(f"{record.completed} + {record.failed} of {record.requests} have ended")
    return Trial(seed, text, tuple(broken[:5]), record.requests, record.failed)


def trials(seeds: Sequence[int], processes: int) -> Iterator[Trial]:
    """Each of `seeds`, in order."""
    with ProcessPoolExecutor(processes) as executor:
        yield from executor.map(tried, seeds, chunksize=4)


def main(arguments: Sequence[str] | None = None) -> int:
    """Try them; the exit status is 1 when a law was broken."""
    parser = argparse.ArgumentParser(prog="python -m sim.checks.chaos", description=__doc__)
    parser.add_argument("--runs", type=int, default=1000, help="schedules [1000]")
    parser.add_argument("--seed", type=int, default=0, help="of the first of them [0]")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="at one time")
    given = parser.parse_args(arguments)
    seeds = range(given.seed, given.seed + given.runs)
    requests = failed = bad = 0
    for done, one in enumerate(trials(seeds, given.processes), 1):
        requests, failed = requests + one.requests, failed + one.failed
        if one.broken:
            bad += 1
            print(f"# seed {one.seed}:", *one.broken, sep="\n#   ")
            print(one.text, flush=True)
        if done % 100 == 0:
            print(f"{done} schedules, {bad} broken", file=sys.stderr, flush=True)
    print(
        f"{given.runs} fault schedules of {SECONDS:g} s: {given.runs - bad} held, {bad} did not; "
        f"{failed} of {requests} requests failed ({failed / max(requests, 1):.2%})"
    )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
