"""What stands around an exchange without sockets: all is real but clock and connections."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any

from lb.balancing import Backend, Balancer, HealthPolicy, QueuePolicy, Settings, Setup
from lb.config import Timeouts
from lb.measures import Requests
from lb.proxy.dispatcher import Dispatcher
from lb.proxy.exchange.attempt import Attempt
from lb.proxy.exchange.exchange import Exchange, Watched
from lb.proxy.http.framing import Framing
from lb.proxy.http.request import Hop, Request
from lb.proxy.http.response import Aside, Response
from lb.proxy.timers import Timers
from lb.proxy.waits import Wait
from lb.strategies import Outcome
from tests.proxy.doubles import note_ends, note_leases


class Transport:
    """Somebody else's from now on."""

    def set_protocol(self, protocol: object) -> None: ...

    def write(self, data: bytes) -> None: ...

    def abort(self) -> None: ...


class Client:
    half_closed = False
    current: Exchange

    owed: Wait[Client]

    def __init__(self) -> None:
        self.closing = self.full = False
        self.phase = 0
        self.said = b""
        self.kept: bool | None = None  # None until the exchange is finished
        self.cut = False
        self.reading = True

    def write(self, data: bytes) -> None:
        assert self.kept is None
        self.said += data

    def finished(self, exchange: Exchange, keep_alive: bool, now: float) -> None:
        assert self.kept is None
        self.kept = keep_alive

    def takes(self) -> bool:
        return False

    def cut_off(self) -> None:
        self.cut = True

    def backend_silent(self) -> None:
        self.current.silent()

    def lost(self) -> None: ...

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def into_tunnel(self) -> tuple[Transport, bytes]:
        return Transport(), b""


class Upstream:
    def __init__(self, reused: bool = False) -> None:
        self.reused = reused
        self.got = b""
        self.kept: bool | None = None

    def write(self, data: bytes) -> None:
        assert self.kept is None
        self.got += data

    def write_parts(self, parts: list[bytes]) -> None:
        self.write(b"".join(parts))

    def release(self, keep: bool, now: float) -> None:
        assert self.kept is None, "released twice"
        self.kept = keep

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def into_tunnel(self) -> tuple[Transport, bytes]:
        return Transport(), b""


class Carrier:
    """What a backend has instead of a pool of connections."""

    response_tails = tuple(
        b"\r\nVia: 1.%d lb\r\nX-Backend-Server: x\r\n\r\n" % minor for minor in (0, 1)
    )
    token = b"x"
    open = True

    def __init__(self) -> None:
        self.whole: dict[int, list[float]] = {}
        self.carried: deque[bool] = deque()  # fresh or not, one for each attempt
        self.forgotten = 0

    def carry(self, attempt: Attempt, now: float) -> None:
        self.carried.append(attempt.fresh)

    def forget(self, attempt: Attempt) -> None:
        self.forgotten += 1


class Loop:
    """Its alarms ring when a test says so; its time is not that of the balancer."""

    def __init__(self) -> None:
        self.alarms: dict[Alarm, float] = {}

    def time(self) -> float:
        return 1000.0

    def call_at(self, when: float, act: Callable[[], None]) -> Alarm:
        alarm = Alarm(self, act)
        self.alarms[alarm] = when - 1000.0
        return alarm

    def ring(self) -> None:
        """The one alarm that is set."""
        (alarm,) = self.alarms
        del self.alarms[alarm]
        alarm.act()


class Alarm:
    def __init__(self, loop: Loop, act: Callable[[], None]) -> None:
        self.loop = loop
        self.act = act

    def cancel(self) -> None:
        self.loop.alarms.pop(self, None)


class Driver:
    """What stands around an exchange. All is real but the clock and the connections."""

    cookie: bytes | None = None
    teller = collector = marks = recorded = None

    def __init__(
        self, backends: str = "ab", limit: int | None = None, line: int = 0, **policies: Any
    ) -> None:
        attempt = policies.pop("attempt", None)
        self.clock = 0.0
        self.loop = Loop()
        self.measured = Requests()
        self.outcomes: list[Outcome] = []
        self.timers = Timers(Timeouts(), self.loop, self.now)  # type: ignore[arg-type]
        self.balancer: Balancer[Exchange] = Balancer(
            Setup(
                tuple(Settings(f"{name}:80", name=name, max_in_flight=limit) for name in backends),
                health=HealthPolicy(enabled=False),
                queue=QueuePolicy(limit=line),
                **policies,
            ),
            Random(1),
        )
        self.dispatcher: Dispatcher[Exchange] = Dispatcher(
            self,  # type: ignore[arg-type]
            self.balancer,
            prober=None,  # type: ignore[arg-type]
            log=lambda *_, **__: None,
            site=lambda *_: Carrier(),  # type: ignore[arg-type,return-value]
            swapped=lambda _: None,
            recall=self._recall,
            attempt=attempt,
        )
        self.leases = note_leases(self.balancer)
        note_ends(self.balancer, self._ended)

    def _recall(self, backend: Backend) -> None:
        for client in self.timers.response.waiters():
            client.current.recall(backend)

    def _ended(self, backend: Backend, outcome: Outcome, latency: float) -> None:
        assert latency >= 0
        self.outcomes.append(outcome)

    def now(self) -> float:
        return self.clock

    @property
    def waits(self) -> str:
        """For whom the exchanges wait."""
        response, stalled = self.timers.response, self.timers.stalled
        return "owed" * len(response.waiters()) + "stalled" * len(stalled)

    @property
    def tunnels(self) -> int:
        return len(self.timers.tunnel)

    @property
    def carriers(self) -> list[Carrier]:
        return [backend.site for backend in self.balancer.pool.backends]

    @property
    def active(self) -> int:
        return sum(backend.active for backend in self.balancer.pool.backends)


HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n"
END = b"X-Backend-Server: x\r\n\r\n"


def exchange(
    driver: Driver,
    client: Client,
    method: bytes = b"GET",
    framing: Framing = Framing.NONE,
    minor: int = 1,
    keep_alive: bool = True,
    hop: Hop | None = None,
) -> Exchange:
    request = Request(
        method, b"/", minor, b"x", b"", HEAD, framing, keep_alive, Hop() if hop is None else hop
    )
    kind: Any = Watched if driver.dispatcher.watching else Exchange
    it: Exchange = kind(driver, driver.timers, driver.dispatcher, client, request)
    client.owed = driver.timers.response.of(client)
    client.current = it
    return it


NOTHING = Aside()


def response(
    status: int = 200, framing: Framing = Framing.LENGTH, lines: bytes = b"", aside: Aside = NOTHING
) -> Response:
    return Response(status, b"%d Fine" % status, lines, framing=framing, aside=aside)


def connected(it: Exchange, upstream: Upstream) -> None:
    assert it.attempt is not None
    it.sent_on(it.attempt, upstream, END, it._context.now())  # type: ignore[arg-type]


def begin_answer(it: Exchange, response: Response) -> None:
    """The head of an answer, and nothing behind it."""
    assert it.attempt is not None
    now = it.attempt.first_byte_at = it._context.now()
    it.head(it.attempt, response)
    it.more(now)


def answer(it: Exchange, status: int = 200, keep: bool = True) -> None:
    """A whole answer, as the connection to the backend brings it."""
    assert it.attempt is not None
    now = it.attempt.first_byte_at = it._context.now()
    it.head(it.attempt, response(status, lines=b"\r\nContent-Length: 2"))
    it.body(b"ok")
    it.end(b"", keep, now)
