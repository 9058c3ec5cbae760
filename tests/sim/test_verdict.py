"""Measured beside predicted: what passes, what misses, what says nothing; and teeth, on paper."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

import sim.live.verdict
from lb.config import Scenario
from sim import Estimate, Schedule
from sim.live.rehearsal import rehearsed
from sim.live.verdict import (
    COLD_START,
    Judgement,
    Line,
    Measurement,
    judge,
    latencies,
    predict,
)
from tests.sim.live_runs import RUN, Case, changed, judged
from tests.sim.scenarios import CONSTANT, EXPONENTIAL, scenario, serves

# --- one line


@pytest.mark.parametrize(
    ("measured", "ok"),
    [
        (90.0, True),
        (89.99, False),
        (94.0, True),
        (100.0, True),
        (120.0, True),
        (120.01, False),
        (math.inf, False),
    ],
)
def test_a_line_may_be_off_by_its_interval_and_its_tolerance(measured: float, ok: bool) -> None:
    """The interval is 95 to 115, and five per cent of the predicted 100 go beyond it."""
    assert Line(measured, Estimate(100.0, 95.0, 115.0), 0.05).ok is ok


@pytest.mark.parametrize(
    ("measured", "tolerance", "ok"),
    [(105.0, 0.05, True), (105.01, 0.05, False), (95.0, 0.05, True), (100.0, 0.0, True)],
)
def test_without_an_interval_the_tolerance_is_all_there_is(
    measured: float, tolerance: float, ok: bool
) -> None:
    assert Line(measured, Estimate(100.0, None, None), tolerance).ok is ok


@pytest.mark.parametrize(("measured", "value"), [(1.0, math.nan), (math.nan, 1.0)])
def test_what_a_run_is_too_short_for_is_shown_and_not_judged(measured: float, value: float) -> None:
    line = Line(measured, Estimate(value, None, None), 0.0)
    assert line.ok
    assert not line.judged
    assert line.as_dict()["ok"] is None


def test_a_line_in_json() -> None:
    line = Line(math.inf, Estimate(1.0, None, 1.5), 0.1)
    assert line.as_dict() == {
        "measured": None,
        "predicted": {"value": 1.0, "low": None, "high": 1.5},
        "tolerance": 0.1,
        "ok": False,
    }


# --- a run beside its prediction


def test_a_run_that_is_one_of_the_predicted_passes(case: Case) -> None:
    verdict = judged(case)
    assert verdict.judgement is Judgement.PASSED
    assert list(verdict.latency) == ["p50", "p95", "p99"]
    assert list(verdict.shares) == ["b:0", "b:1", "b:2"]
    assert verdict.requests == 1000
    assert (verdict.failures.measured, verdict.failures.predicted) == (0, Estimate(0.0, 0.0, 1.0))
    assert sum(line.measured for line in verdict.shares.values()) == pytest.approx(1)
    assert set(verdict.late_by.values()) == {0.0}


def test_without_a_prediction_it_makes_its_own(case: Case) -> None:
    assert judge(*case[:3]).as_dict() == judged(case).as_dict()


@pytest.mark.parametrize("figure", ["p50", "p95", "p99"])
def test_latency_beyond_interval_and_tolerance_misses(case: Case, figure: str) -> None:
    """Just inside and just outside, by shifting every answer."""
    line = judged(case).latency[figure]
    assert line.predicted.high is not None
    room = line.predicted.high + line.tolerance * line.predicted.value - line.measured
    ended = case[2].ended
    assert judged(case, ended=ended + 0.999 * room).latency[figure].ok
    beyond = judged(case, ended=ended + 1.001 * room)
    assert not beyond.latency[figure].ok
    assert beyond.judgement is Judgement.MISSED


def test_a_proxy_that_is_faster_than_predicted_is_not_what_was_predicted(case: Case) -> None:
    schedule, measured = case[1:3]
    faster = schedule.times + (measured.ended - schedule.times) / 2
    assert judged(case, ended=faster).judgement is Judgement.MISSED


def test_latency_counts_from_the_intended_time(case: Case) -> None:
    """Sent later, answered at the same time: not one figure is better for it."""
    late = judged(case, sent=case[2].sent + 1e-3)
    assert late.latency == judged(case).latency
    assert late.late_by["p50"] == pytest.approx(1e-3)


def test_shares_beyond_interval_and_tolerance_miss(case: Case) -> None:
    """Round robin settles every request's backend: the interval is a point."""
    measured = case[2]
    backend = measured.backend.copy()
    ones = np.flatnonzero(backend == 1)
    room = int(0.045 * len(ones))
    backend[ones[-room:]] = 2
    assert judged(case, backend=backend).judgement is Judgement.PASSED
    backend[ones[-2 * room :]] = 2
    verdict = judged(case, backend=backend)
    assert [name for name, line in verdict.shares.items() if not line.ok] == ["b:1", "b:2"]
    assert verdict.judgement is Judgement.MISSED


def test_answers_that_name_no_backend_say_nothing(case: Case) -> None:
    nobody = np.full_like(case[2].backend, -1)
    verdict = judged(case, backend=nobody)
    assert verdict.judgement is Judgement.INVALID
    assert verdict.invalid[0].startswith("no answer names one of the backends in X-Backend-Server")


