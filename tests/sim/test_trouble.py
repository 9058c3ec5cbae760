"""What a run looks like second by second, and how it comes through trouble."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from lb.config import Scenario
from sim import simulate
from sim.analysis.fates import EVERY, Fates, series
from sim.analysis.forecast import level_of_each
from sim.analysis.trouble import Trouble
from sim.engine.world import World
from sim.live.ordeal import ordeal
from sim.model.arrivals import Schedule
from tests.sim.scenarios import EXPONENTIAL, scenario, serves

DOWN = '[[fault]]\nbackend = "b:0"\nkind = "down"\nfrom = "5s"\nto = "9s"\n'
CHECKS = '[health]\ninterval = "1s"\nfall = 2\n'
QUICK = '{ law = "exponential", mean = "20ms" }'


def fates(*requests: tuple[float, float, bool], rotation: object = None) -> Fates:
    arrived, ended, good = zip(*requests, strict=True)
    looks = None if rotation is None else np.array(rotation, float)
    return Fates(np.array(arrived), np.array(ended), np.array(good), looks)


def steady(seconds: float, latency: float = 0.01) -> list[tuple[float, float, bool]]:
    """Ten good answers a second."""
    return [(k / 10, k / 10 + latency, True) for k in range(round(seconds * 10))]


def eventful(more: str = DOWN, seconds: int = 20, algorithm: str = "round_robin") -> Scenario:
    return scenario(
        *[serves(QUICK, workers=2)] * 2,
        rate=60,
        run=f'duration = "{seconds}s"\nreplications = 2',
        more=f'algorithm = "{algorithm}"\n{CHECKS}{more}',
    )


# --- second by second


def test_each_request_is_in_the_seconds_in_which_it_came_and_ended() -> None:
    told = series([fates((0.5, 0.7, True), (0.9, 2.1, True), (1.0, 1.5, False), (2.5, 2.6, True))])
    assert told.arrivals.tolist() == [2, 1, 1]
    assert told.good.tolist() == [1, 0, 2]
    assert told.lost.tolist() == [0, 1, 0]
    assert told.p95[0] == pytest.approx(0.2)
    assert math.isnan(told.p95[1])
    assert told.p95[2] == pytest.approx(0.1 + 0.95 * (1.2 - 0.1))
    assert np.isnan(told.usable).all()


def test_several_runs_are_averaged_and_the_longest_sets_the_end() -> None:
    told = series([fates((0.1, 0.2, True)), fates((0.1, 0.2, True), (1.5, 3.5, True))])
    assert told.arrivals.tolist() == [1, 0.5, 0, 0]
    assert told.good.tolist() == [1, 0, 0, 0.5]


def test_an_answer_that_never_came_is_in_no_second() -> None:
    told = series([fates((0.1, math.nan, False), (0.2, 0.3, True))])
    assert (told.arrivals.tolist(), told.lost.tolist()) == ([2], [0])


def test_who_is_in_rotation_is_averaged_over_each_second() -> None:
    looks = [[1, 1]] * 5 + [[1, 0]] * 5 + [[0, 0]] * 10
    run = fates((0.0, 1.5, True), rotation=looks)
    assert series([run]).usable.tolist() == [1.5, 0.0]
    assert run.out(0.0, 2.0) == pytest.approx([1.0, 1.5])
    assert run.out(0.0, 1.0) == pytest.approx([0.0, 0.5])


def test_a_look_that_failed_says_nothing() -> None:
    run = fates((0.0, 0.5, True), rotation=[[1, 1], [math.nan, math.nan], [0, 1]])
    assert run.usable(0.0, 0.3) == 1.5
    assert run.out(0.0, 0.3) == pytest.approx([EVERY, 0.0])


def test_the_document_holds_the_series_where_runs_change_with_time() -> None:
    run = simulate(eventful()).runs[0].as_dict()
    told = json.loads(json.dumps(run["timeline"], allow_nan=False))
    assert set(told) == {"step", "arrivals", "good", "lost", "p50", "p95", "p99", "usable"}
    assert sum(told["arrivals"]) == pytest.approx(run["requests"], rel=1e-4)
    assert sum(told["good"]) == pytest.approx(run["completed"], rel=1e-4)
    assert sum(told["lost"]) == pytest.approx(run["failed"], rel=1e-4, abs=1e-4)
    assert told["usable"][3] == 2
    assert told["usable"][7] == 1
    assert told["usable"][19] == 2
    calm = simulate(scenario(serves(EXPONENTIAL))).runs[0].as_dict()
    assert "timeline" not in calm
    asked = simulate(scenario(serves(EXPONENTIAL)), timeline=True).runs[0].as_dict()
    assert set(asked["timeline"]["usable"]) == {1.0}


def test_looking_changes_nothing() -> None:
    file = eventful(algorithm="p2c")
    drawn = Schedule.draw(file)
    seen, unseen = (World(file, drawn, watched=watched).replicate() for watched in (True, False))
    assert unseen.rotation is None
    np.testing.assert_array_equal(seen.ended, unseen.ended)
    np.testing.assert_array_equal(seen.backend, unseen.backend)


# --- trouble


@pytest.mark.parametrize(
    ("points", "shape", "expected"),
    [
        ('[["0s", 9], ["10s", 90], ["12s", 9]]', "step", (10.0, 12.0)),
        ('[["0s", 9], ["10s", 9], ["12s", 90], ["20s", 9]]', "linear", (10.0, 20.0)),
        ('[["0s", 9], ["5s", 9]]', "linear", None),
    ],
)
def test_trouble_is_when_the_rate_changes(
    points: str, shape: str, expected: tuple[float, float] | None
) -> None:
    arrivals = f'arrivals = {{ process = "profile", points = {points}, shape = "{shape}" }}'
    found = Trouble.of(Scenario.parse(f"[traffic]\n{arrivals}\n"))
    assert found == (expected and Trouble(*expected))


def test_trouble_is_from_the_first_fault_to_the_last() -> None:
    more = DOWN + DOWN.replace("5s", "11s").replace("9s", "12s")
    assert Trouble.of(eventful(more)) == Trouble(5.0, 12.0)
    assert Trouble.of(scenario(serves(EXPONENTIAL))) is None


def test_goodput_counts_good_answers_while_it_lasts() -> None:
    requests = [(k / 10, k / 10 + 0.05, not 50 <= k < 70) for k in range(100)]
    assert Trouble(4.0, 8.0).goodput(fates(*requests)) == pytest.approx(20 / 4)
    assert Trouble(8.0, 20.0).goodput(fates(*requests)) == pytest.approx(10, rel=0.1)
    assert math.isnan(Trouble(20.0, 30.0).goodput(fates(*requests)))


@pytest.mark.parametrize(
    ("spoil", "recovery"),
    [
        (lambda _: None, 0.0),
        (lambda k: False if k == 62 else None, 0.3),  # one failure at 6.2
        (lambda k: False if 60 <= k < 75 else None, 1.5),
        (lambda k: 0.5 if 60 <= k <= 80 else None, 2.1),  # slow answers
        (lambda k: 0.06 if k >= 60 else None, 0.0),  # but slow they are above twice and 50 ms only
        (lambda k: False if k >= 60 else None, math.inf),
    ],
)
def test_recovery_is_the_time_to_the_first_calm_second(spoil: object, recovery: float) -> None:
    requests = []
    for k, (came, ended, good) in enumerate(steady(20)):
        how = spoil(k)  # type: ignore[operator]
        if how is False:
            requests.append((came, ended, False))
        else:
            requests.append((came, ended if how is None else came + how, good))
    assert Trouble(5.0, 6.0).recovery(fates(*requests)) == pytest.approx(recovery)


def test_without_a_calm_time_before_there_is_no_recovery_to_measure() -> None:
    assert math.isnan(Trouble(0.0, 6.0).recovery(fates(*steady(20))))
    assert math.isnan(Trouble(2.0, 6.0).recovery(fates(*steady(20)), warm=3.0))


# --- the live run beside its prediction


def test_a_run_like_those_predicted_is_within_every_line() -> None:
    file = eventful()
    drawn = Schedule.draw(file)
    runs = [World(file, drawn, None, k, struck=0).replicate().fates for k in range(8)]
    figures = ordeal(file, runs[0], runs[1:], 1.0)
    lines = {name: it.line(level_of_each(len(figures))) for name, it in figures.items()}
    assert list(lines) == ["lost", "goodput", "recovery", "out: b:0", "out: b:1"]
    assert all(line.ok for line in lines.values())
    assert lines["out: b:0"].predicted.value == pytest.approx(5.5, abs=2.0)


def test_what_is_otherwise_than_predicted_is_missed() -> None:
    file = eventful()
    drawn = Schedule.draw(file)
    runs = [World(file, drawn, None, k, struck=0).replicate().fates for k in range(8)]
    live = runs[0]
    assert live.rotation is not None
    looks = live.rotation.copy()
    looks[:, 1] = 0.0
    good = live.good & ~((live.arrived > 6.0) & (live.arrived < 10.5))
    wrong = ordeal(file, Fates(live.arrived, live.ended, good, looks), runs[1:], 1.0)
    level = level_of_each(len(wrong))
    missed = [name for name, it in wrong.items() if not it.line(level).ok]
    assert missed == ["lost", "goodput", "recovery", "out: b:1"]


def test_what_cannot_be_told_is_left_out() -> None:
    file = eventful()
    drawn = Schedule.draw(file)
    runs = [World(file, drawn, None, k, struck=0).replicate().fates for k in range(3)]
    blind = Fates(runs[0].arrived, runs[0].ended, runs[0].good)
    assert list(ordeal(file, blind, runs[1:], 1.0)) == ["lost", "goodput", "recovery"]
    assert list(ordeal(file, blind, runs[1:], 5.0)) == ["lost", "goodput"]
    assert ordeal(scenario(serves(EXPONENTIAL)), blind, runs[1:], 1.0) == {}


def test_a_system_starts_with_the_health_answers_of_those_that_are_well() -> None:
    """The first checks travel no time; who is down at the start is out from the first look on."""
    file = scenario(
        *[serves(EXPONENTIAL)] * 3,
        traffic='network = { law = "deterministic", mean = "50ms" }',
        more='[[fault]]\nbackend = "b:0"\nkind = "down"\nfrom = "20s"\nto = "30s"\n'
        '[[fault]]\nbackend = "b:1"\nkind = "down"\nto = "30s"',
    )
    seen = World(file, Schedule.draw(file), None).replicate().rotation
    assert seen is not None
    assert seen[:3].tolist() == [[1, 0, 1]] * 3
    assert seen[190, 0] == 1
    assert seen[215, 0] == 0
