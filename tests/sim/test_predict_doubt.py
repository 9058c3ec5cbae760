"""What predictions are unsure of: parameters drawn, unknowns at their ends, the model's error."""

from __future__ import annotations

import dataclasses
import math
from array import array
from pathlib import Path

import numpy as np
import pytest

from lb.balancing.health import ELSEWHERE
from lb.config import Calibration, changed
from lb.traces.observed import Observing
from sim import Loss, WhatIf, predict
from sim.fit import doubt, sample
from sim.fit.parameters import sets, variances
from sim.fit.predict import replayed
from sim.fit.predict.current import current
from sim.fit.predict.gate import Answer
from sim.fit.predict.origin import edited
from sim.fit.predict.runs import coupled
from sim.fit.said import said
from sim.fit.seen import Seen
from sim.fit.unidentified import unknowns
from sim.fit.witnessed import witnessed
from sim.model.arrivals import Schedule
from tests.sim.test_predict import file, recorded

KNOWN = {"from": "x.rec", "requests": 10, "seconds": 60.0, "error": {"mean": 0.01, "p50": 0.01}}
FIXED = {"backend.1.model.workers": 1, "backend.model.service": "exponential:26.2ms"}


def test_parameters_are_drawn_by_their_intervals() -> None:
    rows = [
        {"key": "backend.0.model.service.mean", "value": "10ms", "low": "8ms", "high": "11ms"},
        {"key": "backend.0.model.workers", "value": 2, "low": 2, "high": 2},
        {"key": "backend.0.model.discipline", "value": "ps", "low": "fifo", "high": "ps"},
    ]
    known = {"from": "x.rec", "requests": 10, "seconds": 60.0, "estimate": rows}
    calibration = changed(file(), {"calibration": known}).calibration
    found = sets(calibration, 1)
    assert {tuple(one) for one in found.keys} == {("backend.0.model.service.mean",)}
    values = np.array([one["backend.0.model.service.mean"] for one in found.keys], float)
    assert 0.0065 < values.min() < 0.010 < values.max() < 0.0125
    assert (found.luck[::2] == -found.luck[1::2]).all()


def test_laws_without_a_mean_of_their_own_are_told_it(tmp_path: Path) -> None:
    (tmp_path / "seen.txt").write_text("0.01\n0.03\n")
    laws = [
        {"law": "uniform", "low": 0.01, "high": 0.03},
        {"law": "bimodal", "values": [0.01, 0.03], "weights": [1, 1]},
        {"law": "empirical", "file": str(tmp_path / "seen.txt")},
    ]
    for law in laws:
        there = changed(file(), {"backend.0.model.service": law})
        row = {"key": "backend.0.model.service.mean", "value": 0.02, "low": 0.019, "high": 0.021}
        known = {"from": "x.rec", "requests": 10, "seconds": 60.0, "estimate": [row]}
        there = changed(there, {"calibration": known, "run.requests": 400})
        keys = said(there, {"backend.0.model.service.mean": 0.025})
        (_, model), _ = changed(there, keys).modelled()
        assert model.capacity_over(60.0) == pytest.approx(40.0)
        assert predict(there, ["p2c"], replications=2)["p2c"].changes  # parameters are drawn
    cv = "backend.0.model.service.cv"
    there = changed(file(), {"backend.0.model.service": laws[0]})
    keys = said(there, {"backend.0.model.service.mean": 0.025, cv: 0.1})
    (_, model), _ = changed(there, keys).modelled()
    assert (model.service.mean, model.service.squared_cv) == pytest.approx((0.025, 0.01))


def test_a_file_says_what_it_was_made_as() -> None:
    row = {"key": "backend.0.model.service.mean", "value": "10.01ms", "low": "9ms", "high": "11ms"}
    known = {"from": "old/day.rec", "requests": len(recorded()), "seconds": 25.0}
    known |= {"error": {"mean": 0.01}, "estimate": [row]}
    made = changed(file(), {"calibration": known})
    assert edited(made) == []
    slower = changed(made, {"backend.0.model.service.mean": "16ms"})
    assert edited(slower) == ["backend.0.model.service.mean was 10.01ms"]
    told = predict(slower, [], recorded(), metric="mean", replications=12)
    assert told.gate.answer is Answer.FAILED
    assert told.gate.cure.startswith("undo what was changed in the file since")
    assert any("has been changed since: backend.0.m" in it for it in told.told.remarks)
    other = changed(slower, {"calibration.from": "night.rec"})
    assert predict(other, [], recorded(), replications=12).gate.cure.startswith("calibrate from")


def test_many_that_fail_are_told_whatever_becomes_of_the_others() -> None:
    there = changed(file(), {"run.requests": 900, "calibration": KNOWN})
    asked = WhatIf(keys={"timeouts.attempt": "12ms", "retries.max": 0, "outliers.enabled": False})
    change = predict(there, [asked], metric="p50", replications=4)[str(asked)]
    assert change.told
    assert not change.recommended
    assert "more requests would fail" in change.why


