"""Services that find work of their own, and what a file knows nothing of: who is named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lb.config import Scenario
from sim import Schedule, rehearse
from sim.checks.honesty import slowed
from sim.live.measurement import Measurement
from sim.live.rehearsal import rehearsed
from sim.live.verdict import Judgement, Verdict, judge, predict
from tests.sim.scenarios import EXPONENTIAL, scenario, serves


def file(algorithm: str = "round_robin", more: str = "", n: int = 1500) -> Scenario:
    """A second of work on average, at half of the capacity."""
    return scenario(
        *[serves(EXPONENTIAL, workers=4)] * 3,
        rate=6.0,
        run=f"requests = {n}",
        warmup="auto",
        more=f'algorithm = "{algorithm}"\n{more}',
    )


def real(of: Scenario, seed: int, really: Scenario | None = None) -> tuple[Schedule, Measurement]:
    """A run before services that heed no sizes, and say nothing."""
    schedule = Schedule.draw(of.with_run(seed=seed))
    measured = rehearsed(really or of, schedule.reworked(of, 1000 + seed), seed)
    nothing = np.full(len(schedule), np.nan)
    return schedule, replace(measured, service=nothing, sojourn=nothing, late=nothing)


def told(of: Scenario, seed: int, really: Scenario | None = None) -> Verdict:
    return judge(of, *real(of, seed, really))


def test_what_services_work_is_chance_where_they_heed_no_sizes() -> None:
    """Turns and sizes that are known leave nothing open; sizes of their own do."""
    of = file()
    schedule, measured = real(of, 3)
    verdict = judge(of, schedule, measured, predict(of, schedule))
    assert verdict.judgement is Judgement.PASSED
    p50 = verdict.latency["p50"].predicted
    assert p50.low is not None
    assert p50.high is not None
    assert p50.low < 0.97 * p50.value < 1.03 * p50.value < p50.high
    heeding = rehearse(of, 3).latency["p50"].predicted
    assert heeding.low == heeding.high


def test_reworked_requests_differ_in_their_work_alone() -> None:
    of = file(n=400)
    schedule = Schedule.draw(of)
    other = schedule.reworked(of, 1)
    np.testing.assert_array_equal(other.times, schedule.times)
    np.testing.assert_array_equal(schedule.reworked(of, 0).sizes, schedule.sizes)
    assert not (other.sizes == schedule.sizes).any()


def test_a_service_that_is_slow_is_named_by_what_it_got() -> None:
    """Others get what it does not take, so that all are off."""
    of = file("least_connections")
    verdict = told(of, 1, slowed(of, 1, 2.0))
    assert verdict.judgement is Judgement.MISSED
    assert verdict.cause is not None
    assert verdict.cause.who == "backends"
    assert verdict.cause.says.startswith("b:1 kept what it got ")


def test_services_that_are_sent_too_many_at_a_time_are_not_slow() -> None:
    verdict = told(file("least_connections"), 1, file("random"))
    assert verdict.judgement is Judgement.MISSED
    assert verdict.cause is not None
    assert verdict.cause.who == "proxy"
    assert "models keep the requests that backends got as long" in verdict.cause.says


def test_a_backend_that_is_killed_is_named_with_the_time() -> None:
    down = '[[fault]]\nbackend = "b:2"\nkind = "down"\nfrom = "100s"\nto = "160s"'
    verdict = rehearse(file(), 1, file(more=down))
    assert verdict.judgement is Judgement.MISSED
    assert verdict.cause is not None
    assert verdict.cause.who == "backends"
    assert verdict.cause.says.startswith("b:2 answered nothing from ")
    assert "where 33.4% of the requests were to be its" in verdict.cause.says
    absent = verdict.cause.evidence["absent"]
    assert absent["since"] < 105
    assert absent["until"] > 155


def test_where_all_are_away_none_of_them_is_named() -> None:
    of = file()
    schedule = Schedule.draw(of)
    measured = rehearsed(of, schedule)
    away = (schedule.times > 100) & (schedule.times < 140)
    measured.lost[away], measured.ended[away], measured.backend[away] = 150.0, np.nan, -1
    verdict = judge(of, schedule, measured)
    assert verdict.judgement is Judgement.MISSED
    assert verdict.cause is not None
    assert "answered nothing" not in verdict.cause.says


@pytest.mark.parametrize(("late", "who"), [(0.05, "proxy"), (2.0, "generator")])
def test_a_late_generator_excuses_no_more_than_lateness_does(late: float, who: str) -> None:
    """Each tenth request is late; all take ten seconds longer, or three."""
    of = file(n=600)
    schedule = Schedule.draw(of)
    measured = rehearsed(of, schedule)
    sent = measured.sent + np.where(np.arange(600) % 10 == 0, 20 * late, 0.0)
    verdict = judge(of, schedule, replace(measured, sent=sent, ended=measured.ended + 6.0))
    assert verdict.cause is not None
    assert verdict.cause.who == who
    assert (verdict.judgement is Judgement.INVALID) == (who == "generator")
