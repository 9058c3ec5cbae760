"""Ejections in the live proxy, in virtual time, and in the simulator, from the same file."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lb.strategies import REGISTRY
from sim import Scenario, simulate
from tests.live_world import lived

BACKENDS = "".join(
    f"""
[[backend]]
address = "127.0.0.1:{n}"
name = "{name}"
weight = {weight}
[backend.model]
service = {{ law = "exponential", mean = "20ms" }}
workers = 20
"""
    for n, (name, weight) in enumerate((("a", 1), ("b", 1), ("c", 1)), 1)
)


def text(algorithm: str, fault: str, duration: str, more: str = "") -> str:
    return f"""
algorithm = "{algorithm}"
key = "header:X-LB-Key"
{more}
{BACKENDS}
[traffic]
arrivals = {{ process = "poisson", rate = 500 }}
keys = {{ law = "zipf", count = 10000, s = 0.5 }}
[[fault]]
{fault}
[run]
duration = "{duration}"
seed = 7
replications = 1
warmup = "0s"
"""


def attempts(seconds: Any, backends: Any, since: float, until: float) -> float:
    """Share of the first backend of the good answers to what came in this time."""
    then = (seconds >= since) & (seconds < until)
    return float(np.mean(backends[then] == 0))


FAIL_FAST = 'backend = "a"\nkind = "fail_fast"\nfrom = "1s"\nto = "60s"'


@pytest.mark.parametrize("algorithm", sorted(REGISTRY))
def test_one_that_fails_fast_is_out_under_every_algorithm_live(algorithm: str) -> None:
    """It has no more than its fair share of the two seconds after it began, and nothing then."""
    seen: list[tuple[float, int]] = []

    def watch(system: Any) -> None:
        a = system.proxy.balancer.pool.backends[0]
        loop = __import__("asyncio").get_running_loop()
        began = loop.time()
        for at in (1.0, 3.0, 6.0):
            loop.call_at(began + at, lambda at=at: seen.append((at, a.picked)))

    run = lived(text(algorithm, FAIL_FAST, "7s"), watch)
    picked = dict(seen)
    assert picked[3.0] - picked[1.0] <= 1000 / 3
    assert picked[6.0] == picked[3.0]
    (line,) = run.lines("backend ejected")
    print(algorithm, line[0], line[3], picked, run.lost)
    assert line[3]["seconds"] == 10.0
