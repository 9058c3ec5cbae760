"""One script of trouble through both drivers: the balancers ask for the same, at the same times.

The live proxy and its backends run over real sockets in virtual time, the simulator in its own.
Times in the script lie beside each other, never on one another: what happens at one instant has no
order.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Container, Iterable
from typing import Any

import pytest

from lb.aio import driver as embedded
from lb.balancing import (
    Cancel,
    Changed,
    Probe,
    Recall,
    Refuse,
    Start,
)
from lb.balancing import balancer as balancers
from lb.config import Scenario
from lb.proxy import lifecycle
from sim.engine.world import World
from sim.live import load
from sim.model.arrivals import Schedule
from tests.aio.drivers import OwnCalls, Served
from tests.lived.world import lived

Said = tuple[float, str, str]
"""When (seconds), what, and of whom."""

SCRIPT = """
algorithm = "{algorithm}"
{policies}
{backends}
[server]
stats_path = ""  # else it is looked at, which is a request to whoever balances his own calls
[traffic]
arrivals = {{ process = "deterministic", rate = 64 }}
[health]
interval = "1.003s"
fast_interval = "203ms"
timeout = "151ms"
jitter = 0.0
[run]
duration = "20s"
replications = 1
seed = 3
"""
BACKEND = """
[[backend]]
name = "{name}"
address = "127.0.0.1:{port}"
{more}
[backend.model]
service = {{ law = "deterministic", mean = "{mean}" }}
workers = 4
"""


def script(policies: str, algorithm: str = "round_robin", more: str = "") -> str:
    rows = zip("abcd", ("5.1ms", "5.3ms", "5.7ms", "5.9ms"), strict=True)
    backends = "".join(
        BACKEND.format(name=name, port=number, mean=mean, more=more)
        for number, (name, mean) in enumerate(rows, 3001)
    )
    return SCRIPT.format(algorithm=algorithm, policies=policies, backends=backends)


SHORT = '[timeouts]\nresponse = "2007.8125ms"\nattempt = "257.8125ms"\n'
DOWN = '[[fault]]\nbackend = "a"\nkind = "down"\nfrom = "2.0041s"\nto = "6.0043s"\n'
HOLE = '[[fault]]\nbackend = "b"\nkind = "black_hole"\nfrom = "3.0047s"\nto = "9.0049s"\n'
FAST = '[[fault]]\nbackend = "c"\nkind = "fail_fast"\nfrom = "4.0053s"\nto = "7.0057s"\n'
PAUSE = '[[fault]]\nbackend = "d"\nkind = "pause"\nfrom = "10.0061s"\nto = "10.5063s"\n'
THREE = ((2, "a"), (3, "b"), (4, "c"))
SCRIPTS = {
    "crash and retries": script(DOWN),
    "silence and attempts": script(SHORT + HOLE),
    "ejection": script('[outliers]\neject = "1.0007s"\nmax_eject = "4.0007s"\n' + FAST),
    "everything at once": script(SHORT + DOWN + HOLE + FAST + PAUSE, "least_connections"),
    "slow start": script('[slow_start]\nduration = "2.0011s"\n' + DOWN, "weighted_round_robin"),
    "hedging": script('[hedging]\nafter = "31.0013ms"\n' + PAUSE),
    "hedging and silence": script(
        '[hedging]\nafter = "p95"\n' + SHORT + HOLE.replace('"3.0047s"', '"5.0047s"')
    ),
    "statuses": script('[retries]\non = ["connect", 503]\nmax = 2\n' + FAST, "p2c"),
    "back-off": script(
        '[retries]\nbackoff = "40.0011ms"\nmax = 2\n'
        + "".join(DOWN.replace('"a"', f'"{it}"').replace("2.0", f"{at}.0") for at, it in THREE)
        + '[[fault]]\nbackend = "d"\nkind = "reset"\nrate = 1\nfrom = "5.0007s"\nto = "5.0909s"\n'
    ),
    "panic": script("[panic]\nthreshold = 0.9\n" + HOLE.replace('"b"', '["b", "c"]') + SHORT),
    "a line": script(
        '[queue]\nlimit = 20\ntimeout = "403.001ms"\n' + PAUSE.replace('"d"', '["c", "d"]') + DOWN,
        more="max_in_flight = 1",
    ),
}


DRIVERS: dict[type, Container[str]] = {
    lifecycle.Proxy: SCRIPTS,
    OwnCalls: SCRIPTS,
    Served: ("everything at once", "hedging", "statuses", "a line"),  # it drives as OwnCalls does
}


class Noted(deque[Any]):
    """The actions of a balancer, noted as they are asked for."""

    clock: Callable[[], float]
    said: list[Said]

    def append(self, action: Any) -> None:
        super().append(action)
        self._note(action)

    def extend(self, actions: Iterable[Any]) -> None:
        for action in actions:
            self.append(action)

    def _note(self, action: Any) -> None:
        match action:
            case Start(lease) | Cancel(lease):
                whom = lease.backend.name
            case Refuse(_, why):
                whom = why.value
            case Probe(backend, _) | Recall(backend) | Changed(backend, _):
                whom = backend.name
            case _:
                return
        self.said.append((self.clock(), type(action).__name__, whom))


@pytest.fixture
def noting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(balancers, "deque", Noted)
    monkeypatch.setattr(load, "LEAD", 0.0)  # so that both begin at zero
    monkeypatch.setattr(lifecycle, "TICK", 1 / 1024)
    monkeypatch.setattr(embedded, "TICK", 1 / 1024)


def said_live(text: str, driver: Callable[..., Any]) -> list[Said]:
    Noted.said = []
    Noted.clock = staticmethod(lambda: asyncio.get_running_loop().time())
    lived(text, driver=driver)
    return Noted.said


def said_on_paper(text: str) -> list[Said]:
    Noted.said = []
    scenario = Scenario.parse(text)
    world: list[World] = []
    Noted.clock = staticmethod(lambda: world[0].now if world else 0.0)
    world.append(World(scenario, Schedule.draw(scenario)))
    world[0].replicate()
    return Noted.said


def by_action(said: list[Said]) -> dict[tuple[str, str], list[float]]:
    """When each action was asked for."""
    times: dict[tuple[str, str], list[float]] = {}
    for at, *action in said:
        times.setdefault((action[0], action[1]), []).append(at)
    return times


@pytest.mark.usefixtures("noting")
@pytest.mark.parametrize(
    ("driver", "text"),
    [
        pytest.param(driver, text, id=f"{driver.__name__}, {name}")
        for driver, names in DRIVERS.items()
        for name, text in SCRIPTS.items()
        if name in names
    ],
)
def test_all_drivers_are_asked_for_the_same(driver: Callable[..., Any], text: str) -> None:
    """As often, and at the same times: an alarm of the event loop may be a millisecond late."""
    live, paper = said_live(text, driver), said_on_paper(text)
    ends = min(live[-1][0], paper[-1][0]) - 0.01  # one may go on with its checks
    live, paper = ([it for it in said if it[0] < ends] for said in (live, paper))
    assert len(live) > 50
    assert by_action(live).keys() == by_action(paper).keys()
    for action, times in by_action(live).items():
        assert times == pytest.approx(by_action(paper)[action], abs=0.002), action
