"""Predictions: the gate first, then what would be, and when nothing is said."""

from __future__ import annotations

import dataclasses
import json
import math
from functools import cache

import pytest

from lb.config import Scenario, changed, struck
from lb.errors import ConfigError, UsageError
from lb.traces.observed import Observed
from sim import Loss, Prediction, WhatIf, predict
from sim.fit.predict.gate import Answer
from sim.fit.witnessed import witnessed
from sim.output.predictions import change_sentences

TEXT = """
algorithm = "round_robin"
[traffic]
arrivals = { process = "poisson", rate = 100 }
keys = { law = "zipf", count = 50, s = 1.0 }
[run]
requests = 2500
seed = 4
[[backend]]
name = "a"
address = "127.0.0.1:3001"
[backend.model]
service = { law = "exponential", mean = "10ms" }
[[backend]]
name = "b"
address = "127.0.0.1:3002"
[backend.model]
service = { law = "exponential", mean = "16ms" }
"""
REPLICATIONS = 12


@cache
def file() -> Scenario:
    return Scenario.parse(TEXT)


@cache
def recorded() -> Observed:
    """One run of the file, of a seed that no prediction has."""
    return witnessed(changed(file(), {"run.seed": 99}), source="day.rec")


def predicted(
    *changes: WhatIf | str,
    scenario: Scenario | None = None,
    seen: Observed | None = None,
    metric: str = "mean",
    **keys: object,
) -> Prediction:
    there = changed(scenario or file(), keys)
    return predict(there, changes, seen, metric=metric, replications=REPLICATIONS)


# --- the gate


@cache
def plain() -> Prediction:
    return predicted("least_connections", "round_robin", seen=recorded())


def test_the_model_that_a_recording_comes_from_passes() -> None:
    gate = plain().gate
    assert gate.answer is Answer.PASSED
    assert set(gate.shares) == {"a", "b"}
    assert gate.distance is not None
    assert gate.distance.ok
    for gap in gate.latency.values():
        assert gap.error.low is not None
        assert gap.error.high is not None
        assert gap.error.low < 0 < gap.error.high


def test_a_clear_gain_is_recommended() -> None:
    told = plain()
    change = told["least_connections"]
    assert change.recommended
    assert change.distinguishable
    assert change.changes["mean"].high is not None
    assert change.changes["mean"].high < 0
    assert told.best is change
    assert told.exit_status == 0


def test_the_same_setting_again_cannot_be_told_from_itself() -> None:
    change = plain()["round_robin"]
    assert change.changes["mean"].value == 0
    assert not change.distinguishable
    assert not change.recommended
    assert change.why == "it changes nothing"


def test_only_what_cannot_be_told_is_exit_status_4() -> None:
    assert predicted("round_robin", seen=recorded()).exit_status == 4


def test_a_model_of_something_else_is_not_believed() -> None:
    wrong = changed(file(), {"backend.1.model.service.mean": "10ms"})
    told = predicted("least_connections", scenario=wrong, seen=recorded())
    assert told.gate.answer is Answer.FAILED
    assert told.gate.latency["mean"].beyond
    assert told.current is None
    assert not told["least_connections"].outlook.latency
    assert not told["least_connections"].recommended
    assert told.exit_status == 4


def test_its_bound_may_be_moved() -> None:
    wrong = changed(file(), {"backend.1.model.service.mean": "10ms"})
    bounds = dict.fromkeys(("mean", "p50", "p95", "p99"), 3.0)
    told = predict(
        wrong, ["p2c"], recorded(), metric="mean", max_error=bounds, replications=REPLICATIONS
    )
    assert told.gate.passed
    assert not told["p2c"].recommended, "the model is off by more than is gained"


def test_a_sample_too_small_for_the_quantile_is_refused_with_what_it_takes() -> None:
    short = witnessed(changed(file(), {"run.requests": 400, "run.seed": 5}))
    told = predicted("least_connections", seen=short, metric="p99")
    assert told.gate.answer is Answer.TOO_SMALL
    assert told.gate.why.startswith("p99 takes 1,000 good answers, and ")
    assert "times as long" in told.gate.cure
    assert "--metric p95" in told.gate.cure
    assert told.exit_status == 4
    assert predicted("least_connections", seen=short, metric="mean").gate.latency["p99"].needs


