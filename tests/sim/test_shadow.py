"""What a shadow says of the algorithm that ran and of others, from what it has heard."""

from __future__ import annotations

import json
import socket
from random import Random
from typing import Any

import pytest

from lb.balancing import Outcome, Settings, Setup
from lb.config import Scenario
from lb.errors import ConfigError
from lb.recording.writer import RecordedBalancer
from lb.traces.observed import Observing
from sim.fit import shadow
from sim.fit.shadow import Stream, Window, compared
from sim.fit.witnessed import witnessed
from tests.doubles import Request
from tests.recording.recordings import UNCHECKED

FILE = """
algorithm = "random"
[run]
requests = 2500
[traffic]
arrivals = { process = "poisson", rate = 85 }
""" + "".join(
    f"""
[[backend]]
name = "{name}"
address = "10.0.0.{place}:80"
model = {{ service = "exponential:20ms", workers = 1 }}
"""
    for place, name in enumerate("ab", 1)
)


def test_others_are_told_beside_what_ran_and_how_well_that_is_known() -> None:
    told = compared(witnessed(Scenario.parse(FILE)), ["p2c"])
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert (told["state"], told["running"], told["requests"]) == ("ready", "random", 2500)
    assert told["measured"]["failed"] == 0
    assert sum(told["measured"]["shares"].values()) == pytest.approx(1, abs=1e-5)
    # Queues at random of two stations: at 0.85 a replay is right within a third.
    assert abs(told["model_error"]["mean"]) < 0.34
    (p2c,) = told["candidates"]
    assert p2c["algorithm"] == "p2c"
    assert p2c["mean_ms"] < 0.7 * told["model"]["mean_ms"], "two choices wait much less"
    low, high = p2c["intervals_ms"]["mean"]
    assert low < p2c["mean_ms"] < high


def test_too_few_are_no_model() -> None:
    observing = Observing("live")
    observing.attempt(observing.request(0.0, 0.1), "a", 0.0, 0.0, 0.1, 0.1)
    with pytest.raises(ConfigError):
        compared(observing.done(), ["p2c"])


def test_a_stream_fills_the_window() -> None:
    ours, theirs = socket.socketpair()
    setup = Setup((Settings("10.0.0.1:80", name="a"),), "round_robin", {}, health=UNCHECKED)
    balancer: RecordedBalancer[Any] = RecordedBalancer(setup, Random(1), 0.0, 1, lambda _: None)
    balancer._sink = ours.sendall
    ours.sendall(balancer.header(2))
    window = Window()
    stream = Stream(theirs, window)
    for number in range(200):
        lease = balancer.admit(Request(key=b"%d" % number), float(number))
        assert lease is not None
        end = number + 0.02
        balancer.served(lease, end, Outcome.OK, end, float(number), 200, 0, 5)
    balancer.close()
    ours.close()
    stream.thread.join(20.0)
    assert window.streams == 0
    seen = window.seen()
    assert seen.texts[-1] == "199"
    assert len(seen) == len(seen.attempts) == shadow.WINDOW + 1
    assert seen.setup == setup


def test_a_window_that_nobody_looks_at_does_not_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shadow, "MOST", 10)
    window = Window()
    for number in range(25):
        window.put(shadow.Row((float(number), number + 0.1, 0, 200, "k", 0, 0)))
    assert len(window._rows) == 10
    assert len(window.seen()) == 10


def test_what_is_balanced_otherwise_begins_anew() -> None:
    setup = Setup((Settings("10.0.0.1:80", name="a"),), "round_robin", {})
    other = Setup(setup.backends, "p2c", {})
    window = Window()
    window.begin(setup)
    window.put(shadow.Row((0.0, 0.1, 0, 200, "k", 0, 0)))
    window.begin(setup)
    assert len(window.seen()) == 1
    window.begin(other)
    assert len(window.seen()) == 0


def test_what_it_waits_for_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shadow, "PAUSE", 0.0)
    monkeypatch.setattr(shadow, "REST", 0.0)
    assert shadow.waits(0, 0) == "no balancer has said yet what it does"
    assert shadow.waits(0, 1) == "no requests yet"
    assert shadow.waits(200, 1, "no times") == "no times"
    window = Window()
    window.put(shadow.Row((0.0, 0.1, 0, 200, "k", 0, 0), [("a", 0.0, 0.0, 0.1, 0.1)]))
    told = next(shadow.shadowed(window, ["p2c"]))
    assert told["state"] == "collecting"
    assert told["reason"] == "has 1 of 200 requests that a model needs"
