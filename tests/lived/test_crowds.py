"""A flash crowd and lasting overload, from the shipped files: simulated, and lived on real sockets.

Live runs are shorter copies of the same files, in virtual time.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from lb.config import Scenario
from sim.engine.world import World
from sim.model.arrivals import Schedule
from sim.model.laws import Floats
from tests.lived.world import lived

SCENARIOS = Path(__file__).parents[2] / "loadtests" / "scenarios"
CAPACITY = 300.0
MINIMUM = 100
"""Retries that the budget always allows: ten a second, for ten seconds."""
CROWD = """\
points = [["0s", 150], ["3s", 1500], ["5s", 150]]
"""
WORLDS = ["simulated", "live"]


@dataclass
class Seen:
    """What came of a file; times by request, NaN in `ended` where there was no good answer."""

    times: Floats
    ended: Floats
    attempts: int
    refused: dict[str, int]
    limits: list[int | None]
    """Of the backends, at the end."""

    def goodput(self, since: float, until: float) -> float:
        """Good answers per second."""
        mine = (self.ended >= since) & (self.ended < until)
        return float(np.count_nonzero(mine) / (until - since))

    def latencies(self, since: float, until: float) -> Floats:
        """Of all requests that came then; NaN for those without a good answer."""
        mine = (self.times >= since) & (self.times < until)
        return (self.ended - self.times)[mine]


def text_of(name: str, duration: str, **replaced: str) -> str:
    text = (SCENARIOS / f"{name}.toml").read_text(encoding="utf-8")
    for old, new in {'duration = "20s"': f'duration = "{duration}"', **replaced}.items():
        assert old in text
        text = text.replace(old, new)
    return text


@cache
def seen(world: str, text: str) -> Seen:
    if world == "live":
        it = lived(text)
        snapshot = it.snapshot
        attempts = sum(backend.picked for backend in snapshot.backends)
        assert snapshot.requests + snapshot.retried == (
            attempts + snapshot.turned_away + snapshot.left_line
        )
        assert snapshot.waiting == sum(backend.connections for backend in snapshot.backends) == 0
        refused = {why: count for why, count in snapshot.refused.items() if count}
        limits = [backend.max_in_flight for backend in snapshot.backends]
        return Seen(it.schedule.times, it.measured.ended, attempts, refused, limits)
    file = Scenario.parse(text)
    schedule = Schedule.draw(file)
    world_ = World(file, schedule)
    record = world_.replicate()
    ended = np.full(len(schedule), np.nan)
    ended[np.isin(schedule.times, record.arrived)] = record.ended
    snapshot = world_.dispatchers[0].balancer.snapshot(record.until)
    attempts = sum(backend.picked for backend in snapshot.backends)
    limits = [backend.max_in_flight for backend in snapshot.backends]
    return Seen(schedule.times, ended, attempts, dict(record.refused), limits)


def flash_crowd(world: str) -> tuple[Seen, float, float]:
    """What was seen, and from when to when the crowd was there."""
    if world == "simulated":
        return seen(world, text_of("flash_crowd", "20s")), 10.0, 12.0
    was = 'points = [["0s", 150], ["10s", 1500], ["12s", 150]]\n'
    return seen(world, text_of("flash_crowd", "8s", **{was: CROWD})), 3.0, 5.0


@pytest.mark.parametrize("world", WORLDS)
def test_a_flash_crowd_leaves_the_backends_at_work(world: str) -> None:
    it, since, until = flash_crowd(world)
    assert 0.9 * CAPACITY <= it.goodput(since, until) <= 1.1 * CAPACITY
    assert set(it.refused) == {"queue_full"}


@pytest.mark.parametrize("world", WORLDS)
def test_less_than_two_seconds_after_a_flash_crowd_all_is_as_before(world: str) -> None:
    it, since, until = flash_crowd(world)
    calm = np.percentile(it.latencies(1.0, since), 95)
    after = it.latencies(until + 1.0, until + 3.0)
    assert len(after) > 200
    assert not np.isnan(after).any()
    assert np.percentile(after, 95) < 2 * calm + 0.05


@pytest.mark.parametrize("world", WORLDS)
def test_a_flash_crowd_makes_no_storm_of_attempts(world: str) -> None:
    it, _, _ = flash_crowd(world)
    assert it.attempts <= 1.2 * len(it.times) + MINIMUM
    assert it.attempts < len(it.times), "who is refused costs no backend anything"


def overload(world: str, discipline: str) -> Seen:
    replaced = {} if discipline == "adaptive" else {'discipline = "adaptive"\n': ""}
    return seen(world, text_of("overload", "20s" if world == "simulated" else "8s", **replaced))


@pytest.mark.parametrize("world", WORLDS)
def test_twice_the_load_is_of_use_where_the_line_turns_round(world: str) -> None:
    it = overload(world, "adaptive")
    assert it.goodput(4.0, it.times[-1]) >= 0.65 * CAPACITY
    assert it.attempts <= 1.2 * len(it.times) + MINIMUM


@pytest.mark.parametrize("world", WORLDS)
def test_twice_the_load_is_of_next_to_no_use_first_come_first_served(world: str) -> None:
    it = overload(world, "fifo")
    assert it.goodput(4.0, it.times[-1]) < 30.0


@pytest.mark.parametrize("law", ["deterministic", "exponential"])
@pytest.mark.parametrize("world", WORLDS)
def test_limits_that_adapt_find_what_two_workers_can_do(world: str, law: str) -> None:
    replaced = {
        "max_in_flight = 3": 'max_in_flight = "adaptive"',
        'law = "deterministic", mean = "20ms"': f'law = "{law}", mean = "20ms"',
    }
    it = seen(world, text_of("overload", "8s", **replaced))
    assert it.goodput(4.0, it.times[-1]) >= 0.9 * CAPACITY
    for limit in it.limits:
        assert limit is not None
        assert 3 <= limit <= 12, "of the twenty it began with"


@pytest.mark.parametrize("name", ["flash_crowd", "overload"])
def test_the_simulator_predicts_goodput_within_a_twentieth(name: str) -> None:
    was = 'points = [["0s", 150], ["10s", 1500], ["12s", 150]]\n'
    text = text_of(name, "8s", **({was: CROWD} if name == "flash_crowd" else {}))
    simulated, live = (seen(world, text) for world in WORLDS)
    since, until = (3.0, 5.0) if name == "flash_crowd" else (4.0, float(live.times[-1]))
    assert live.goodput(since, until) == pytest.approx(simulated.goodput(since, until), rel=0.05)
