"""A verdict as a person gets it: measured beside predicted, and why it says nothing."""

from __future__ import annotations

import math
from typing import Any

import pytest

from sim import Estimate, Schedule
from sim.analysis.objectives import Objective
from sim.live.verdict import Judgement, Line, Measurement, Verdict, judge
from tests.sim.printed import LONG, printed, row
from tests.sim.scenarios import CONSTANT, scenario, serves


def verdict(**changes: Any) -> Verdict:
    fine = Line(0.1, Estimate(0.1, 0.09, 0.11), 0.05)
    whole: dict[str, Any] = {
        "algorithm": "round_robin",
        "requests": 1000,
        "latency": {"p50": fine, "p95": fine, "p99": fine},
        "shares": {"one": Line(0.5, Estimate(0.5, 0.5, 0.5), 0.05)},
        "failures": Line(0.0, Estimate(0.0, 0.0, 1.0), 0.05),
        "late_by": {"p50": 1e-4, "p99": 2e-3},
        "invalid": [],
    }
    return Verdict(**{**whole, **changes})


SLOWER = Objective("p99", 0.001, Estimate(0.002, 0.0019, 0.0021))
SLOW = Line(0.2, Estimate(0.1, 0.09, 0.11), 0.05)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "PASSED: the proxy did what the simulator said it would."),
        ({"latency": {"p50": SLOW}}, "MISSED: the live run is not what the simulator said"),
        ({"failures": Line(2.0, Estimate(0.0, 0.0, 1.0), 0.05)}, "MISSED: "),
        ({"invalid": ["the load generator fell behind"]}, "INVALID: not judged."),
        ({"objectives": [SLOWER]}, "MISSED: "),
    ],
)
def test_the_last_line_is_the_verdict(changes: dict[str, Any], said: str) -> None:
    assert printed(verdict(**changes)).splitlines()[-1].startswith(said)


def test_measured_stands_beside_predicted() -> None:
    text = printed(verdict(latency={"p50": SLOW}))
    assert "round_robin: measured beside predicted, 1000 requests" in text
    assert row(text, "p50") == "p50 (ms) 200.00 100.00 90.00 to 110.00 ± 5% MISS"
    assert row(text, "share") == "share of one (%) 50.00 50.00 always 50.00 ± 5% ok"
    assert row(text, "failed") == "failed (requests) 0.00 0.00 0.00 to 1.00 ± 5% ok"
    assert "late by 0.10 ms at p50, 2.00 ms at p99." in text


def test_in_trouble_failures_are_what_is_lost() -> None:
    text = printed(verdict(trouble={"lost": Line(2.0, Estimate(1.0, 0.0, 3.0), 0.2, 5.0)}))
    assert row(text, "lost") == "lost (requests) 2.00 1.00 0.00 to 3.00 ± 20% ok"
    assert "failed (requests)" not in text
    assert row(text, "p50") == "p50 (ms) 100.00 100.00 90.00 to 110.00 ± 5%"


def test_shares_that_no_answer_tells_are_one_line() -> None:
    text = printed(verdict(shares={}))
    assert "share of" not in text
    (line,) = [line for line in text.splitlines() if "backend_header" in line]
    assert line.startswith("Shares are not judged: ")


def test_reasons_and_objectives_are_told() -> None:
    text = printed(verdict(invalid=["the load generator fell behind"], objectives=[SLOWER]))
    assert "This run says nothing: the load generator fell behind" in text
    assert "Objective p99: missed: 1.90 to 2.10 ms, at most 1 ms wanted" in text


def test_odd_figures_are_neither_nan_nor_below_zero() -> None:
    lines = {
        "p50": Line(math.nan, Estimate(math.nan, None, None), 0.05),
        "p95": Line(-1e-9, Estimate(-1e-9, -1e-9, 0.0), 0.05),
    }
    text = printed(verdict(latency=lines, late_by={"p50": -1e-9, "p99": -0.0}))
    assert row(text, "p50") == "p50 (ms) - - - ± 5%"
    assert row(text, "p95").startswith("p95 (ms) 0.00 0.00 always 0.00 ")
    assert "late by 0.00 ms at p50, 0.00 ms at p99." in text


def test_a_run_that_sent_nothing_has_no_table() -> None:
    file = scenario(serves(CONSTANT), run="requests = 10")
    schedule = Schedule.draw(file)
    nothing = judge(file, schedule, Measurement.blank(len(schedule)))
    assert nothing.judgement is Judgement.INVALID
    assert printed(nothing).splitlines() == [
        "This run says nothing: no request was sent",
        "INVALID: not judged.",
    ]


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("name", ["one", LONG.format(1)])
def test_nothing_of_a_verdict_is_cut(width: int, name: str) -> None:
    line = Line(12345.678, Estimate(12345.123, 12000.004, 13000.009), 0.05)
    text = printed(verdict(latency={"p50": line}, shares={name: line}), width)
    assert max(map(len, text.splitlines())) <= width
    together = " ".join(text.split())
    assert f"share of {name} (%)" in together
    assert text.count("1200000.40 to 1300000.90") == 1
    assert text.count("12000004.00 to 13000009.00") == 1
    for digits in ("12345678.00", "12345123.00", "1234567.80", "1234512.30", "± 5%"):
        assert digits in text