def test_what_a_change_hangs_on_is_named() -> None:
    row = {"key": "backend.1.model.workers", "low": 1, "high": 8}
    known = {"from": "x.rec", "requests": 10, "seconds": 60.0, "error": {"mean": 0.01}}
    there = changed(file(), {"calibration": {**known, "unknown": [row]}, "run.requests": 900})
    asked = WhatIf(lost=(Loss("a", 2.0, 5.0),))
    change = predict(there, [asked], metric="mean", replications=4)[str(asked)]
    assert not change.distinguishable
    assert change.why.endswith("could not be identified: workers of b, 1 to 8")


def test_what_several_workers_recorded_is_replayed_by_as_many_balancers(tmp_path: Path) -> None:
    there = changed(file(), {"backend.0.max_in_flight": 9, "queue.limit": 8})
    luck = np.random.default_rng(3).integers(2, size=len(recorded())).tolist()
    seen = dataclasses.replace(recorded(), balancer=array("q", luck), setup=None)
    setting = current(there, seen).scenario
    now, remarks = replayed.replayed(setting, Seen.of(seen), tmp_path)
    assert now.run.balancers == 2
    assert now.backends[0].max_in_flight == 5  # of each
    assert (now.queue.limit, now.retries.min_per_second) == (4, 5.0)
    assert Schedule.draw(now).balancers.tolist() == luck
    assert any(it.startswith("2 balancers: each sees its own") for it in remarks)
    based = changed(there, {"server.workers": 2, "run.balancers": 2})
    assert current(based, seen).scenario.backends == setting.backends
    four = WhatIf(keys={"server.workers": 4}).applied(now)
    assert (four.run.balancers, four.backends[0].max_in_flight) == (4, 3)


def test_what_a_worker_of_several_is_told_of_checks_is_no_difference() -> None:
    setup = recorded().setup
    health = dataclasses.replace(setup.health, interval=ELSEWHERE)
    seen = dataclasses.replace(recorded(), setup=dataclasses.replace(setup, health=health))
    setting = current(file(), seen)
    assert not setting.differs
    assert setting.scenario.health.interval == file().health.interval


def test_what_was_estimated_together_is_drawn_together() -> None:
    rows = [
        {"key": f"backend.{at}.model.service.mean", "value": 0.010, "low": 0.009, "high": high}
        for at, high in enumerate((0.011, 0.011, 0.012))
    ]
    known = {"from": "x.rec", "requests": 10, "seconds": 60.0, "estimate": rows}
    found = sets(Calibration.model_validate(known), 1)
    assert found.luck.shape == (40, 2)
    for keys in found.keys:
        one, same, other = keys.values()
        assert one == same != other


def test_unknowns_of_one_kind_go_together() -> None:
    rows = [{"key": f"backend.{at}.model.workers", "low": 1, "high": at + 2} for at in range(2)]
    known = {"from": "x.rec", "requests": 10, "seconds": 60.0, "unknown": rows}
    ((low, high),) = unknowns(changed(file(), {"calibration": known}).calibration)
    assert list(low.values()) == [1, 1]
    assert list(high.values()) == [2, 3]


def test_overload_that_hangs_on_unknown_workers_cannot_be_told() -> None:
    row = {"key": "backend.1.model.workers", "low": 1, "high": 8}
    known = {"from": "x.rec", "requests": 10, "seconds": 60.0, "error": {"mean": 0.01}}
    there = changed(file(), {"calibration": {**known, "unknown": [row]}, "run.requests": 900})
    asked = [WhatIf(rate_times=2.0), WhatIf("p2c", rate_times=2.0), WhatIf(keys=FIXED)]
    told = predict(there, asked, metric="mean", replications=3)
    more, other, fixed = (told[str(it)] for it in asked)
    assert not more.told  # 1.23 of capacity with one worker at b, 0.33 with eight
    assert "without workers of b, 1 to 8" in more.why
    assert not other.told
    assert fixed.told
    assert fixed.why.startswith("1.31 of capacity")
    alone = predict(there, asked[:2], metric="mean", replications=3)
    assert alone.exit_status == 4


def test_other_shapes_are_drawn_from_the_same_luck() -> None:
    law = {"law": "lognormal", "mean": "10ms", "cv": 1.0}
    one = changed(file(), {"backend.model.service": law})
    other = changed(one, {"backend.model.service": {**law, "cv": 1.1}})
    assert coupled(one, one, 0) is None
    drawn = coupled(one, other, 3)
    assert drawn is not None
    ranks = [np.argsort(it.sizes[0]) for it in (Schedule.draw(one, 3), drawn)]
    assert (ranks[0] == ranks[1]).all()
    assert drawn.shapes == ("lognormal(cv=1.1)",)