def test_another_files_recording_is_named() -> None:
    other = file().model_copy(
        update={
            "backends": tuple(
                row.model_copy(update={"name": f"x{row.name}", "address": f"10.0.0.{at}:80"})
                for at, row in enumerate(file().backends)
            )
        }
    )
    with pytest.raises(
        ConfigError, match=r"day\.rec: a recording of another file: its backends are"
    ):
        predict(other, ["p2c"], recorded())
    with pytest.raises(ConfigError, match=r"those of the scenario a;"):
        predict(WhatIf(without=("b",)).applied(file()), ["p2c"], recorded())


def test_what_was_recorded_counts_where_the_file_says_something_else() -> None:
    later = changed(file(), {"algorithm": {"name": "random"}, "backend.0.weight": 3})
    told = predicted("p2c", scenario=later, seen=recorded())
    setting = told.told.setting
    assert setting.told_by == "recording"
    assert setting.scenario.algorithm.name == "round_robin"
    assert set(setting.differs) == {
        "algorithm round_robin, in the file random",
        "weight of a 1, in the file 3",
    }


def test_a_log_that_says_nothing_of_its_setting_leaves_it_to_the_file() -> None:
    told = predicted(seen=dataclasses.replace(recorded(), setup=None))
    assert told.told.setting.told_by == "file"
    assert not told.told.setting.differs


def test_without_a_recording_the_file_vouches_or_nobody() -> None:
    told = predicted("least_connections")
    assert told.gate.answer is Answer.UNVOUCHED
    assert told["least_connections"].outlook.latency, "it is told all the same"
    assert not told["least_connections"].recommended
    assert told.exit_status == 4
    known = {"from": "x.rec", "requests": 10, "seconds": 60.0, "error": {"mean": -0.03}}
    told = predicted("least_connections", calibration=known)
    assert told.gate.passed
    assert told.gate.error("mean") == pytest.approx(0.03)
    assert told["least_connections"].recommended
    told = predicted("least_connections", calibration={**known, "error": {"mean": 0.3}})
    assert told.gate.answer is Answer.FAILED


def test_a_model_made_from_the_very_recording_is_told_so() -> None:
    known = {"from": "old/day.rec", "requests": len(recorded()), "seconds": 25.0}
    own = "made from this very recording"
    remarks = predicted(seen=recorded(), calibration=known).told.remarks
    assert [own in remark for remark in remarks].count(True) == 1
    others = predicted(seen=recorded(), calibration={**known, "requests": 9}).told.remarks
    assert not any(own in remark for remark in others)


# --- what is not sure


def width(told: Prediction, change: str) -> float:
    it = told[change].outlook.latency["mean"].expected
    assert it.high is not None
    assert it.low is not None
    return math.log(it.high / it.low)


def test_what_could_not_be_identified_is_carried_on_as_a_range() -> None:
    known = {"from": "x.rec", "requests": 10, "seconds": 60.0, "error": {"mean": 0.01}}
    row = {"key": "backend.0.model.workers", "low": 1, "high": 4, "why": "never more than 1"}
    narrow = predicted("random", calibration=known)
    wide = predicted("random", calibration={**known, "unknown": [row]})
    low = wide["random"].outlook.latency["mean"].expected.low
    faster = predicted("random", calibration=known, **{"backend.0.model.workers": 4})
    assert low is not None
    assert low < faster["random"].outlook.latency["mean"].expected.value
    assert width(wide, "random") > width(narrow, "random") + 0.1


def test_the_intervals_of_a_calibration_widen_predictions() -> None:
    known = {"from": "x.rec", "requests": 10, "seconds": 60.0, "error": {"mean": 0.01}}
    rows = [{"key": "backend.1.model.service.mean", "value": 0.016, "low": 0.0125, "high": 0.0205}]
    narrow = predicted("random", calibration=known)
    wide = predicted("random", calibration={**known, "estimate": rows})
    # The mean of b's requests moves by 12 %, and half of all are b's.
    assert width(wide, "random") > width(narrow, "random") + 0.1


# --- what is asked


def test_a_load_above_capacity_is_told_and_not_simulated() -> None:
    twice = WhatIf(rate_times=2.0)
    told = predicted(
        twice, WhatIf(lost=(Loss("a"),)), WhatIf(lost=(Loss("a"), Loss("b"))), seen=recorded()
    )
    over, lost, none = told.changes
    assert over.outlook.load == pytest.approx(2 * file().utilisation, rel=0.1)
    assert not over.outlook.latency
    assert "capacity: the backends cannot keep up" in over.why
    assert "cannot keep up" in lost.why
    assert none.why == "no backend would be left"
    assert told.exit_status == 0, "that is an answer"


