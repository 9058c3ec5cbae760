"""Health checks lived and simulated: who is out of rotation, from when to when."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lb.balancing import Backend
from lb.balancing.fleet import Fleet
from lb.config import Scenario
from sim import simulate
from tests.lived.world import lived

FILE = Path(__file__).parents[2] / "loadtests" / "scenarios" / "health.toml"
Change = tuple[str, str, float]
"""Who went where, and when, seconds from the beginning."""


@pytest.fixture(scope="module")
def live() -> list[Change]:
    it = lived(FILE.read_text())
    assert it.lost == 0, "an attempt that is refused goes elsewhere"
    return [
        (str(line[3]["backend"]), event.removeprefix("backend "), line[0])
        for event in ("backend up", "backend down")
        for line in it.lines(event)
        if line[0] > 0
    ]


@pytest.fixture(scope="module")
def simulated() -> list[Change]:
    found: list[Change] = []
    judge = Fleet._judge

    def noting(self: Fleet, backend: Backend, now: float, *said: Any, **more: Any) -> bool:
        changed = judge(self, backend, now, *said, **more)
        if changed and now > 0:
            found.append((backend.name, backend.health.state.value, now))
        return changed

    scenario = Scenario.parse(FILE.read_text())
    run = scenario.run.model_copy(update={"replications": 1})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Fleet, "_judge", noting)
        simulate(scenario.model_copy(update={"run": run}))
    return found


def at(changes: list[Change], name: str, state: str) -> float:
    """When that was; it happened once."""
    (when,) = (when for who, what, when in changes if (who, what) == (name, state))
    return when


def test_the_same_go_down_and_come_up_in_both_worlds_within_a_second(
    live: list[Change], simulated: list[Change]
) -> None:
    assert sorted(it[:2] for it in live) == sorted(it[:2] for it in simulated)
    assert {it[0] for it in live} == {"silent", "gone"}
    for name, state, when in simulated:
        assert at(live, name, state) == pytest.approx(when, abs=1.0)


@pytest.mark.parametrize("world", ["live", "simulated"])
def test_each_goes_by_its_own_policy(world: str, request: pytest.FixtureRequest) -> None:
    """A check that is not answered takes its time limit; two of them, `fast_interval` apart."""
    changes = request.getfixturevalue(world)
    down, up = at(changes, "silent", "down"), at(changes, "silent", "up")
    assert 5 + 1 + 0.5 + 1 <= down <= 5 + 2 + 1 + 0.5 + 1 + 0.1
    assert 12 + 0.5 <= up <= 12 + 2 + 1 + 0.5 + 0.1  # two that are well
    down, up = at(changes, "gone", "down"), at(changes, "gone", "up")
    assert 8 <= down <= 8 + 1.5, "requests that are refused count as well"
    assert 15 + 2 * 0.5 <= up <= 15 + 1 + 2 * 0.5 + 0.1
