"""Panic, backups and drains, from the shipped files: simulated, and lived on real sockets.

Both worlds play shorter copies of the same files, the live one in virtual time.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from lb.balancing import Backend, SetState, Snapshot, State
from lb.config import Scenario
from sim.engine.alarms import Alarm
from sim.engine.world import World
from sim.live.load import LEAD
from sim.model.arrivals import Schedule
from sim.model.laws import Floats
from tests.lived.world import System, lived

SCENARIOS = Path(__file__).parents[2] / "loadtests" / "scenarios"
WORLDS = pytest.mark.parametrize("world", ["simulated", "live"])
NEWS = ("backend drained", "panic", "panic is over")
Commands = tuple[tuple[float, str, State], ...]
"""When the operator says what of which backend."""


@dataclass
class Seen:
    """What came of a file: by request when, until when (NaN: lost), and who served it (or -1)."""

    schedule: Schedule
    ended: Floats
    backend: np.ndarray[tuple[int], np.dtype[np.int64]]
    names: list[str]
    snapshot: Snapshot
    news: tuple[str, ...] = ()
    """What the log tells of it, in order; the simulator has none."""

    def served(self, since: float, until: float) -> Counter[str]:
        """Requests by backend, of those that came then."""
        mine = (self.schedule.times >= since) & (self.schedule.times < until)
        return Counter(self.names[place] if place >= 0 else "" for place in self.backend[mine])

    def latencies(self, since: float, until: float) -> Floats:
        mine = (self.schedule.times >= since) & (self.schedule.times < until)
        return (self.ended - self.schedule.times)[mine]

    @property
    def lost(self) -> int:
        return int(np.count_nonzero(np.isnan(self.ended)))


def text_of(name: str, **replaced: str) -> str:
    text = (SCENARIOS / f"{name}.toml").read_text(encoding="utf-8")
    for old, new in {'duration = "20s"': 'duration = "11s"', **replaced}.items():
        assert old in text
        text = text.replace(old, new)
    return text


@cache
def seen(world: str, text: str, commands: Commands = ()) -> Seen:
    return live(text, commands) if world == "live" else simulated(text, commands)


def live(text: str, commands: Commands) -> Seen:
    def command(system: System) -> None:
        dispatcher, loop = system.proxy.dispatcher, asyncio.get_running_loop()
        for at, name, state in commands:
            loop.call_later(LEAD + at, dispatcher.perform, SetState(name, state))

    it = lived(text, command)
    news = tuple(line[2] for line in it.log if line[2] in NEWS)
    names = [row.label for row in it.scenario.backends]
    measured = it.measured
    return Seen(it.schedule, measured.ended, measured.backend, names, it.snapshot, news)


def simulated(text: str, commands: Commands) -> Seen:
    file = Scenario.parse(text)
    schedule = Schedule.draw(file)
    world = World(file, schedule)
    (dispatcher,) = world.dispatchers
    balancer = dispatcher.balancer
    for at, name, state in commands:
        backend = next(it for it in balancer.pool.backends if it.name == name)

        def command(now: float, backend: Backend = backend, state: State = state) -> None:
            balancer.set_state(backend, state, now)
            dispatcher.drain(now)

        world.set(Alarm(command), at)
    record = world.replicate()
    here = np.isin(schedule.times, record.arrived)
    ended, place = np.full(len(schedule), np.nan), np.full(len(schedule), -1)
    ended[here], place[here] = record.ended, record.backend
    names = [row.label for row in file.backends]
    return Seen(schedule, ended, place, names, balancer.snapshot(record.until))


PANIC = {'from = "5s"': 'from = "2s"', 'to = "15s"': 'to = "8s"'}
BACKUP = {'from = "5s"': 'from = "2s"', 'from = "10s"': 'from = "5s"', 'to = "15s"': 'to = "8s"'}

IN_TURN = {'{ name = "sticky", inner = "least_connections", drain = "30s" }': '"round_robin"'}
DRAIN = ((3.0, "two", State.DRAIN),)


@WORLDS
def test_in_panic_backends_whose_checks_lie_work_on(world: str) -> None:
    it = seen(world, text_of("panic", **PANIC))
    assert it.lost == 0
    assert set(it.served(5.5, 8.0)) == {"one", "two", "three", "four"}
    calm, then = (np.percentile(it.latencies(*span), 95) for span in ((0.5, 2.0), (5.0, 8.0)))
    assert then < 1.5 * calm
    assert not it.snapshot.panic


def test_the_log_tells_of_panic_and_of_its_end_and_of_drains() -> None:
    assert seen("live", text_of("panic", **PANIC)).news == ("panic", "panic is over")
    assert seen("live", text_of("drain", **IN_TURN), DRAIN).news == ("backend drained",)


@WORLDS
def test_without_panic_the_one_that_is_left_has_more_than_it_can_do(world: str) -> None:
    it = seen(world, text_of("panic", **PANIC, **{"threshold = 0.3": "threshold = 0.0"}))
    assert set(it.served(6.0, 8.0)) == {"one"}
    calm, then = (np.percentile(it.latencies(*span), 50) for span in ((0.5, 2.0), (6.0, 8.0)))
    assert then > 10 * calm


@WORLDS
def test_a_backup_takes_what_those_before_it_cannot(world: str) -> None:
    it = seen(world, text_of("backup", **BACKUP))
    assert it.lost == 0
    assert it.served(0.0, 2.0)["backup"] == 0
    some, more = it.served(2.5, 5.0), it.served(5.5, 8.0)
    assert 0.02 < some["backup"] / some.total() < 0.12  # 1 - 1.4 x 2/3, 500 draws
    assert 0.44 < more["backup"] / more.total() < 0.63  # 1 - 1.4 x 1/3
    assert set(more) == {"one", "backup"}
    assert set(it.served(10.0, 11.0)) == {"one", "two", "three"}
    assert [row.priority for row in it.snapshot.backends] == [0, 0, 0, 1]


def test_the_simulator_predicts_what_the_backup_takes() -> None:
    worlds = [seen(world, text_of("backup", **BACKUP)) for world in ("simulated", "live")]
    for since, until in ((2.5, 5.0), (5.5, 8.0)):
        shares = [
            served["backup"] / served.total()
            for served in (it.served(since, until) for it in worlds)
        ]
        assert shares[0] == pytest.approx(shares[1], abs=0.05)


@WORLDS
def test_clients_stay_with_a_backend_that_drains_and_move_when_it_is_gone(world: str) -> None:
    commands = ((3.0, "two", State.DRAIN), (7.0, "two", State.MAINT))
    it = seen(world, text_of("drain"), commands)
    assert it.lost == 0
    assert it.schedule.keys is not None
    homes: dict[int, list[str]] = {}
    for key, place, at in zip(it.schedule.keys, it.backend, it.schedule.times, strict=True):
        name, known = it.names[place], homes.setdefault(int(key), [])
        if not known or known[-1] != name:
            assert not known or (known == ["two"] and at >= 7.0), "who has a home stays there"
            assert name != "two" or at < 3.0, "nobody new"
            known.append(name)
    assert it.served(3.0, 7.0)["two"] > 50
    assert it.served(7.0, 11.0)["two"] == 0
    assert sum(len(known) == 2 for known in homes.values()) > 20
    assert [row.state for row in it.snapshot.backends] == ["up", "maint", "up"]


@WORLDS
def test_a_backend_in_flight_to_the_end_is_drained_then(world: str) -> None:
    """Without homes to keep: nobody comes from there on, and what was there is answered."""
    it = seen(world, text_of("drain", **IN_TURN), DRAIN)
    assert it.lost == 0
    assert it.served(0.0, 3.0)["two"] > 150
    assert it.served(3.01, 11.0)["two"] == 0
