"""A run that is too short for what is asked of it says so."""

from __future__ import annotations

import pytest

from sim import Schedule
from sim.live.line import needed
from sim.live.rehearsal import rehearsed
from sim.live.verdict import Judgement, Verdict, judge
from tests.sim.printed import printed
from tests.sim.scenarios import EXPONENTIAL, scenario, serves


def of(requests: int, more: str = "", slower: float = 1.0) -> Verdict:
    file = scenario(
        *[serves(EXPONENTIAL, workers=3)] * 2,
        rate=1.0,
        run=f"requests = {requests}",
        warmup="0s",
        more=more,
    )
    schedule = Schedule.draw(file)
    really = scenario(
        *[serves(EXPONENTIAL.replace("1s", f"{slower}s"), workers=3)] * 2, rate=1.0, warmup="0s"
    )
    return judge(file, schedule, rehearsed(really, schedule))


@pytest.mark.parametrize(
    ("name", "least"), [("p50", 2), ("p90", 10), ("p95", 20), ("p99", 100), ("p999", 1000)]
)
def test_one_answer_is_expected_beyond_a_quantile(name: str, least: int) -> None:
    assert needed(name) == least


def test_a_quantile_that_takes_more_answers_is_not_judged() -> None:
    verdict = of(60)
    assert verdict.judgement is Judgement.PASSED
    assert verdict.untold == {"p99": 100}
    assert verdict.as_dict()["latency"]["p99"]["ok"] is None
    assert "p99 is not judged: it takes 100 answers at least." in printed(verdict)


def test_what_an_objective_asks_for_must_be_there() -> None:
    verdict = of(60, '[expect]\np99 = "1h"\np50 = "1h"')
    assert verdict.judgement is Judgement.INVALID
    assert verdict.invalid == ["60 answers are too few for what [expect] asks: p99 takes 100"]
    assert of(200, '[expect]\np99 = "1h"').judgement is Judgement.PASSED


def test_next_to_nothing_says_nothing_unless_it_is_off() -> None:
    assert of(19).invalid == ["19 requests are too few to judge by: 20 at least"]
    assert of(19, slower=9.0).judgement is Judgement.MISSED
    assert of(20).judgement is Judgement.PASSED
