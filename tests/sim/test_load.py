"""Whether backends keep up is told by the work sent to them, not by how busy they were seen."""

from __future__ import annotations

import pytest

from sim import BackendUse, Schedule, simulate
from sim.analysis.load import steadiness
from tests.sim.scenarios import CONSTANT, EXPONENTIAL, scenario, serves


def the_only_one(rate: float, model: str = serves(EXPONENTIAL), **more: object) -> BackendUse:
    file = scenario(model, rate=rate, run="requests = 400\nreplications = 2", **more)  # type: ignore[arg-type]
    (use,) = simulate(file).runs[0].backends
    return use


@pytest.mark.parametrize(
    ("rate", "expected"),
    [(0.5, "steady"), (0.975, "steady"), (0.996, "edge"), (1.0, "overloaded"), (3.0, "overloaded")],
)
def test_the_offered_work_of_one_server_says_whether_it_keeps_up(
    rate: float, expected: str
) -> None:
    """However short the run is and however busy the server was in it."""
    use = the_only_one(rate)
    assert use.offered == pytest.approx(rate)
    assert use.steadiness == expected


def test_near_the_edge_has_an_edge() -> None:
    assert [steadiness(load) for load in (0.9849, 0.985, 0.9999, 1.0)] == [
        "steady",
        "edge",
        "edge",
        "overloaded",
    ]


def test_workers_and_service_times_make_the_capacity() -> None:
    use = the_only_one(3.0, serves('{ law = "exponential", mean = "2s" }', workers=8))
    assert use.offered == pytest.approx(3.0 * 2 / 8)


def test_each_backend_is_judged_by_its_own_share() -> None:
    slow, fast = serves('{ law = "deterministic", mean = "2s" }'), serves(CONSTANT)
    file = scenario(slow, fast, rate=1.2, run="requests = 2000")
    uses = simulate(file, "round_robin").runs[0].backends
    assert [use.steadiness for use in uses] == ["overloaded", "steady"]
    assert [use.offered for use in uses] == pytest.approx([1.2, 0.6])


def test_attempts_that_were_given_up_are_work_all_the_same() -> None:
    use = the_only_one(2.0, more='[retries]\nmax = 0\n[timeouts]\nresponse = "1500ms"')
    assert use.offered == pytest.approx(2.0)


def test_a_queue_that_turns_away_has_a_steady_state_at_any_load() -> None:
    use = the_only_one(3.0, serves(EXPONENTIAL, queue=2))
    assert use.offered < 1.1  # what found no place was no work
    assert use.steadiness == "steady"
    assert the_only_one(3.0, backend=["max_in_flight = 2"]).steadiness == "steady"
    assert steadiness(1.05, bounded=True) == "steady"


def test_a_schedule_of_ones_own_brings_its_own_rate() -> None:
    file = scenario(serves(CONSTANT), rate=0.5)
    busy = Schedule.draw(scenario(serves(CONSTANT), rate=2.0, process="deterministic"))
    (use,) = simulate(file, schedule=busy).runs[0].backends
    assert use.offered == pytest.approx(2.0)
