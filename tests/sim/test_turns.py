"""A balancer that served others before: its turns stand where the first answers say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lb.config import Scenario, changed, struck
from sim import Schedule
from sim.engine.world import World
from sim.live.rehearsal import rehearsed, seen
from sim.live.seen import Seen
from sim.live.turns import as_it_stood, out_of_turn
from sim.live.verdict import Judgement, judge, predict
from tests.sim.scenarios import EXPONENTIAL, scenario, serves


def file(algorithm: str, n: int = 900) -> Scenario:
    return scenario(
        *[serves(EXPONENTIAL, workers=4)] * 3,
        rate=6.0,
        run=f"requests = {n}",
        backend=["weight = 3", "weight = 2", "weight = 1"],
        more=f'algorithm = "{algorithm}"',
    )


@pytest.mark.parametrize(
    ("algorithm", "before", "told"),
    [
        ("round_robin", 0, 0),
        ("round_robin", 5, 2),
        ("weighted_round_robin", 4, 4),
        ("weighted_round_robin", 9, 3),
        ("p2c", 0, 0),
    ],
)
def test_turns_are_told_by_the_first_answers(algorithm: str, before: int, told: int) -> None:
    of = file(algorithm, 60)
    schedule = Schedule.draw(of)
    measured = rehearsed(of, replace(schedule, before=before))
    assert as_it_stood(of, schedule, measured).before == told
    swapped = measured.backend.copy()
    swapped[[7, 8]] = swapped[[8, 7]]
    swapped[11] = -1
    assert as_it_stood(of, schedule, replace(measured, backend=swapped)).before == told
    nobody = np.full(len(schedule), -1)
    assert as_it_stood(of, schedule, replace(measured, backend=nobody)) is schedule


@pytest.mark.parametrize(
    ("algorithm", "weights", "before", "told"),
    [
        ("weighted_round_robin", (0.5, 0.25, 0.25), 3, 3),
        ("weighted_round_robin", (1.5, 1, 1), 5, 5),
        ("round_robin", (0.1, 0.1, 0.1), 5, 2),
    ],
)
def test_a_round_of_fractional_weights_is_whole(
    algorithm: str, weights: tuple[float, ...], before: int, told: int
) -> None:
    keys = {f"backend.{place}.weight": weight for place, weight in enumerate(weights)}
    of = changed(file(algorithm, 60), keys)
    schedule = Schedule.draw(of)
    measured = rehearsed(of, replace(schedule, before=before))
    assert as_it_stood(of, schedule, measured).before == told


def test_turns_that_hedges_take_away_tell_of_no_place_and_no_others() -> None:
    of = changed(file("weighted_round_robin", 300), {"hedging.after": "20ms"})
    of = changed(of, {"retries.budget": 1.0, "retries.min_per_second": 100.0})
    schedule = Schedule.draw(of)
    measured = rehearsed(of, schedule)
    assert as_it_stood(of, schedule, measured) is schedule
    assert out_of_turn(Seen(of, schedule, measured, [], 0.0)) == (0.0, 0.0)
    plain = file("weighted_round_robin", 300)
    share, _ = out_of_turn(Seen(plain, schedule, measured, [], 0.0))
    assert share > 0.2  # the same picks where nothing explains them


def test_turns_that_limits_take_away_tell_of_no_others() -> None:
    of = changed(file("round_robin", 300), {f"backend.{it}.max_in_flight": 1 for it in range(3)})
    schedule = Schedule.draw(of)
    measured = rehearsed(of, schedule)
    assert out_of_turn(Seen(of, schedule, measured, [], 0.0)) == (0.0, 0.0)


def test_turns_that_retries_take_away_are_predicted_so() -> None:
    fault = {"backend": "b:0", "kind": "errors", "from": 0.0, "to": 1e6, "rate": 0.7}
    of = changed(struck(file("round_robin", 300), fault), {"retries.budget": 1.0})
    of = changed(of, {"retries.on": [503], "retries.min_per_second": 100.0})
    schedule = Schedule.draw(of)
    measured = rehearsed(of, schedule)
    record = World(of, schedule, None, 1).replicate()
    share, predicted = out_of_turn(Seen(of, schedule, measured, [record], 0.0))
    assert share > 0.2
    assert predicted == pytest.approx(share, abs=0.15)


def test_a_second_run_against_the_same_balancer_is_as_good_as_the_first() -> None:
    of = file("round_robin")
    schedule = Schedule.draw(of)
    again = rehearsed(of, replace(schedule, before=900 + 1))
    verdict = judge(of, schedule, again, predict(of, schedule))
    assert verdict.judgement is Judgement.PASSED
    for name, lines in verdict.backends.items():
        predicted = lines["p95"].predicted.value
        assert lines["p95"].measured == pytest.approx(predicted, rel=0.03), name


def test_turns_that_nobody_takes_are_told_with_the_miss() -> None:
    """Two balancers stand behind what is said to be one."""
    of = file("round_robin")
    schedule = Schedule.draw(of.with_run(seed=2))
    both = of.with_run(balancers=2)
    record = World(both, schedule, None, 77).replicate()
    verdict = judge(of, schedule, seen(record, schedule, of))
    assert verdict.judgement is Judgement.MISSED
    assert verdict.cause is not None
    assert verdict.cause.who == "proxy"
    assert "of the first requests were out of turn: there are several" in verdict.cause.says
    assert verdict.cause.evidence["out_of_turn"] > 0.2
