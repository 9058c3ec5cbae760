"""Weights that backends' reports set, in the simulated world and at the modelled backend."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lb import wire
from lb.balancing import LoadReport
from lb.config import Scenario
from sim import Schedule, simulate
from sim.engine.alarms import Alarm
from sim.engine.world import World
from sim.live.backend import LiveStation
from tests.lived.test_world import TEXT
from tests.lived.world import lived
from tests.sim.scenarios import CONSTANT, scenario, serves
from tests.sim.test_live_backend import clockless, model

SHIPPED = Path(__file__).parents[2] / "loadtests" / "scenarios" / "feedback.toml"
LAW = '{ law = "exponential", mean = "100ms" }'
WORKERS = (20, 10, 5)


def unequal(delay: str, rate: float = 220) -> Scenario:
    """Capacities of 200, 100 and 50 requests a second, which nobody configures."""
    return scenario(
        *(serves(LAW, workers=workers, report_delay=delay) for workers in WORKERS),
        rate=rate,
        run='duration = "150s"\nreplications = 1',
        warmup="40s",
    )


def test_the_shipped_scenario_finds_weights_that_nobody_configured() -> None:
    run = simulate(Scenario.load(SHIPPED), ["weighted_feedback"])["weighted_feedback"]
    shares = [row["share"] for row in run.as_dict()["backends"]]
    assert shares == pytest.approx([4 / 7, 2 / 7, 1 / 7], abs=0.02)


ALGORITHM = "weighted_feedback:by=utilisation,blackout=2s"


def swings(file: Scenario, algorithm: str) -> float:
    """By how much the weakest backend's share of five seconds strays from that of all, relative."""
    record = World(file, Schedule.draw(file), algorithm).replicate()
    late = record.arrived > 40
    at, weakest = record.arrived[late] // 5, record.backend[late] == 2
    shares = [float(weakest[at == span].mean()) for span in np.unique(at)]
    return float(np.std(shares) / np.mean(shares))


def test_old_reports_make_everybody_run_to_whoever_was_idle_and_fresh_ones_do_not() -> None:
    assert swings(unequal("0s"), ALGORITHM) < 0.25
    assert swings(unequal("10s"), ALGORITHM) > 0.6


def test_long_delays_cost_clients_dearly() -> None:
    means = {
        delay: simulate(unequal(delay), [ALGORITHM])[ALGORITHM].latency["mean"].value
        for delay in ("0s", "10s")
    }
    assert means["0s"] < 0.15
    assert means["10s"] > 10 * means["0s"]


def test_weights_by_the_rate_over_the_utilisation_mind_no_delay() -> None:
    """Both figures of a report are of one moment, whenever that was."""
    assert swings(unequal("10s"), "weighted_feedback:blackout=2s") < 0.25


def noted(dispatcher: Any) -> list[tuple[float, LoadReport]]:
    """Will hold all load reports that come to a dispatcher with answers."""
    reports: list[tuple[float, LoadReport]] = []
    plain = dispatcher._observed

    def observed(backend: Any, now: float, result: LoadReport) -> None:
        reports.append((now, result))
        plain(backend, now, result)

    dispatcher._observed = observed
    return reports


def heard(file: Scenario, algorithm: str) -> list[tuple[float, LoadReport]]:
    world = World(file, Schedule.draw(file), algorithm, express=False)
    reports = noted(world.dispatchers[0])
    world.replicate()
    return reports


ONE = {
    "rate": 0.5,
    "process": "deterministic",
    "run": "requests = 4\nreplications = 1",
}


def test_a_report_travels_back_with_its_answer() -> None:
    """Requests at 0, 2, 4 and 6 s, half a second on the way, one second at the backend."""
    file = scenario(
        serves(CONSTANT, report_every="2s"),
        traffic='network = { law = "constant", mean = "500ms" }',
        **ONE,
    )
    first = Schedule.draw(file).times[0]
    reports = heard(file, "weighted_feedback")
    assert [now - first for now, _ in reports] == pytest.approx([2, 4, 6, 8])
    assert [report.utilisation for _, report in reports] == [None, 0.5, 0.5, 0.5]
    assert [report.rate for _, report in reports] == [None, 0.5, 0.5, 0.5]