def test_an_error_is_corrected_as_far_as_it_is_no_chance() -> None:
    runs = np.exp(np.random.default_rng(1).normal(0.0, 0.05, 200))
    plain_chance = doubt.bias("p99", 1.03, runs)
    plain_error = doubt.bias("p99", 1.5, runs)
    assert abs(plain_chance.value) < 0.7 * 0.03
    assert plain_error.value == pytest.approx(math.log(1.5), rel=0.05)
    assert plain_error.at(1.0)[1] > plain_chance.at(1.0)[1]


def test_what_a_model_lacks_on_the_way_is_seen_in_the_fastest_answers() -> None:
    """A network of 2 ms, where chance moves the median by as much."""
    rng = np.random.default_rng(2)
    replays = [rng.exponential(0.02, 2000) for _ in range(20)]
    seconds = doubt.missing(rng.exponential(0.02, 2000) + 0.002, replays)
    assert seconds == pytest.approx(0.002, abs=3e-4)
    assert abs(doubt.missing(rng.exponential(0.02, 2000), replays)) < 3e-4
    assert doubt.missing(np.empty(0), replays) == 0.0
    runs = 0.02 * np.exp(rng.normal(0.0, 0.1, 200))
    blind = doubt.bias("p50", 0.02, runs)
    aware = doubt.bias("p50", 0.02, runs, seconds)
    truth = math.log(1.1)
    assert blind.value + 1.96 * blind.deviation < truth < aware.value + 1.96 * aware.deviation
    assert aware.value - 1.96 * aware.deviation < 0.0


def test_an_error_may_be_a_factor_or_seconds() -> None:
    known = doubt.Bias(math.log(1.2), 0.01, 0.05)
    assert known.at(1.0)[0] == pytest.approx(math.log(1.2))
    faster, slower = (known.at(times)[0] for times in (0.5, 2.0))
    assert faster == pytest.approx((math.log(1.2) + math.log(1.4)) / 2)
    assert slower == pytest.approx((math.log(1.2) + math.log(1.1)) / 2)
    assert known.at(0.5)[1] > known.at(1.0)[1]


def test_chance_does_not_count_as_what_parameters_do() -> None:
    rng = np.random.default_rng(3)
    half = rng.normal(size=(15, 4))
    luck = np.stack([half, -half], axis=1).reshape(30, 4)
    slopes = np.array([0.03, 0.0, 0.04, 0.0])
    found = [variances(luck, luck @ slopes + rng.normal(0.0, 0.05, 30)) for _ in range(200)]
    deviation = np.sqrt(np.mean(found))
    assert deviation == pytest.approx(0.05, rel=0.1)
    nothing = [variances(luck, rng.normal(0.0, 0.05, 30)) for _ in range(200)]
    assert np.sqrt(np.mean(nothing)) < 0.02


def test_what_bends_upwards_reaches_further_up() -> None:
    half = np.random.default_rng(4).normal(size=(15, 1))
    luck = np.stack([half, -half], axis=1).reshape(30, 1)
    low, high = variances(luck, 0.1 * luck[:, 0] + 0.02 * luck[:, 0] ** 2)
    assert math.sqrt(low) == pytest.approx(0.1 - 0.02 * 1.96, rel=0.01)
    assert math.sqrt(high) == pytest.approx(0.1 + 0.02 * 1.96, rel=0.01)


def test_of_many_parameters_mirror_images_say_how_much_they_do_together() -> None:
    half = np.random.default_rng(5).normal(size=(60, 200))
    luck = np.stack([half, -half], axis=1).reshape(120, 200)
    low, high = variances(luck, luck @ np.full(200, 0.01))
    assert low == high == pytest.approx(200 * 0.01**2, rel=0.5)


def test_a_sample_is_held_against_samples() -> None:
    whole = witnessed(changed(file(), {"run.seed": 99}))
    luck = np.random.default_rng(1).random(len(whole))
    rows = np.flatnonzero(luck < 0.25).tolist()
    some = Observing("sample.rec")
    for name in whole.backends:
        some.backend(name)
    tried = dict(zip(whole.attempts.request, whole.attempts.backend, strict=True))
    for at in rows:
        number = some.request(whole.arrived[at], whole.ended[at])
        ended = whole.ended[at]
        some.attempt(number, whole.backends[tried[at]], whole.arrived[at], ended, ended, ended)
    seen = some.done(setup=whole.setup, share=0.25)
    told = predict(file(), ["least_connections"], seen, metric="mean", replications=12)
    assert told.gate.passed
    assert any("sample" in remark for remark in told.told.remarks)
    sampled = np.mean([len(one) for one in told.samples[""]])
    assert sampled == pytest.approx(len(rows) * 0.9, rel=0.1)


def test_of_a_long_recording_the_first_part_is_replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (sample, replayed):
        monkeypatch.setattr(module, "MOST", 1000)
    told = predict(file(), [], recorded(), metric="mean", replications=12)
    assert "the first 1,000 of 2,500 requests are replayed" in told.told.remarks[0]
    assert len(told.measured) == pytest.approx(920, abs=40)
    assert all(len(one) == len(told.measured) for one in told.samples[""])
