"""Does the verdict have teeth? The live check with the simulator as the proxy."""

from __future__ import annotations

from pathlib import Path

import pytest

import sim.live.verdict
from lb.config import BackendTable, Scenario
from sim import Schedule
from sim.live.rehearsal import rehearsed
from sim.live.verdict import Judgement, judge, predict
from tests.sim.shipped import TIMED

STEADY = [path for path in TIMED if not Scenario.load(path).eventful]
"""Those whose whole run is alike; trouble has a test of its own."""


def slowed(file: Scenario, which: int) -> Scenario:
    """The scenario with the mean service of one backend doubled."""

    def doubled(row: BackendTable) -> BackendTable:
        assert row.model is not None
        service = row.model.service
        twice = service.model_copy(update={"mean": 2 * service.mean})
        return row.model_copy(update={"model": row.model.model_copy(update={"service": twice})})

    rows = list(file.backends)
    rows[which % len(rows)] = doubled(rows[which % len(rows)])
    return file.model_copy(update={"backends": tuple(rows)})


@pytest.mark.parametrize("path", STEADY, ids=lambda path: path.stem)
def test_honest_runs_pass_and_a_backend_twice_as_slow_is_found_out(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The live check (`make teeth`) with the simulator as the proxy, in runs half as long."""
    monkeypatch.setattr(sim.live.verdict, "REPLICATIONS", 15)
    file = Scenario.load(path)
    passed = missed = 0
    for seed in range(1, 11):
        run = file.run.model_copy(update={"seed": seed, "duration": 10.0})
        seeded = file.model_copy(update={"run": run})
        schedule = Schedule.draw(seeded)
        predicted = predict(seeded, schedule)
        honest = judge(seeded, schedule, rehearsed(seeded, schedule), predicted)
        passed += honest.judgement is Judgement.PASSED
        slow = judge(seeded, schedule, rehearsed(slowed(seeded, seed), schedule), predicted)
        missed += slow.judgement is Judgement.MISSED
    assert passed >= 9
    assert missed == 10
