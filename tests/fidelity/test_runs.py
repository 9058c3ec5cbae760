"""Figures of a run: measured, predicted, and what chance leaves open."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from lb.config import Scenario
from sim.analysis.record import Record
from sim.fidelity.runs import failures, figures, shares
from sim.live.measurement import Measurement

TWO = Scenario(backends=["127.0.0.1:1", "127.0.0.1:2"])


def record(backend: list[int], requests: int) -> Record:
    times = np.arange(float(len(backend)))
    return Record(
        requests, times, times, times + 1, np.array(backend, np.int64), times, times + 1, 100.0
    )


def test_errors_are_relative_and_chance_is_that_of_further_runs() -> None:
    rng = np.random.default_rng(1)
    runs = [rng.exponential(0.1, 4000) for _ in range(30)]
    found = figures(1.1 * rng.exponential(0.1, 4000), runs)
    assert list(found) == ["mean", "p50", "p95", "p99"]
    for one in found.values():
        assert one["error"] == pytest.approx(one["measured"] / one["predicted"] - 1)
        assert one["low"] < 0 < one["high"]
    assert found["mean"]["error"] == pytest.approx(0.1, abs=0.05)
    assert found["mean"]["error"] > found["mean"]["high"], "a mean of 4000 is known within 4 %"
    honest = figures(rng.exponential(0.1, 4000), runs)["mean"]
    assert honest["low"] <= honest["error"] <= honest["high"]


def test_shares_and_failures_are_counted() -> None:
    runs = [record([0] * (50 + k) + [1] * (50 - k), 110) for k in (-2, -1, 0, 1, 2)]
    found = shares(TWO, np.array([0] * 60 + [1] * 40), runs)
    one = found["127.0.0.1:1"]
    assert (one["measured"], one["predicted"]) == (0.6, pytest.approx(0.5))
    assert one["low"] < 0.5 < one["high"] < 0.6
    ended = np.array([1.0] * 90 + [np.nan] * 20)
    blank = Measurement.blank(110)
    lost = failures(Measurement(ended, ended, blank.backend, blank.lost, blank.gone), runs)
    assert (lost["measured"], lost["predicted"]) == (20, 10.0)


def test_where_nobody_was_answered_nothing_is_told() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        runs = [record([], 10)] * 3
        assert figures(np.empty(0), [np.empty(0)] * 3) == {}
        found = shares(TWO, np.empty(0, np.int64), runs)
    assert {one["measured"] for one in found.values()} == {0.0}