def test_where_the_file_keeps_backends_secret_shares_are_not_judged(case: Case) -> None:
    file, schedule, measured, predicted = case
    server = file.server.model_copy(update={"backend_header": False})
    secret = file.model_copy(update={"server": server})
    nobody = changed(measured, backend=np.full_like(measured.backend, -1))
    verdict = judge(secret, schedule, nobody, predicted)
    assert verdict.judgement is Judgement.PASSED
    assert verdict.shares == {}
    slow = changed(nobody, ended=nobody.ended + 9)
    assert judge(secret, schedule, slow, predicted).judgement is Judgement.MISSED


@pytest.mark.parametrize(("failures", "judgement"), [(1, "passed"), (2, "missed")])
def test_what_thirty_runs_have_not_seen_may_happen_once(
    case: Case, failures: int, judgement: str
) -> None:
    ended = case[2].ended.copy()
    ended[np.linspace(100, 900, failures).astype(int)] = np.nan
    verdict = judged(case, ended=ended)
    assert verdict.failures.measured == failures
    assert all(line.ok for line in verdict.latency.values())
    assert verdict.judgement.value == judgement


def test_a_proxy_that_loses_fewer_than_predicted_is_not_what_was_predicted() -> None:
    file = scenario(
        *[serves(EXPONENTIAL, queue=0, workers=2)] * 2, rate=3.0, run=RUN, warmup="auto"
    )
    schedule = Schedule.draw(file)
    fewer = seen_of_one_in_two(rehearsed(file, schedule))
    verdict = judge(file, schedule, fewer)
    assert not verdict.failures.ok
    assert 0 < verdict.failures.measured < verdict.failures.least
    assert verdict.judgement is Judgement.MISSED


def seen_of_one_in_two(measured: Measurement) -> Measurement:
    """Every other failure was an answer after all, as quick as the median."""
    lost = np.flatnonzero(np.isfinite(measured.lost))[::2]
    ended, late = measured.ended.copy(), measured.lost.copy()
    ended[lost] = measured.sent[lost] + np.nanmedian(measured.ended - measured.sent)
    late[lost] = np.nan
    return changed(measured, ended=ended, lost=late)


def test_failures_that_were_predicted_are_none_of_the_proxys() -> None:
    """A station without places turns away about as many on paper as in the other run."""
    file = scenario(
        *[serves(EXPONENTIAL, queue=0, workers=2)] * 2, rate=3.0, run=RUN, warmup="auto"
    )
    schedule = Schedule.draw(file)
    verdict = judge(file, schedule, rehearsed(file, schedule))
    assert verdict.failures.measured > 0.02 * 1000
    assert verdict.failures.measured == pytest.approx(verdict.failures.predicted.value, abs=1)
    assert verdict.judgement is Judgement.PASSED


def test_the_cold_start_is_not_judged_on_either_side(case: Case) -> None:
    schedule, measured = case[1:3]
    cold = schedule.times < COLD_START * schedule.times[-1]
    assert 20 < cold.sum() < 100
    verdict = judged(case, sent=measured.sent + 9 * cold, ended=measured.ended + 9 * cold)
    assert verdict.as_dict() == judged(case).as_dict()


def test_a_warm_up_of_the_file_takes_the_place_of_the_cold_start(case: Case) -> None:
    file, schedule, measured, predicted = case
    half = float(schedule.times[500])
    run = file.run.model_copy(update={"warmup": half})
    file = file.model_copy(update={"run": run})
    first = schedule.times < half
    slow = changed(measured, ended=measured.ended + 9 * first)
    assert judge(file, schedule, slow, predict(file, schedule)).judgement is Judgement.PASSED
    seen, paper = latencies(file, schedule, slow, predicted)
    assert len(seen) == len(paper[0]) == 500
    assert seen.max() < 9


def test_nobody_answered(case: Case) -> None:
    blank = Measurement.blank(1000)
    verdict = judged(case, ended=blank.ended, backend=blank.backend)
    assert verdict.judgement is Judgement.INVALID
    assert "not one request was answered" in verdict.invalid[0]


def test_where_nobody_was_to_be_answered_nobody_is() -> None:
    fault = '[[fault]]\nbackend = "b:0"\nkind = "fail_fast"\nto = "9999s"'
    file = scenario(serves(EXPONENTIAL), run="requests = 50", more=fault)
    schedule = Schedule.draw(file)
    assert judge(file, schedule, rehearsed(file, schedule)).judgement is Judgement.PASSED
    full = scenario(serves(EXPONENTIAL), run="requests = 50", warmup="auto")
    lost = judge(full, schedule, rehearsed(file, schedule))
    assert lost.judgement is Judgement.INVALID


def test_nothing_sent(case: Case) -> None:
    file, schedule, *_ = case
    verdict = judge(file, schedule, Measurement.blank(1000))
    assert verdict.judgement is Judgement.INVALID
    assert verdict.invalid == ["no request was sent"]
    assert (verdict.requests, verdict.latency, verdict.shares) == (0, {}, {})


