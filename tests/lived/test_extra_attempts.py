"""Extra attempts in both worlds, from the same file: hedges, limits of a try, answers not taken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sim import simulate
from sim.analysis.record import Record
from tests.lived.world import Lived, lived

HEDGING = Path(__file__).parents[2] / "loadtests/scenarios/hedging.toml"
THREE = """
[[backend]]
address = "127.0.0.1:1"
[backend.model]
service = "exponential:5ms"
workers = 4
[[backend]]
address = "127.0.0.1:2"
[backend.model]
service = "exponential:5ms"
workers = 4
[[backend]]
address = "127.0.0.1:3"
[backend.model]
service = "exponential:5ms"
workers = 4
[traffic]
arrivals = { process = "poisson", rate = 150 }
[run]
duration = "12s"
seed = 2
[[fault]]
backend = "127.0.0.1:2"
"""


def both(text: str) -> tuple[Lived, Record]:
    """The file lived, and the same requests simulated."""
    live = lived(text)
    (record,) = simulate(live.scenario, schedule=live.schedule).runs[0].records[:1]
    return live, record


def latencies(live: Lived) -> np.ndarray:
    seconds: np.ndarray = live.measured.ended - live.schedule.times
    return seconds


def test_hedges_take_the_tail_of_backends_that_stand_still() -> None:
    text = HEDGING.read_text().replace('duration = "60s"', 'duration = "30s"')
    p99 = {}
    for name, file in (("with", text), ("without", text.replace('after = "p95"', ""))):
        live, record = both(file)
        assert live.lost == record.failed == 0
        p99[name] = tuple(
            float(np.quantile(seconds, 0.99)) for seconds in (latencies(live), record.latency)
        )
        assert p99[name][0] == pytest.approx(p99[name][1], rel=0.15)
        hedged = live.snapshot.hedged
        assert hedged == pytest.approx(record.hedged, rel=0.1)
        assert (0.03 if name == "with" else -1) < hedged / record.requests < 0.09
    assert all(a < b / 3 for a, b in zip(p99["with"], p99["without"], strict=True))


@pytest.mark.parametrize("kind", ["pause", "black_hole"])
def test_a_try_of_half_a_second_bounds_what_a_silent_backend_costs(kind: str) -> None:
    fault = f'kind = "{kind}"\nfrom = "3s"\nto = "9s"\n'
    limits = '[timeouts]\nattempt = "500ms"\nresponse = "5s"\n'
    live, record = both(limits + THREE + fault)
    assert live.lost == record.failed == 0
    for seconds in (latencies(live), record.latency):
        assert 0.5 < seconds.max() < 1.2


def test_answers_of_a_backend_that_fails_fast_reach_no_client() -> None:
    fault = 'kind = "fail_fast"\nfrom = "3s"\nto = "9s"\n'
    live, record = both("[retries]\non = [503]\n" + THREE + fault)
    assert live.lost == record.failed == 0
    assert live.snapshot.retried == record.retried > 0
    plain, predicted = both(THREE + fault)
    assert plain.lost == pytest.approx(predicted.failed, abs=5)
    assert plain.lost > 0


def test_a_request_has_its_time_and_no_more() -> None:
    fault = 'kind = "pause"\nfrom = "3s"\nto = "9s"\n'
    live, record = both('[timeouts]\ntotal = "300ms"\n[retries]\nmax = 0\n' + THREE + fault)
    assert live.lost == pytest.approx(record.timed_out, abs=max(5, 0.2 * record.timed_out))
    assert record.timed_out == record.failed > 0
    assert np.nanmax(latencies(live)) < 0.36
