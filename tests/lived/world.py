"""A file lived: its proxy, its backends and its clients in one process, in virtual time.

What `lb serve`, `lb backend` and the open-loop load of `lb demo` do, over real sockets; the same
file in the simulator is what was predicted.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import numpy as np

from lb.balancing import Snapshot
from lb.config import Scenario, host_and_port
from lb.proxy.lifecycle import Proxy
from sim.live import load
from sim.live.backend import LiveBackend, application, shared_stations
from sim.live.station import Beginning
from sim.live.system import relocated
from sim.live.verdict import Measurement
from sim.model.arrivals import Schedule, streams
from sim.model.occurrences import occurrences
from tests.lived.virtual import run

Line = tuple[float, str, str, dict[str, Any]]
"""When (seconds from the first request), level, event, fields."""


@dataclass
class Lived:
    """What came of it."""

    scenario: Scenario
    schedule: Schedule
    measured: Measurement
    """What clients saw, by request; NaN in `ended` where there was no good answer."""
    log: list[Line]
    snapshot: Snapshot
    """Of the balancer, when every request had ended."""

    def lines(self, event: str) -> list[Line]:
        """The log's lines that tell of `event`."""
        return [line for line in self.log if line[2] == event]

    @property
    def lost(self) -> int:
        """Requests without a good answer."""
        return int(np.count_nonzero(np.isnan(self.measured.ended)))


@dataclass
class System:
    """A running one."""

    scenario: Scenario
    proxy: Proxy
    beginning: Beginning
    log: list[Line] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://{self.proxy.addresses[0]}"


@asynccontextmanager
async def system(text: str, driver: Callable[..., Any] = Proxy) -> AsyncIterator[System]:
    """Backends and proxy of a file, on ports of their own; another `driver` in its stead."""
    loop = asyncio.get_running_loop()
    scenario = Scenario.parse(relocated(text))
    anywhere = scenario.server.model_copy(update={"listen": "127.0.0.1:0"})
    scenario = scenario.model_copy(update={"server": anywhere})
    beginning = Beginning()
    backends = []
    seed = scenario.run.seed
    faults = occurrences(scenario.faults, seed)
    shared = shared_stations(scenario.shared, seed, beginning, scenario.traffic)
    for number, (row, model) in enumerate(scenario.modelled()):
        rng = np.random.default_rng([seed, number])
        luck = Random(f"{row.address} {seed} 0")
        then = shared.get(model.then or "")
        dealt = Random(f"accept {row.address} {seed} 0")
        app = application(row, model, rng, faults, beginning, luck, scenario.traffic, then, dealt)
        backends.append(LiveBackend(app, beginning))
        await backends[-1].listen(*host_and_port(row.address))
    log: list[Line] = []

    def note(level: str, event: str, **fields: object) -> None:
        log.append((loop.time(), level, event, fields))

    picks = streams(scenario.run.seed, 0)[2]  # as the simulator's first replication has them
    rng = Random(int(picks.integers(2**63)))
    proxy = driver(scenario, note, rng, now=loop.time)
    await proxy.start()
    yield System(scenario, proxy, beginning, log)
    await proxy.stop()
    for backend in backends:
        await backend.close()


def lived(
    text: str,
    meanwhile: Callable[[System], None] | None = None,
    driver: Callable[..., Any] = Proxy,
) -> Lived:
    """Play a file's traffic against its proxy and its backends, from beginning to end."""

    async def live() -> Lived:
        loop = asyncio.get_running_loop()
        async with system(text, driver) as it:
            schedule = Schedule.draw(it.scenario)
            begins = it.beginning.at(loop.time() + load.LEAD)  # of the schedule, faults included
            if meanwhile is not None:
                meanwhile(it)
            seen = await load.play(it.scenario, schedule, it.url)
            measured = replace(seen, busy=None, stolen=None)  # time here is no machine's
            log = [(at - begins, *rest) for at, *rest in it.log]
            snapshot = it.proxy.balancer.snapshot(loop.time())
        return Lived(it.scenario, schedule, measured, log, snapshot)  # type: ignore[arg-type]

    return run(live())
