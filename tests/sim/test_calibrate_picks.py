"""The algorithm of a log shows in its picks."""

from dataclasses import replace

import pytest

from sim import calibrate
from sim.fit.calibrate.picks import guessed
from sim.fit.seen import Seen
from tests.sim.observations import recorded, scenario

MODEL = '{ service = "exponential:20ms", workers = 2 }'
KEYS = 'keys = { law = "zipf", count = 300, s = 1.0 }'


@pytest.mark.parametrize(
    "name", ["round_robin", "least_connections", "p2c", "random", "consistent_hash"]
)
def test_each_leaves_its_trace(name: str) -> None:
    head = f'algorithm = "{name}"'
    seen = recorded(scenario(*3 * [MODEL], rate=200, seconds=6, more=KEYS, head=head))
    assert guessed(Seen.of(seen)).name == name


def test_what_a_source_says_is_not_guessed_and_an_option_stands_above_both() -> None:
    head = 'algorithm = "p2c"'
    told = recorded(scenario(*2 * [MODEL], rate=100, seconds=6, head=head))
    untold = replace(told, setup=None)
    assert calibrate(told, quick=True).scenario.algorithm.name == "p2c"
    found = calibrate(untold, quick=True)
    assert any("it seems that" in remark for remark in found.remarks)
    other = calibrate(untold, algorithm="peak_ewma", quick=True)
    assert other.scenario.algorithm.name == "peak_ewma"
    assert not any("it seems that" in remark for remark in other.remarks)
