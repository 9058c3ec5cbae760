"""Users who wait for their answers: no schedule, so the prediction is of independent runs."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

import sim.live.verdict
from lb.config import Scenario
from sim import Result, rehearse
from sim.checks.honesty import slowed
from sim.live.measurement import Measurement
from sim.live.rehearsal import rehearsed
from sim.live.verdict import Judgement, judge, predict

TEXT = """
algorithm = "round_robin"
[[backend]]
address = "b:1"
name = "one"
model = { service = { law = "exponential", mean = "100ms" }, workers = 3 }
[[backend]]
address = "b:2"
name = "two"
model = { service = { law = "exponential", mean = "100ms" }, workers = 3 }
[traffic]
users = { count = 10, think = { law = "exponential", mean = "200ms" } }
[run]
duration = "40s"
warmup = "1s"
seed = 3
"""


@pytest.fixture(scope="module")
def file() -> Scenario:
    return Scenario.parse(TEXT)


@pytest.fixture(scope="module")
def predicted(file: Scenario) -> Result:
    return predict(file)


@pytest.fixture(scope="module")
def measured(file: Scenario) -> Measurement:
    return rehearsed(file, None, 4)


def test_users_as_predicted_pass(file: Scenario, measured: Measurement, predicted: Result) -> None:
    verdict = judge(file, None, measured, predicted)
    assert verdict.judgement is Judgement.PASSED
    assert 1000 < verdict.requests < 1500
    assert sum(line.measured for line in verdict.shares.values()) == pytest.approx(1)
    assert verdict.parts is not None
    assert verdict.distribution is not None
    assert verdict.distribution.value < 0.1
    json.dumps(verdict.as_dict(), allow_nan=False)


def test_rows_may_come_in_any_order(
    file: Scenario, measured: Measurement, predicted: Result
) -> None:
    order = np.random.default_rng(1).permutation(len(measured.sent))
    mixed = replace(measured, **{name: it[order] for name, it in measured.columns.items()})
    assert judge(file, None, mixed, predicted).as_dict() == (
        judge(file, None, measured, predicted).as_dict()
    )


def test_latency_counts_from_the_end_of_a_thought(
    file: Scenario, measured: Measurement, predicted: Result
) -> None:
    late = replace(measured, due=measured.sent, sent=measured.sent + 1e-3)
    verdict = judge(file, None, late, predicted)
    assert verdict.latency == judge(file, None, measured, predicted).latency
    assert verdict.late_by["p50"] == pytest.approx(1e-3)


def test_a_backend_that_works_longer_says_so(
    file: Scenario, measured: Measurement, predicted: Result
) -> None:
    """What it worked is held against its law: users' requests have no work that is known."""
    rng = np.random.default_rng(2)
    for factor, judgement in ((1.0, Judgement.PASSED), (1.5, Judgement.MISSED)):
        work = factor * rng.exponential(0.1, len(measured.sent))
        verdict = judge(file, None, replace(measured, service=work), predicted)
        assert verdict.backends["one"]["service"].ok is (factor == 1.0)
        assert verdict.judgement is judgement


def test_work_is_not_judged_where_long_requests_may_be_missing(
    file: Scenario, measured: Measurement, predicted: Result
) -> None:
    given_up = measured.sent > np.quantile(measured.sent, 0.98)
    lost = replace(
        measured,
        service=np.full(len(measured.sent), 0.05),
        ended=np.where(given_up, np.nan, measured.ended),
        lost=np.where(given_up, measured.ended, np.nan),
    )
    assert "service" not in judge(file, None, lost, predicted).backends["one"]


def test_a_slower_backend_is_found_by_its_clients(
    monkeypatch: pytest.MonkeyPatch, file: Scenario
) -> None:
    monkeypatch.setattr(sim.live.verdict, "REPLICATIONS", 10)
    verdict = rehearse(file, 1, slowed(file, 1, 2.0), silent=True)
    assert verdict.judgement is Judgement.MISSED
    assert not verdict.backends["two"]["p50"].ok


def test_users_that_were_stopped_are_judged_on_the_time_they_had(
    monkeypatch: pytest.MonkeyPatch, file: Scenario, measured: Measurement, predicted: Result
) -> None:
    monkeypatch.setattr(sim.live.verdict, "REPLICATIONS", 10)
    half = judge(file, None, measured.head(600), predicted)
    assert half.judgement is Judgement.PASSED
    assert half.requests == 600


def test_nobody_sent_anything(file: Scenario) -> None:
    verdict = judge(file, None, Measurement.blank(0))
    assert verdict.invalid == ["no request was sent"]
