"""Predictions of how many requests fail, and of what is lost for good."""

from __future__ import annotations

from functools import cache

import pytest

from lb.config import Scenario, changed
from lb.errors import UsageError
from lb.traces.observed import Observed
from sim import Loss, Prediction, WhatIf, predict
from sim.fit.predict.changes import surely
from sim.fit.predict.gate import Answer, by_the_file
from sim.fit.witnessed import witnessed
from sim.output.predictions import change_sentences

TEXT = """
algorithm = "round_robin"
[retries]
max = 0
on = ["server_error"]
[outliers]
enabled = false
[traffic]
arrivals = { process = "poisson", rate = 120 }
[run]
requests = 1500
seed = 4
[[backend]]
name = "a"
address = "a:1"
model = { service = "exponential:8ms" }
[[backend]]
name = "b"
address = "b:1"
model = { service = "exponential:8ms" }
[[backend]]
name = "c"
address = "c:1"
model = { service = "exponential:18ms" }
[[fault]]
backend = "b"
kind = "errors"
rate = 0.2
to = "1000s"
"""
AGAIN = WhatIf(keys={"retries.max": 2})


@cache
def recorded() -> Observed:
    return witnessed(changed(Scenario.parse(TEXT), {"run.seed": 99}), source="day.rec")


def told(*changes: WhatIf, metric: str = "failed") -> Prediction:
    return predict(Scenario.parse(TEXT), changes, recorded(), metric=metric, replications=6)


def test_a_change_that_takes_failures_away_is_recommended_for_that() -> None:
    found = told(AGAIN, WhatIf("random"))
    again, other = found.changes
    assert found.exit_status == 0
    assert found.best is again
    assert again.failed is not None
    assert again.failed.value == pytest.approx(-0.2 / 3, abs=0.01)  # of a third of the requests
    assert surely(again.failed) < 0
    assert again.why.startswith("fewer requests would fail, 0.00% in place of 6.")
    assert again.gain is not None
    assert again.gain.value == -again.failed.value
    assert not other.recommended
    (sentence,) = [it for it in change_sentences(found) if "retries.max" in it and "->" in it]
    assert "points" in sentence
    assert "model error" in sentence


def test_that_more_would_fail_is_an_answer_to_how_many_fail() -> None:
    (change,) = told(WhatIf(keys={"timeouts.attempt": "20ms"})).changes
    assert change.told
    assert not change.recommended
    assert "more requests would fail" in change.why


def test_who_asks_for_latency_hears_of_failures_too() -> None:
    found = told(AGAIN, metric="mean")
    (change,) = found.changes
    assert "fewer requests would fail" in change.why
    assert change.told
    assert "--metric failed" in list(change_sentences(found))[-1]


def test_what_is_lost_for_good_is_no_passing_trouble() -> None:
    lost = Loss("a")
    found = told(WhatIf("least_connections", lost=(lost,)), metric="mean")
    base, change = found.changes
    assert base.why.startswith("c is sent 1.0")
    assert not base.outlook.latency
    assert change.recommended
    assert list(change_sentences(found))[-1] == "Recommended with a lost: least_connections."


def test_errors_of_a_backend_do_not_hide_that_another_cannot_keep_up() -> None:
    (change,) = told(WhatIf(rate_times=2.0), metric="mean").changes
    assert "c is sent 1." in change.why


def test_one_replication_is_none() -> None:
    with pytest.raises(UsageError, match="give 2 at least"):
        predict(Scenario.parse(TEXT), [AGAIN], replications=1)


def test_a_model_whose_failures_are_off_by_more_than_is_allowed_is_refused() -> None:
    few = changed(Scenario.parse(TEXT), {"fault.0.rate": 0.1})
    found = predict(few, [AGAIN], recorded(), max_error={"failed": 0.01}, replications=6)
    assert "the share of failed requests by -3." in found.gate.why
    assert found.exit_status == 4


LIMITED = """
algorithm = "round_robin"
[retries]
max = 0
[outliers]
enabled = false
[queue]
limit = 4
timeout = "60ms"
[traffic]
arrivals = { process = "poisson", rate = 150 }
[run]
requests = 2000
seed = 4
[[backend]]
name = "a"
address = "a:1"
max_in_flight = 4
model = { service = "exponential:8ms" }
[[backend]]
name = "b"
address = "b:1"
max_in_flight = 4
model = { service = "exponential:8ms" }
"""
ERRORS = """
[[fault]]
backend = "b"
kind = "errors"
rate = 0.03
to = "1000s"
"""


def test_a_model_that_lacks_failures_does_not_excuse_that_more_would_fail() -> None:
    seen = witnessed(changed(Scenario.parse(LIMITED + ERRORS), {"run.seed": 99}), source="day.rec")
    fewer = {"queue.limit": 0, "backend.a.max_in_flight": 2, "backend.b.max_in_flight": 2}
    found = predict(
        Scenario.parse(LIMITED), [WhatIf(keys=fewer)], seen, metric="p99", replications=6
    )
    (change,) = found.changes
    gap, moved = found.gate.failed, change.failed
    assert found.gate.passed
    assert gap is not None
    assert not gap.chance
    assert moved is not None
    assert moved.value > 0.05
    assert moved.low is not None
    assert moved.high is not None
    assert moved.low >= -gap.measured
    assert moved.high < 0.5
    assert change.changes["p99"].value < -0.1
    assert not change.recommended
    assert change.why.startswith("more requests would fail")
    now = found.current
    assert now is not None
    assert now.failed is not None
    assert now.failed.high is not None
    assert now.failed.high > gap.measured  # what was recorded is no surprise


def test_a_change_with_which_nobody_succeeds_is_judged_by_failures() -> None:
    (change,) = told(WhatIf(keys={"timeouts.attempt": "1us"})).changes
    assert not change.outlook.latency
    assert change.family is not None
    assert surely(change.family) > 0
    assert change.told
    assert change.why.startswith("more requests would fail, 100.00% in place of 6.")
    assert change.outlook.told("failed")[0] == 1.0


def test_a_file_that_tells_other_errors_only_says_so() -> None:
    gate = by_the_file({"mean": 0.01}, "failed", {})
    assert gate.answer is Answer.UNVOUCHED
    assert gate.why == "the file does not tell the model's error at failed"
    assert gate.cure.endswith("--from FILE")
    assert by_the_file({}, "failed", {}).why == "nothing vouches for this model"