def test_choices_are_held_against_the_setting_as_it_is_under_the_same_circumstances() -> None:
    asked = [WhatIf(name, rate_times=0.5) for name in ("least_connections", "p2c")]
    told = predicted(*asked, seen=recorded())
    base, *choices = told.changes
    assert base.outlook.name == "rate x 0.5"
    assert base.distinguishable
    assert not base.recommended, "nobody chooses how much comes"
    assert [it.beside for it in choices] == ["rate x 0.5", "rate x 0.5"]
    for it in choices:
        before, after = (view.latency["mean"].expected for view in (base.outlook, it.outlook))
        assert it.changes["mean"].value == pytest.approx(after.value / before.value - 1)
    assert told.best in choices


def test_what_keeps_up_where_nothing_else_does_is_recommended() -> None:
    told = predicted(WhatIf("least_connections", rate_times=1.4), seen=recorded())
    base, choice = told.changes
    assert "is sent 1." in base.why
    assert choice.recommended
    assert choice.why == "the backends keep up, and without it they would not"


def test_one_backend_that_is_sent_too_much_is_named() -> None:
    told = predicted(WhatIf("weighted_round_robin", weights={"b": 5}), seen=recorded())
    (change,) = told.changes
    assert change.why.startswith("b is sent 1.")


def test_more_requests_that_fail_are_no_gain() -> None:
    told = predicted(
        WhatIf("round_robin", {"timeouts.attempt": "30ms", "retries.max": 0}), seen=recorded()
    )
    (change,) = told.changes
    assert change.outlook.failed is not None
    assert change.outlook.failed.value > 0.05
    assert change.distinguishable
    assert not change.recommended
    assert "more requests would fail" in change.why


def test_ejections_and_how_many_are_false_are_told() -> None:
    fault = {"backend": "a", "kind": "errors", "rate": 1.0, "from": "3s", "to": "8s"}
    strict = {"outliers.latency_factor": 1.3, "outliers.window": "1s"}
    told = predicted(WhatIf(keys=strict), seen=recorded())
    (by_limit,) = told.changes
    often, falsely = by_limit.outlook.ejections
    assert falsely == often > 0
    assert "ejections a run" in " ".join(change_sentences(told))
    failing = struck(file(), fault)
    known = {"from": "x.rec", "requests": 10, "seconds": 60.0, "error": {"mean": 0.01}}
    told = predicted("least_connections", scenario=failing, calibration=known)
    assert told.current is not None
    assert told.current.ejections.ejected >= 1
    assert told.current.ejections.falsely == 0


def test_keys_are_replayed() -> None:
    told = predicted("consistent_hash", seen=recorded())
    assert told["consistent_hash"].outlook.shares["a"].value not in (0.5, 0.0)
    keyless = dataclasses.replace(recorded(), key=recorded().status)
    file_without = file().model_copy(
        update={"traffic": file().offered().model_copy(update={"keys": None})}
    )
    with pytest.raises(ConfigError, match=r"day\.rec: says no keys"):
        predict(file_without, ["consistent_hash"], keyless)


def test_users_send_by_themselves() -> None:
    closed = Scenario.parse(
        TEXT.replace(
            'arrivals = { process = "poisson", rate = 100 }',
            'users = { count = 4, think = { law = "exponential", mean = "20ms" } }',
        )
    )
    told = predicted("least_connections", scenario=closed, seen=witnessed(closed, 7))
    assert told.gate.passed
    assert any("users" in remark for remark in told.told.remarks)


def test_the_document() -> None:
    told = json.loads(json.dumps(plain().as_dict()))
    assert told["schema"] == 1
    assert told["gate"]["answer"] == "passed"
    assert told["gate"]["setting"]["recording"] == "day.rec"
    error = told["gate"]["latency"]["p99"]["error"]
    assert error["low"] < error["value"] < error["high"]
    first, second = told["changes"]
    assert first["recommended"]
    assert first["gain"]["low"] < first["gain"]["value"] < first["gain"]["high"]
    assert not second["distinguishable"]
    assert first["latency"]["mean"]["low"] < first["latency"]["mean"]["high"]


def test_it_is_the_same_again() -> None:
    again = predicted("least_connections", "round_robin", seen=recorded())
    assert again.as_dict() == plain().as_dict()


def test_what_cannot_be_asked() -> None:
    with pytest.raises(UsageError, match="no figure 'p98' to predict by; did you mean 'p95'"):
        predict(file(), ["p2c"], metric="p98")
    with pytest.raises(UsageError, match="p2c is asked twice"):
        predict(file(), ["p2c", "p2c"])
    with pytest.raises(ConfigError, match="missing; nothing to simulate"):
        predict(Scenario(), ["p2c"])