@pytest.mark.parametrize("given", [None, "prediction"])
def test_a_run_that_was_stopped_is_judged_on_what_it_sent(case: Case, given: str | None) -> None:
    file, schedule, measured, predicted = case
    blank = Measurement.blank(1000)
    for name in ("sent", "ended", "backend", "lost", "gone"):
        getattr(blank, name)[:400] = getattr(measured, name)[:400]
    verdict = judge(file, schedule, blank, predicted if given else None)
    head = rehearsed(file, schedule.head(400))
    assert verdict.requests == 400
    assert verdict.failures.measured == 0
    assert verdict.judgement is Judgement.PASSED
    np.testing.assert_array_equal(head.backend, blank.backend[:400])


def test_a_run_that_was_stopped_is_predicted_again_with_as_many_balancers(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, schedule, measured, _ = case
    asked: list[int] = []
    short = predict(file, schedule.head(400), 2)
    monkeypatch.setattr(sim.live.verdict, "predict", lambda *a, **_: asked.append(a[2]) or short)
    stopped = np.where(np.arange(1000) < 400, measured.sent, np.nan)
    judge(file, schedule, replace(measured, sent=stopped), predict(file, schedule, 2))
    assert asked == [2]


def test_a_run_that_was_stopped_in_its_warm_up_says_nothing(case: Case) -> None:
    file, schedule, measured, _ = case
    run = file.run.model_copy(update={"warmup": float(schedule.times[500])})
    sent = np.where(np.arange(1000) < 400, measured.sent, np.nan)
    verdict = judge(file.model_copy(update={"run": run}), schedule, changed(measured, sent=sent))
    assert verdict.judgement is Judgement.INVALID
    assert verdict.invalid == ["it ended within its warm-up"]


def test_objectives_are_of_the_live_run() -> None:
    file = scenario(
        *[serves(EXPONENTIAL)] * 2,
        rate=1.0,
        run=RUN,
        warmup="auto",
        more='[expect]\np50 = "10s"\np95 = "1s"',
    )
    schedule = Schedule.draw(file)
    verdict = judge(file, schedule, rehearsed(file, schedule))
    assert [objective.answer.value for objective in verdict.objectives] == ["met", "missed"]
    (missed,) = verdict.as_dict()["objectives_missed"]
    assert missed.startswith("p95: missed: ")
    assert missed.endswith(" ms, at most 1000 ms wanted")
    assert all(line.ok for line in verdict.latency.values())
    assert verdict.judgement is Judgement.MISSED


def test_an_objective_that_one_run_alone_cannot_tell_has_the_spread_of_runs_like_it() -> None:
    file = scenario(
        *[serves(EXPONENTIAL)] * 2,
        rate=1.0,
        run="requests = 200",
        warmup="auto",
        more='algorithm = "random"\n[expect]\np99 = "1h"',
    )
    schedule = Schedule.draw(file)
    verdict = judge(file, schedule, rehearsed(file, schedule))
    (objective,) = verdict.objectives
    line = verdict.latency["p99"]
    assert objective.seen.value == line.measured
    assert objective.seen.low is not None
    assert line.predicted.low is not None
    assert objective.seen.low / line.measured == pytest.approx(
        line.predicted.low / line.predicted.value
    )
    assert verdict.judgement is Judgement.PASSED


def test_a_live_run_that_cannot_keep_up_meets_no_objective() -> None:
    file = scenario(
        serves(EXPONENTIAL), rate=2.0, run=RUN, warmup="auto", more='[expect]\np50 = "1h"'
    )
    schedule = Schedule.draw(file)
    verdict = judge(file, schedule, rehearsed(file, schedule))
    assert "steady state" in str(verdict.objectives[0])
    assert verdict.judgement is Judgement.MISSED


def test_both_sides_see_the_very_schedule(file: Scenario, schedule: Schedule) -> None:
    """Every replication has the arrivals and the work, but for who comes first of two at once."""
    result = predict(file, schedule)
    (run,) = result.runs
    assert len(run.records) == sim.live.verdict.REPLICATIONS
    for record in run.records:
        np.testing.assert_array_equal(record.arrived, schedule.times)
        assert np.count_nonzero(record.latency != run.records[0].latency) < 30
    constant = scenario(serves(CONSTANT, workers=9), run="requests = 50")
    own = Schedule(np.arange(3.0), ("deterministic",), np.array([[1.0, 2.0, 0.5]]))
    assert predict(constant, own).runs[0].records[0].latency.tolist() == [1.0, 2.0, 0.5]


def test_what_is_left_open_makes_the_interval(file: Scenario, schedule: Schedule) -> None:
    """Ties under least connections and the network; both differ between replications."""
    algorithm = file.algorithm.model_copy(update={"name": "least_connections"})
    verdict = judge(
        *(file.model_copy(update={"algorithm": algorithm}), schedule),
        rehearsed(file, schedule),
    )
    p50 = verdict.latency["p50"].predicted
    assert p50.low is not None
    assert p50.high is not None
    assert p50.low < p50.value < p50.high
