"""Silences that are no part of the traffic: cut out where they are few and long, and told."""

import numpy as np
import pytest

from sim.fit.calibrate.arrivals import process
from sim.fit.calibrate.covered import covered

STEADY = np.cumsum(np.random.default_rng(8).exponential(1 / 90, 3000))


@pytest.mark.parametrize(
    ("times", "said"),
    [
        (np.where(STEADY > 12, STEADY + 7200, STEADY), "no request came for 7200 s"),
        (np.concatenate([[0.0], STEADY + 60]), "without the few beyond, 1 in all"),
    ],
)
def test_a_silence_is_cut_out_of_the_rate(times: np.ndarray, said: str) -> None:
    found = process(times, 1e-6)
    assert found.table.process == "poisson"
    assert found.rate.low is not None
    assert found.rate.high is not None
    assert found.rate.low < 90 < found.rate.high
    assert any(said in remark for remark in found.remarks)


def test_traffic_that_falls_silent_again_and_again_is_left_as_it_is() -> None:
    bursts = np.concatenate([STEADY[:400] + 60.0 * n for n in range(8)])
    assert covered(bursts).times is bursts
    assert covered(STEADY) == (STEADY, ())
