"""Simulated backends whose faults are yet to come: as if they had none."""

from __future__ import annotations

import pytest

from tests.sim.scenarios import EXPONENTIAL, scenario, serves
from tests.sim.test_doors import CALM, replicated
from tests.sim.test_faults import fault


@pytest.mark.parametrize("cancels", ["", "cancels = true\n"])
@pytest.mark.parametrize("network", ["", 'network = { law = "exponential", mean = "20ms" }\n'])
@pytest.mark.parametrize("discipline", ["fifo", "ps"])
def test_an_open_door_changes_nothing(discipline: str, network: str, cancels: str) -> None:
    """Full stations, clients that leave, and a time limit as without one."""

    def ended(more: str) -> list[float]:
        file = scenario(
            *[serves(EXPONENTIAL, discipline=discipline, workers=2, queue=1)] * 2,
            rate=5,
            traffic=f"patience = {EXPONENTIAL}\n{network}{cancels}",
            run="requests = 400",
            more=CALM + '[timeouts]\nresponse = "2s"\n' + more,
        )
        return [*replicated(file).ended, *replicated(file).lost.left]

    later = fault("down", "1h", "2h") + fault("cold_start", "1h", "2h", "b:1", "factor = 2")
    assert ended(later) == ended("")
