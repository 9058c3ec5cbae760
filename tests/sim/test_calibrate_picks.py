"""The algorithm of a log shows in its picks."""

from dataclasses import replace

import numpy as np
import pytest

from lb.traces.observed import Observing
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


def test_milliseconds_that_hide_the_order_of_picks_do_not_hide_turns() -> None:
    rng = np.random.default_rng(4)
    rows = Observing("rounded.log")
    at = np.cumsum(rng.exponential(0.008, 1500))
    rounded = np.round(at, 3) + rng.choice([-0.0004, 0.0, 0.0004], len(at))
    for n, time in enumerate(rounded.tolist()):
        request = rows.request(time, time + 0.02)
        rows.attempt(request, "abc"[n % 3], time, time, time + 0.02, time + 0.02)
    seen = Seen.of(rows.done(resolution=0.001))
    assert guessed(seen).name == "round_robin"
    shuffled = replace(seen, backend=rng.permutation(seen.backend))
    assert guessed(shuffled).name != "round_robin"
