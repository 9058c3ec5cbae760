"""The live proxy in virtual time, beside what the simulator says of the same file."""

from __future__ import annotations

import numpy as np
import pytest

from sim import simulate
from tests.lived.world import lived

TEXT = """
algorithm = "{algorithm}"
key = "header:X-LB-Key"
[[backend]]
address = "127.0.0.1:1"
weight = 2
[backend.model]
service = {{ law = "exponential", mean = "20ms" }}
[[backend]]
address = "127.0.0.1:2"
[backend.model]
service = {{ law = "exponential", mean = "20ms" }}
[traffic]
arrivals = {{ process = "poisson", rate = 70 }}
keys = {{ law = "zipf", count = 100, s = 1.0 }}
[run]
duration = "20s"
seed = 5
"""
ALIKE = (
    "round_robin",
    "weighted_round_robin",
    "random",
    "weighted_random",
    "least_connections",
    "p2c",
    "join_idle_queue",
    "ip_hash",
    "consistent_hash",
    "maglev",
    "rendezvous",
)
"""Algorithms that go by what both worlds have: no cookies, and no times of health checks."""


def test_it_comes_out_the_same_every_time() -> None:
    first, second = (lived(TEXT.format(algorithm="least_connections")) for _ in range(2))
    np.testing.assert_array_equal(first.measured.ended, second.measured.ended)
    np.testing.assert_array_equal(first.measured.backend, second.measured.backend)
    assert first.lost == 0


@pytest.mark.parametrize("algorithm", ALIKE)
def test_proxy_and_simulator_are_one(algorithm: str) -> None:
    """Every request goes to the same backend in both worlds, and takes as long, to a nanosecond."""
    live = lived(TEXT.format(algorithm=algorithm))
    (record,) = simulate(live.scenario, schedule=live.schedule)[algorithm].records[:1]
    assert len(record.arrived) == len(live.schedule) > 1000
    np.testing.assert_array_equal(record.backend, live.measured.backend)
    np.testing.assert_allclose(record.latency, live.measured.ended - live.schedule.times, atol=1e-9)
