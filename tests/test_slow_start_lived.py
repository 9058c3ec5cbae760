"""A backend that comes back cold: live, in virtual time, and simulated from the same file.

Without ejections, which would keep it out for longer than it is cold.
"""

from __future__ import annotations

import numpy as np
import pytest

from lb.config import Scenario
from sim import simulate
from sim.model.laws import Floats
from tests.live_world import lived

FILE = """
algorithm = "weighted_round_robin"
[health]
interval = "250ms"
fast_interval = "250ms"
[outliers]
enabled = false
[slow_start]
duration = "{duration}"
[[backend]]
address = "127.0.0.1:1"
name = "a"
[backend.model]
service = {{ law = "gamma", mean = "10ms", cv = 0.3 }}
workers = 4
[[backend]]
address = "127.0.0.1:2"
name = "b"
[backend.model]
service = {{ law = "gamma", mean = "10ms", cv = 0.3 }}
workers = 4
[[backend]]
address = "127.0.0.1:3"
name = "c"
[backend.model]
service = {{ law = "gamma", mean = "10ms", cv = 0.3 }}
workers = 4
[traffic]
arrivals = {{ process = "poisson", rate = 500 }}
[[fault]]
backend = "a"
kind = "down"
from = "1s"
to = "{up}"
[[fault]]
backend = "a"
kind = "slow"
factor = 8
from = "{up}"
to = "{warm}"
[run]
duration = "14s"
seed = 3
replications = 1
warmup = "0s"
"""


def slow(latencies: Floats) -> int:
    """Requests above four times the median."""
    return int(np.count_nonzero(latencies > 4 * np.nanmedian(latencies)))


def of(duration: str, up: float = 3.0) -> tuple[int, int]:
    """How many are slow live, and simulated."""
    file = FILE.format(duration=duration, up=f"{up}s", warm=f"{up + 5}s")
    live, scenario = lived(file), Scenario.parse(file)
    (record,) = simulate(scenario)["weighted_round_robin"].records
    assert live.lost == record.failed == 0
    return slow(live.measured.ended - live.schedule.times), slow(record.latency)


def test_slow_start_spares_two_in_three_a_cold_backend() -> None:
    (live, simulated), (spared, spared_simulated) = of("0s"), of("10s")
    assert spared <= live / 3
    assert spared_simulated <= simulated / 3
    assert simulated == pytest.approx(live, rel=0.2)
    assert spared_simulated == pytest.approx(spared, rel=0.2)
