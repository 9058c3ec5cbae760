"""Objectives: met, missed, or not to be told, by the interval of what was seen."""

from __future__ import annotations

import math

import pytest

from lb.config import Expect
from sim import Estimate, simulate
from sim.analysis.objectives import Answer, Objective, objectives
from tests.sim.scenarios import EXPONENTIAL, scenario, serves

CLOSE = "too close for any number of requests to tell"
MORE = "times as many requests would tell"


def held(value: float, low: float | None, high: float | None, *, steady: bool = True) -> Objective:
    """To 250 ms."""
    return Objective("p99", 0.25, Estimate(value, low, high), steady)


def beyond(needs: float) -> Objective:
    return Objective("p99", 0.25, Estimate.beyond(needs))


@pytest.mark.parametrize(
    ("objective", "answer", "words"),
    [
        (held(0.24, 0.231, 0.249), Answer.MET, "p99: met: 231 to 249 ms, at most 250 ms wanted"),
        (held(0.24, 0.230, 0.250), Answer.MET, "p99: met: 230 to 250 ms, at most 250 ms wanted"),
        (
            held(0.27, 0.26, 0.28),
            Answer.MISSED,
            "p99: missed: 260 to 280 ms, at most 250 ms wanted",
        ),
        (
            held(0.245, 0.235, 0.255),
            Answer.UNCLEAR,
            "p99: cannot be told: 235 to 255 ms around 250 ms; about 4 #",
        ),
        (
            held(0.255, 0.245, 0.265),
            Answer.UNCLEAR,
            "p99: cannot be told: 245 to 265 ms around 250 ms; about 4 #",
        ),
        (
            held(0.25, 0.24, 0.26),
            Answer.UNCLEAR,
            "p99: cannot be told: 240 to 260 ms around 250 ms; @",
        ),
        (
            held(0.2, None, None),
            Answer.UNCLEAR,
            "p99: cannot be told: 200 ms without an interval, and at most 250 ms wanted",
        ),
        (held(math.nan, None, None), Answer.MISSED, "p99: missed: no request succeeded"),
        (beyond(1.2), Answer.UNCLEAR, "p99: cannot be told: about 2 #"),
        (beyond(40.0), Answer.UNCLEAR, "p99: cannot be told: about 40 #"),
        (beyond(123.0), Answer.UNCLEAR, "p99: cannot be told: about 130 #"),
        (beyond(12_345.0), Answer.UNCLEAR, "p99: cannot be told: about 13,000 #"),
        (
            held(0.1, 0.09, 0.11, steady=False),
            Answer.MISSED,
            "p99: missed: without a steady state latencies grow with the length of the run",
        ),
        (
            held(0.24, 0.2398, 0.2402),
            Answer.MET,
            "p99: met: 239.80 to 240.20 ms, at most 250 ms wanted",
        ),
        (
            held(0.24, 0.23998, 0.24002),
            Answer.MET,
            "p99: met: 239.980 to 240.020 ms, at most 250 ms wanted",
        ),
        (
            held(0.24, 0.24, 0.24),
            Answer.MET,
            "p99: met: 240.00 to 240.00 ms, at most 250 ms wanted",
        ),
        (
            held(0.2, -0.1, 0.5),
            Answer.UNCLEAR,
            "p99: cannot be told: 0 to 500 ms around 250 ms; about 36 #",
        ),
        (held(0.2, 0.2, 0.2), Answer.MET, "p99: met: 200.00 to 200.00 ms, at most 250 ms wanted"),
        (
            held(0.15, 0.1499999, 0.15),
            Answer.MET,
            "p99: met: 150.00 to 150.00 ms, at most 250 ms wanted",
        ),
    ],
)
def test_an_objective_is_judged_by_the_interval_and_told_in_words(
    objective: Objective, answer: Answer, words: str
) -> None:
    assert objective.answer is answer
    assert str(objective) == words.replace("@", CLOSE).replace("#", MORE)


def test_only_what_the_file_asks_for_is_judged() -> None:
    seen = {name: Estimate(0.1, 0.09, 0.11) for name in ("mean", "p50", "p99")}
    given = objectives(Expect(p99=0.2, mean=0.05), seen)
    assert {row.metric: row.answer for row in given} == {
        "mean": Answer.MISSED,
        "p99": Answer.MET,
    }


def test_a_run_that_cannot_keep_up_meets_no_objective() -> None:
    """However generous: a longer run would miss it."""
    file = scenario(
        serves(EXPONENTIAL),
        rate=2.0,
        run="requests = 500\nreplications = 3",
        more='[expect]\np50 = "1h"',
    )
    ((_, objective),) = simulate(file).objectives()
    assert objective.seen.high is not None
    assert objective.seen.high < 3600
    assert objective.answer is Answer.MISSED
    assert "steady state" in str(objective)
