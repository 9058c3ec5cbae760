"""What was picked live is picked on paper: a recording drives the simulator's dispatcher, which
asks its balancer as it does in any run, and every strategy gives the same picks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest

from lb.balancing import Balancer, Lease, LoadReport, Outcome, ProbeResult, State
from lb.balancing.settings import Settings
from lb.proxy import lifecycle
from lb.proxy.logs.recorder import Recorder
from lb.recording.format import Kind
from lb.recording.reader import NONE, Entry, Log
from lb.recording.wanted import Recording
from lb.strategies import REGISTRY
from lb.wire import write_load
from sim.engine.alarms import Alarm
from sim.engine.dispatcher import Dispatcher, Ways
from sim.engine.journal import Journal
from sim.engine.request import Request
from sim.engine.timeline import Timeline
from tests.loops import runner
from tests.proxy.doubles import NO_HEALTH, Origin, Proxy, get, ok, origin, scenario
from tests.proxy.wires import Wire

CLIENTS, TIMES, KEYS = 6, 24, 40
KEY = {"sticky": "cookie:home"}
"""Where keys come from, else from the path."""
CALM = '[queue]\nmax_lag = "1h"\n'
"""However late the event loop of a busy machine is, nobody is refused for it."""
Pick = tuple[int, int, int]
"""Call, attempt, order of the backend."""


# --- live


def paced(seed: int) -> Any:
    """A backend that takes its time, and says how loaded it is."""
    luck = Random(seed)

    async def script(wire: Wire, it: Origin) -> None:
        while await it.take(wire) is not None:
            await asyncio.sleep(luck.random() * 0.004)
            figures = [luck.random() for _ in range(3)]
            load = write_load(luck.randrange(5), luck.random() / 50, *figures)
            wire.send(ok(b"done", b"X-LB-Load: " + load.encode()))

    return script


async def recorded(path: Path, algorithm: str) -> None:
    """Clients that ask at once, while a backend is given more weight and another one drains."""
    toml = f'algorithm = "{algorithm}"\nkey = "{KEY.get(algorithm, "path")}"\n{NO_HEALTH}{CALM}'
    async with origin(paced(1)) as a, origin(paced(2)) as b, origin(paced(3)) as c:
        log: list[Any] = []
        recorder = Recorder(Recording(path), lambda *_, **__: None, seed=5)
        driver = lifecycle.Proxy(
            scenario(a, b, c, toml=toml, b="weight = 2"), lambda *_, **__: None, recorder=recorder
        )
        lb = Proxy(driver, log)
        await driver.start()

        async def visit(seed: int) -> None:
            luck = Random(seed)
            async with lb.client() as client:
                home = ""
                for number in range(TIMES):
                    if (seed, number) == (0, TIMES // 3):
                        driver.balancer.set_weight(lb.backends[0], 3, driver.context.now())
                    if (seed, number) == (0, TIMES // 2):
                        driver.balancer.set_state(lb.backends[2], State.DRAIN, driver.context.now())
                    driver.dispatcher.drain()
                    client.send(get(f"/{luck.randrange(KEYS)}", *([home] if home else [])))
                    answer = await client.response()
                    assert answer.status == 200
                    cookie = answer["Set-Cookie"]
                    if cookie is not None:
                        home = f"Cookie: {cookie.partition(';')[0]}"

        try:
            await asyncio.gather(*map(visit, range(CLIENTS)))
        finally:
            driver.hurry()
            driver.clients.cut_off()
            await driver.stop()


# --- on paper


class Elsewhere:
    """Stands for what carries out probes: their answers come as they came live."""

    @contextmanager
    def before_the_start(self) -> Iterator[None]:
        yield

    def check(self, *_: object) -> None: ...

    def load(self, *_: object) -> None: ...


class Place:
    """Stands for a backend: an attempt ends when it ended live."""

    shared = None

    def __init__(self, place: int, drive: Drive) -> None:
        self.place = place
        self._drive = drive

    def receive(self, lease: Lease[Request], now: float) -> None:
        self._drive.began(lease)

    def measure(self, *, figures: bool) -> None: ...

    def report(self, now: float) -> LoadReport:
        raise AssertionError("reports come as they came live")


class Drive:
    """A recording, on the simulator's timeline."""

    def __init__(self, recording: bytes) -> None:
        log = Log([recording])
        header = log.header()
        self.recorded: list[Pick] = []
        self.made: list[Pick] = []
        self.reports = 0
        self._leases: dict[tuple[int, int], Lease[Request]] = {}
        self._timeline = Timeline()
        balancer: Balancer[Request] = Balancer(header.setup, Random(header.seed), header.now)
        self._backends = list(balancer.pool.backends)
        rows: tuple[Settings, ...] = header.setup.backends
        places: Any = {row.address: Place(place, self) for place, row in enumerate(rows)}
        journal = Journal(lambda now: None)
        ways = Ways([], [], 0.0, False, iter(()))
        self.dispatcher = Dispatcher(balancer, self._timeline, places, journal, ways, 1e9)
        prober: Any = Elsewhere()
        self.dispatcher._prober = prober
        entries = list(log.events())
        assert log.complete
        over = self._timeline.event()
        journal.expect([entry.now for entry in entries if entry.kind is Kind.ADMIT])
        journal.left += 1  # so that it is over when the recording is
        self._timeline.set(Alarm(self.dispatcher.start), header.now)
        at = header.now
        for entry in entries:
            if entry.now == entry.now:
                at = max(at, entry.now)  # some are told a time that was taken before others' was
                self._timeline.set(Alarm(partial(self._play, entry)), at)
        self._timeline.set(Alarm(lambda now: self._timeline.succeed(over, now)), at)
        self._timeline.run(until=over)

    def began(self, lease: Lease[Request]) -> None:
        pick = (lease.call.index, len(lease.call.tried), lease.backend.order)
        self._leases[pick[:2]] = lease
        self.made.append(pick)

    def _play(self, entry: Entry, _: float) -> None:
        now, body = entry.now, entry.body
        balancer = self.dispatcher.balancer
        self.recorded += [(call, attempt, order) for call, attempt, order in entry.decisions]
        match entry.kind:
            case Kind.WAKE | Kind.CONNECTED:
                pass  # it sets its own alarms
            case Kind.ADMIT:
                request = Request()
                request.index, request.home = balancer.admitted, self.dispatcher
                request.key, request.idempotent, request.safe = body[:3]
                if body[-1] != NONE:
                    self.recorded.append((request.index, 0, body[-1]))
                self.dispatcher.arrive(request, now)
            case Kind.DONE:
                call, attempt, outcome, first_byte = body
                assert (outcome, first_byte) == (Outcome.OK, now)
                self.dispatcher.end(self._leases[call, attempt], now)
            case Kind.OBSERVED | Kind.REPORTED:
                backend = self._backends[body.pop("backend")]
                self.reports += entry.kind is Kind.REPORTED
                kind = ProbeResult if entry.kind is Kind.OBSERVED else LoadReport
                self.dispatcher._observed(backend, now, kind(**body))
            case Kind.SET_WEIGHT:
                balancer.set_weight(self._backends[body["backend"]], body["weight"], now)
                self.dispatcher.drain(now)
            case Kind.SET_STATE:
                state = State(body["state"])
                balancer.set_state(self._backends[body["backend"]], state, now)
                self.dispatcher.drain(now)
            case kind:
                raise AssertionError(f"the simulator is not told {kind.name}")


@pytest.mark.parametrize("algorithm", REGISTRY)
def test_every_strategy_picks_on_paper_what_it_picked_live(algorithm: str, tmp_path: Path) -> None:
    path = tmp_path / "run.rec"
    runner("uvloop", 20.0)(recorded(path, algorithm))
    drive = Drive(path.read_bytes())
    assert len(drive.recorded) == CLIENTS * TIMES
    assert drive.reports >= CLIENTS * TIMES
    assert drive.made == drive.recorded
    assert len({order for *_, order in drive.made}) == 3
