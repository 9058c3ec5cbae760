"""Hours of faults: of a request its entry in the journal is kept, and nothing else grows."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest

from lb.config import ColdStart, Pause, Scenario
from sim.engine.world import World
from sim.model.arrivals import Schedule
from sim.model.door import Door
from sim.model.faults import Warming
from sim.model.stations import Fifo
from tests.doubles import Draws
from tests.sim.scenarios import scenario, serves

KINDS = {
    "slow": "factor = 5",
    "down": "",
    "black_hole": "",
    "errors": "rate = 0.5",
    "pause": "",
    "cold_start": "factor = 9\ndown = '2s'".replace("'", '"'),
}
EXTRAS = {
    "patience": 'patience = { law = "exponential", mean = "5s" }\nclient_retries = 1',
    "hedges": '[hedging]\nafter = "p95"\n[timeouts]\nresponse = "3s"\ntotal = "9s"\n',
}


def hours(seconds: float, extra: str, more: str = "") -> Scenario:
    faults = "".join(
        f'[[fault]]\nbackend = "b:{n}"\nkind = "{kind}"\nfrom = "1s"\nto = "{seconds}s"\n'
        f'mttf = "60s"\nmttr = "10s"\n{rest}\n'
        for n, (kind, rest) in enumerate(KINDS.items())
    )
    lines = [serves('{ law = "lognormal", mean = "20ms", cv = 1.0 }', workers=2)] * 8
    return scenario(
        *lines,
        rate=100,
        traffic=extra,
        run=f'duration = "{seconds}s"',
        more=faults + more,
    )


@pytest.mark.parametrize("kind", EXTRAS)
def test_nothing_that_has_ended_is_kept(kind: str) -> None:
    """A run does without the garbage collector, so there must be no work for it."""
    extra = EXTRAS[kind]
    file = hours(600, "", extra) if kind == "hedges" else hours(600, extra)
    world = World(file, Schedule.draw(file), "p2c")
    gc.collect()
    gc.disable()
    try:
        record = world.replicate()
        garbage = gc.collect()
    finally:
        gc.enable()
    assert record.requests > 50_000
    assert record.failed > 50
    assert garbage < 2_000
    (dispatcher,) = world.dispatchers
    kept: Any = dispatcher
    assert not kept._here
    assert len(kept._owed) < 500  # as many as are under way, and those that come behind one
    assert len(world.queue) < 2_000
    assert len(world._journal._unfinished) < 500
    assert record.rotation is not None
    assert len(record.rotation) == pytest.approx(6000, abs=300)


def test_the_lost_are_in_the_order_in_which_they_were_lost() -> None:
    file = hours(120, EXTRAS["patience"])
    lost = World(file, Schedule.draw(file), "p2c").replicate().lost
    assert np.all(np.diff(lost.ended) >= 0)
    assert np.all(lost.left >= lost.reached)


def test_thousands_of_faults_cost_no_more_than_one() -> None:
    """Which of them is present is looked up, as is who answers when."""
    many = 20_000
    pauses = [
        Pause(kind="pause", backends=("b",), since=2.0 * n, until=2.0 * n + 1) for n in range(many)
    ]
    door = Door(pauses, Draws(), 100.0)  # type: ignore[arg-type]
    told = [door.answers_at(100.0 + 2 * n + at) for n in (0, 9_999) for at in (0.0, 0.5, 1.0, 1.5)]
    assert told == [101.0, 101.0, 101.0, 101.5, 20099.0, 20099.0, 20099.0, 20099.5]
    colds = [
        ColdStart(kind="cold_start", backends=("b",), since=2.0 * n, until=2.0 * n + 1, factor=3.0)
        for n in range(many)
    ]
    warm: Warming[int] = Warming(Fifo(1), colds, 0.0)
    factors = []
    for n in range(many):
        warm.arrive(n, 2.0 * n + 0.5, 0.25)
        at, _ = warm.depart()
        factors.append((at - 2.0 * n - 0.5) / 0.25)
    assert set(factors) == {2.0}
