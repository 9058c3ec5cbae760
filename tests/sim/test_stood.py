"""A machine that stood still while it recorded: neither what is fitted nor what is judged by it."""

from __future__ import annotations

from array import array
from dataclasses import replace

import numpy as np
import pytest

from lb.config import Scenario
from lb.errors import ConfigError
from lb.traces.observed import Observed, Observing
from sim.engine.world import World
from sim.fit import stood as room
from sim.fit import witnessed
from sim.fit.calibrate import calibrate
from sim.fit.calibrate.replay import replay
from sim.fit.sample import window_of
from sim.fit.seen import Seen
from sim.fit.stood import awake, steady
from sim.model.arrivals import Schedule
from sim.model.laws import Floats
from tests.sim.observations import scenario

AT, LONG = 11.0, 0.8
"""Seconds: when it stops, and for how long."""
MODELS = (
    '{ service = "exponential:40ms", workers = 3 }',
    '{ service = "exponential:60ms", workers = 2 }',
)


def world() -> Scenario:
    head = 'algorithm = "least_connections"'
    return Scenario.parse(scenario(*MODELS, rate=75, seconds=30, head=head))


def stopped(file: Scenario, *, backends: bool = True) -> Observed:
    """Who came meanwhile comes at its end; `backends`: they stood still as well."""
    drawn = Schedule.draw(file)
    times = drawn.times
    late = (times > AT) & (times < AT + LONG)
    begin = AT if backends else AT + LONG
    moved = np.where(late, begin + 2e-4 * np.cumsum(late), times)
    if backends:
        moved = np.where(times >= AT + LONG, times - LONG, moved)
    told = replace(drawn, times=np.sort(moved))
    record = World(file, told, None, watched=False).replicate()
    seen = witnessed.observed(file, told, record)
    if not backends:
        return seen
    after = AT - float(told.times[0])

    def real(column: array[float]) -> array[float]:
        return array("d", [time + LONG if time > after else time for time in column])

    tries = seen.attempts
    return replace(
        seen,
        arrived=real(seen.arrived),
        ended=real(seen.ended),
        attempts=replace(
            tries,
            started=real(tries.started),
            connected=real(tries.connected),
            first_byte=real(tries.first_byte),
            ended=real(tries.ended),
        ),
    )


def test_a_stop_is_left_out_of_services_and_of_the_replay() -> None:
    found = calibrate(stopped(world()), quick=True)
    assert [row.station.hypothesis.workers for row in found.backends] == [3, 2]
    for row, mean in zip(found.backends, (0.04, 0.06), strict=True):
        assert row.mean.low is not None
        assert row.mean.high is not None
        assert row.mean.low < mean < row.mean.high
    assert any(it.startswith("all stood still, for 0.8") for it in found.remarks)
    again = replay(found, found.scenario, 3)
    assert abs(again.error["mean"]) < 0.1
    assert abs(again.error["p95"]) < 0.1


def test_what_remains_is_as_if_time_had_stood_still() -> None:
    there = awake(Seen.of(stopped(world())))
    plain = Seen.of(witnessed.witnessed(world()))
    assert there.seconds == pytest.approx(plain.seconds - LONG, abs=0.05)
    ((since, until),) = there.unjudged
    assert since < AT < until
    kept = steady(there)
    assert len(kept) == len(there) - np.count_nonzero(
        (there.arrived >= since) & (there.arrived <= until)
    )
    early = np.count_nonzero(there.arrived < since)
    latencies: Floats = kept.ended - kept.arrived
    assert latencies[:early] == pytest.approx((there.ended - there.arrived)[:early])
    assert (np.diff(kept.arrived) >= 0).all()
    assert (np.diff(kept.arrived) < 0.2).all()  # one stretch right behind the other
    assert kept.started - kept.arrived[kept.request] == pytest.approx(0, abs=1e-9)
    assert kept.request.max() == len(kept) - 1


def test_who_sent_late_while_all_else_went_on_is_judged() -> None:
    seen = Seen.of(stopped(world(), backends=False))
    assert awake(seen) is seen


def test_a_recording_without_requests_is_as_it_is() -> None:
    seen = Seen.of(Observing("empty.rec").done())
    assert awake(seen) is seen
    with pytest.raises(ConfigError, match="holds no request"):
        window_of(awake(seen), None)
    with pytest.raises(ConfigError, match="0 answered requests"):
        calibrate(seen.observed)


def test_many_pauses_are_left_out_as_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    seen = Seen.of(stopped(world()))
    ends = np.sort(rng.uniform(0, seen.seconds, 40))
    ends[::8] = seen.arrived[np.searchsorted(seen.arrived, ends[::8])]
    ends[11] = ends[10]  # one begins as the other ends
    since, until = np.sort(ends).reshape(-1, 2).T
    pauses = [room._Pause(*row) for row in zip(since, until, since, until, strict=True)]
    monkeypatch.setattr(room, "_pauses", lambda *_: iter(pauses))
    there = awake(seen)
    for name in ("arrived", "ended", "started", "connected", "first_byte", "left"):
        times = getattr(seen, name)
        past = np.clip(times[:, None] - since, 0.0, until - since).sum(axis=1)
        assert getattr(there, name) == pytest.approx(times - past, abs=1e-9, nan_ok=True)

    spans = replace(seen, unjudged=tuple(zip(since.tolist(), until.tolist(), strict=True)))
    kept = ((seen.arrived[:, None] < since) | (seen.arrived[:, None] > until)).all(axis=1)
    late = np.where(seen.arrived[:, None] > until, until - since, 0.0).sum(axis=1)
    assert steady(spans).arrived == pytest.approx((seen.arrived - late)[kept], abs=1e-9)
