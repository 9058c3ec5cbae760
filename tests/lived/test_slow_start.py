"""A backend that comes back cold: live, in virtual time, and simulated from the same file.

Without ejections, which would keep it out for longer than it is cold.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lb.config import Scenario
from sim import simulate
from sim.model.laws import Floats
from tests.lived.world import lived

SCENARIOS = Path(__file__).parents[2] / "loadtests" / "scenarios"

FILE = (SCENARIOS / "slow_start.toml").read_text()


def slow(latencies: Floats) -> int:
    """Requests above four times the median."""
    return int(np.count_nonzero(latencies > 4 * np.nanmedian(latencies)))


def of(duration: str) -> tuple[int, int]:
    """How many are slow live, and simulated."""
    file = FILE.replace('duration = "10s"', f'duration = "{duration}"')
    live, scenario = lived(file), Scenario.parse(file)
    record = simulate(scenario)["weighted_round_robin"].records[0]
    assert live.lost == record.failed == 0
    return slow(live.measured.ended - live.schedule.times), slow(record.latency)


def test_slow_start_spares_two_in_three_a_cold_backend() -> None:
    (live, simulated), (spared, spared_simulated) = of("0s"), of("10s")
    assert spared <= live / 3
    assert spared_simulated <= simulated / 3
    assert simulated == pytest.approx(live, rel=0.2)
    assert spared_simulated == pytest.approx(spared, rel=0.2)