def test_others_get_no_reports() -> None:
    assert heard(scenario(serves(CONSTANT), **ONE), "round_robin") == []
    assert heard(scenario(serves(CONSTANT), **ONE), "sticky") == []
    assert len(heard(scenario(serves(CONSTANT), **ONE), "sticky:inner=weighted_feedback")) == 4


def test_what_a_full_backend_turns_away_counts_as_errors() -> None:
    file = scenario(serves(CONSTANT, queue=0, report_every="1s"), rate=4, run="requests = 40")
    reports = [report for _, report in heard(file, "weighted_feedback")]
    last = reports[-1]
    assert last.rate is not None
    assert last.errors is not None
    assert 0 < last.errors < last.rate


def test_an_algorithm_that_takes_over_hears_from_there_on() -> None:
    file = scenario(serves(CONSTANT), serves(CONSTANT), run="requests = 100\nreplications = 1")
    schedule = Schedule.draw(file)
    world = World(file, schedule, "round_robin", express=False)
    (dispatcher,) = world.dispatchers
    reports = noted(dispatcher)

    def swap(algorithm: str, now: float) -> None:
        dispatcher.balancer.swap(algorithm, now=now)
        dispatcher.drain(now)

    since, until = schedule.times[30], schedule.times[60]
    world.set(Alarm(lambda now: swap("weighted_feedback", now)), since)
    world.set(Alarm(lambda now: swap("random", now)), until)
    assert world.replicate().ended.size == 100
    assert reports
    assert all(since <= at <= until for at, _ in reports)


def test_a_modelled_backend_says_the_same_over_http() -> None:
    """Two workers, 20 ms each, one request every 40 ms: a quarter of them is used."""

    async def test() -> wire.Load | None:
        live = LiveStation(
            model(serves('"deterministic:20ms"', workers=2)), np.random.default_rng(1)
        )
        import asyncio

        for _ in range(60):
            await live.serve(1.0)
            await asyncio.sleep(0.020)
        return wire.read_load(live.load)

    said = clockless(test())
    assert said.utilisation == pytest.approx(0.25, abs=0.01)
    assert said.rate == pytest.approx(25, abs=1)
    assert (said.in_flight, said.errors) == (0, 0.0)


def test_a_modelled_backend_that_is_full_says_so() -> None:
    async def test() -> wire.Load | None:
        import asyncio

        live = LiveStation(model(serves('"deterministic:2s"', queue=0)), np.random.default_rng(1))
        await asyncio.gather(live.serve(1.0), live.serve(1.0))
        return wire.read_load(live.load)

    said = clockless(test())
    assert (said.utilisation, said.rate, said.errors) == (1.0, 0.0, 0.0)


@pytest.mark.no_cover
def test_proxy_and_simulator_are_one_where_reports_decide() -> None:
    """Every request goes to the same backend in both worlds: so do the weights that they set."""
    live = lived(SHIPPED.read_text().replace("network = {", "# network = {"))
    (record,) = simulate(live.scenario, schedule=live.schedule)["weighted_feedback"].records[:1]
    assert len(record.backend) == len(live.schedule) > 4000
    np.testing.assert_array_equal(record.backend, live.measured.backend)
    late = record.backend[live.schedule.times >= 8]
    shares = np.bincount(late, minlength=3) / len(late)
    assert shares == pytest.approx([4 / 7, 2 / 7, 1 / 7], abs=0.03)


def test_an_algorithm_that_probes_hears_answers_too_as_it_does_live() -> None:
    """All but a few requests go to the same backend: probes are of two clocks, answers of one."""
    live = lived(TEXT.format(algorithm="prequal"))
    (record,) = simulate(live.scenario, schedule=live.schedule)["prequal"].records[:1]
    assert len(record.backend) > 1000
    assert np.mean(record.backend != live.measured.backend) < 0.02
