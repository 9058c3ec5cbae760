"""Ejections: what the live proxy does, in virtual time, and what the simulator says of the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lb.config import Scenario
from lb.strategies import REGISTRY
from sim import simulate
from sim.analysis.record import Record
from sim.model.laws import Floats
from tests.lived.world import Lived, lived

SCENARIOS = Path(__file__).parents[2] / "loadtests" / "scenarios"

BACKENDS = "".join(
    f"""
[[backend]]
address = "127.0.0.1:{number}"
name = "{name}"
[backend.model]
service = {{ law = "exponential", mean = "20ms" }}
workers = 20
"""
    for number, name in enumerate("abc", 1)
)


def text(algorithm: str, fault: str, duration: int, more: str = "", rate: int = 500) -> str:
    return f"""
algorithm = "{algorithm}"
key = "header:X-LB-Key"
{more}
{BACKENDS}
[traffic]
arrivals = {{ process = "poisson", rate = {rate} }}
keys = {{ law = "zipf", count = 10000, s = 0.5 }}
[[fault]]
{fault}
from = "1s"
to = "100s"
[run]
duration = "{duration}s"
seed = 7
replications = 1
warmup = "0s"
"""


def simulated(file: str) -> Record:
    scenario = Scenario.parse(file)
    return simulate(scenario)[scenario.algorithm.name].records[0]


def failures(live: Lived) -> Floats:
    """When the requests without a good answer came in."""
    return live.schedule.times[np.isnan(live.measured.ended)]


# --- one fails fast: 503 within a millisecond, its health check fine

FAIL_FAST = 'backend = "a"\nkind = "fail_fast"'
SHUNNING = ("prequal", "least_response_time")
"""These may give it too little for five failures in so short a time: they go by what is measured,
which failures spoil, or do not improve."""


@pytest.mark.parametrize("algorithm", sorted(REGISTRY))
def test_one_that_fails_fast_has_its_share_at_most_and_then_nothing_live(algorithm: str) -> None:
    live = lived(text(algorithm, FAIL_FAST, 5))
    lost = failures(live)
    assert live.snapshot.backends[0].failed == len(lost)
    if algorithm in SHUNNING:
        assert len(lost) <= 5
        return
    assert 5 <= len(lost) <= 1000 / 3
    assert lost.max() < 3.0
    ((_, _, _, fields),) = live.lines("backend ejected")
    assert (fields["backend"], fields["seconds"]) == ("a", 10.0)


@pytest.mark.parametrize("algorithm", sorted(REGISTRY))
def test_and_so_it_is_simulated(algorithm: str) -> None:
    record = simulated(text(algorithm, FAIL_FAST, 5))
    lost = record.lost.started[record.lost.backend == 0]
    assert record.failed == len(lost)
    if algorithm in SHUNNING:
        assert len(lost) <= 5
        return
    assert 5 <= len(lost) <= 1000 / 3
    assert lost.max() < 3.0


def test_it_is_tried_again_when_its_ejection_ends_and_then_for_longer() -> None:
    live = lived(text("least_connections", FAIL_FAST, 33))
    said = [(event, fields.get("seconds")) for _, _, event, fields in live.log[3:]]
    assert said == [
        ("backend ejected", 10.0),
        ("backend returned", None),
        ("backend ejected", 20.0),
        ("backend returned", None),
        ("backend ejected", 40.0),
    ]
    assert live.lost < 20
    record = simulated(text("least_connections", FAIL_FAST, 33))
    assert abs(record.failed - live.lost) <= 5


# --- errors


@pytest.mark.parametrize("algorithm", ["round_robin", "least_connections", "p2c", "maglev"])
def test_three_errors_in_ten_eject_within_ten_seconds(algorithm: str) -> None:
    file = text(algorithm, 'backend = "a"\nkind = "errors"\nrate = 0.3', 10)
    live, record = lived(file), simulated(file)
    (line,) = live.lines("backend ejected")
    assert line[0] < 10.0
    assert failures(live).max() < 10.0
    assert record.lost.started.max() < 10.0


@pytest.mark.parametrize("algorithm", ["round_robin", "least_connections", "p2c"])
def test_where_all_have_three_errors_in_ten_nobody_is_ejected(algorithm: str) -> None:
    file = text(algorithm, 'backend = ["a", "b", "c"]\nkind = "errors"\nrate = 0.3', 13)
    live = lived(file)
    assert live.lines("backend ejected") == []
    assert live.snapshot.ejections_withheld == 0
    assert live.lost > 1500


def test_the_scenario_file_shows_both_and_is_predicted() -> None:
    file = (SCENARIOS / "ejection.toml").read_text()
    live, record = lived(file), simulated(file)
    out = [fields["backend"] for _, _, _, fields in live.lines("backend ejected")]
    assert out[:3] == ["a", "a", "b"]
    assert set(out[3:]) <= {"b"}, "again, where it came back before the end of the fault"
    (a, wrongly), (b, falsely), c = (record.ejections(place, 10.0) for place in range(3))
    assert (a, wrongly, falsely, c) == (2, 0, 0, (0, 0))
    assert b >= 1


# --- silence


@pytest.mark.parametrize("algorithm", ["round_robin", "least_connections"])
def test_what_waits_at_a_black_hole_goes_on_when_it_is_ejected(algorithm: str) -> None:
    """All but the first few wait no longer than until then."""
    fault = 'backend = "a"\nkind = "black_hole"'
    file = text(algorithm, fault, 8, '[timeouts]\nresponse = "5s"', rate=150)
    live, record = lived(file), simulated(file)
    latencies = live.measured.ended - live.schedule.times
    assert live.lost == 0
    assert 5 <= np.count_nonzero(latencies > 4.99) <= 20
    (line,) = live.lines("backend ejected")
    assert line[3]["reason"] == "5 failures in a row, the last one timeout"
    assert live.snapshot.backends[0].connections == 0
    assert (record.failed, record.timed_out) == (0, 0)
    assert 5 <= np.count_nonzero(record.latency > 4.99) <= 20


def test_what_may_not_be_sent_twice_waits_on_at_a_black_hole() -> None:
    """Without retries nobody is better off elsewhere than with what may still come."""
    fault = 'backend = "a"\nkind = "black_hole"'
    mine = '[timeouts]\nresponse = "5s"\n[retries]\nmax = 0'
    file = text("round_robin", fault, 7, mine, rate=150)
    live, record = lived(file), simulated(file)
    assert live.lines("backend ejected")
    assert live.lost > 150
    assert abs(live.lost - record.timed_out) <= 5
