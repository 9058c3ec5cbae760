"""The exchange without sockets: every path ends in one `done`, and the client learns the truth."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.balancing import Backend, Balancer, HealthPolicy, QueuePolicy, Settings, Setup
from lb.config import Timeouts
from lb.proxy.dispatcher import Dispatcher
from lb.proxy.exchange.exchange import Exchange
from lb.proxy.http.framing import Framing
from lb.proxy.http.request import Hop, Request
from lb.proxy.http.response import Aside, Response
from lb.proxy.timers import Timers
from lb.strategies import Outcome
from tests.proxy.doubles import note_ends, note_leases


class Transport:
    """Somebody else's from now on."""

    def set_protocol(self, protocol: object) -> None: ...

    def write(self, data: bytes) -> None: ...

    def abort(self) -> None: ...


class Client:
    half_closed = False

    def __init__(self) -> None:
        self.closing = False
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

    def cut_off(self) -> None:
        self.cut = True

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

    def __init__(self) -> None:
        self.carried: deque[bool] = deque()  # fresh or not, one for each attempt
        self.forgotten = 0

    def carry(self, exchange: Exchange, fresh: bool, now: float) -> None:
        self.carried.append(fresh)

    def forget(self, exchange: Exchange) -> None:
        self.forgotten += 1


class Loop:
    """Time stands still."""

    def time(self) -> float:
        return 0.0

    def call_at(self, when: float, act: Callable[[], None]) -> Loop:
        return self

    def cancel(self) -> None: ...


class Driver:
    """What stands around an exchange. All is real but the clock and the connections."""

    loop = Loop()
    cookie: bytes | None = None

    def __init__(self, backends: str = "ab", limit: int | None = None, line: int = 0) -> None:
        self.clock = 0.0
        self.outcomes: list[Outcome] = []
        self.timers = Timers(Timeouts())
        self.balancer: Balancer[Exchange] = Balancer(
            Setup(
                tuple(Settings(f"{name}:80", name=name, max_in_flight=limit) for name in backends),
                health=HealthPolicy(enabled=False),
                queue=QueuePolicy(limit=line),
            ),
            Random(1),
        )
        self.dispatcher: Dispatcher[Exchange] = Dispatcher(
            self,  # type: ignore[arg-type]
            self.balancer,
            prober=None,  # type: ignore[arg-type]
            log=lambda *_, **__: None,
            site=lambda *_: Carrier(),  # type: ignore[arg-type,return-value]
            swapped=lambda: None,
        )
        self.leases = note_leases(self.balancer)
        note_ends(self.balancer, self._ended)

    def _ended(self, backend: Backend, outcome: Outcome, latency: float) -> None:
        assert latency >= 0
        self.outcomes.append(outcome)

    def now(self) -> float:
        return self.clock

    @property
    def waits(self) -> str:
        """For whom the exchanges wait."""
        response, stalled = self.timers.response, self.timers.stalled
        return "owed" * len(response) + "stalled" * len(stalled)

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
    return Exchange(driver, driver.timers, driver.dispatcher, client, request)  # type: ignore[arg-type]


NOTHING = Aside()


def response(
    status: int = 200, framing: Framing = Framing.LENGTH, lines: bytes = b"", aside: Aside = NOTHING
) -> Response:
    return Response(status, b"%d Fine" % status, lines, framing=framing, aside=aside)


def answer(it: Exchange, client: Client, status: int = 200, keep: bool = True) -> None:
    """A whole answer, as the connection to the backend brings it."""
    now = it.first_byte_at = it._context.now()
    client.write(it.head(response(status, lines=b"\r\nContent-Length: 2")))
    client.write(it.body(b"ok") + it.closing(b""))
    it.end(keep, now)


def test_there_and_back() -> None:
    driver, client, upstream = Driver(), Client(), Upstream()
    it = exchange(driver, client)
    it.begin()
    assert driver.active == 1
    it.sent_on(upstream, END, driver.clock)
    assert upstream.got == HEAD + END
    assert driver.waits == "owed"
    answer(it, client)
    assert client.said == (
        b"HTTP/1.1 200 Fine\r\nContent-Length: 2\r\nVia: 1.1 lb\r\nX-Backend-Server: x\r\n\r\nok"
    )
    assert client.kept is True
    assert upstream.kept is True
    assert driver.outcomes == [Outcome.OK]
    assert driver.active == 0
    assert driver.waits == ""


@pytest.mark.parametrize(("status", "outcome"), [(404, Outcome.OK), (500, Outcome.SERVER_ERROR)])
def test_an_error_of_the_server_counts_as_one(status: int, outcome: Outcome) -> None:
    driver, client = Driver(), Client()
    it = exchange(driver, client)
    it.begin()
    it.sent_on(Upstream(), END, driver.clock)
    answer(it, client, status)
    assert driver.outcomes == [outcome]
    assert client.kept is True


def test_a_body_waits_for_its_connection_and_the_client_with_it() -> None:
    driver, client, upstream = Driver(), Client(), Upstream()
    it = exchange(driver, client, b"POST", Framing.CHUNKED)
    it.begin()
    it.request_body(b"one")
    assert it.pending
    assert not client.reading
    it.sent_on(upstream, END, driver.clock)
    assert not it.pending
    assert client.reading
    assert driver.waits == ""  # the client owes the rest of its body
    it.request_body(b"two")
    it.request_end()
    assert upstream.got == HEAD + END + b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
    assert driver.waits == "owed"


def test_a_refused_connection_takes_the_waiting_body_along() -> None:
    driver, client, upstream = Driver(), Client(), Upstream()
    it = exchange(driver, client, b"POST", Framing.LENGTH)
    it.begin()
    it.request_body(b"body")
    it.request_end()
    it.broken(Outcome.CONNECT, sent=False)
    assert [len(carrier.carried) for carrier in driver.carriers] == [1, 1]
    it.sent_on(upstream, END, driver.clock)
    assert upstream.got == HEAD + END + b"body"
    answer(it, client)
    assert driver.outcomes == [Outcome.CONNECT, Outcome.OK]


def test_a_stale_connection_is_replaced_under_the_same_lease() -> None:
    driver, client, stale = Driver(), Client(), Upstream(reused=True)
    it = exchange(driver, client)
    it.begin()
    it.sent_on(stale, END, driver.clock)
    it.broken(Outcome.RESET)
    assert stale.kept is False
    assert list(driver.carriers[0].carried) == [False, True]
    assert driver.outcomes == []
    fresh = Upstream()
    it.sent_on(fresh, END, driver.clock)
    it.broken(Outcome.RESET)
    assert driver.outcomes == [Outcome.RESET]
    assert list(driver.carriers[1].carried) == [False]
    assert len(driver.leases) == 2


def test_a_second_attempt_measures_from_its_own_start() -> None:
    driver, client = Driver(), Client()
    it = exchange(driver, client)
    it.begin()
    it.sent_on(Upstream(), END, driver.clock)
    it.first_byte_at = driver.clock = 1.0
    driver.clock = 5.0
    it.broken(Outcome.RESET)
    assert it.first_byte_at is None
    driver.clock = 7.0
    it.sent_on(Upstream(), END, driver.clock)
    answer(it, client)
    assert driver.balancer.pool.backends[1].response_time == 2.0


def test_a_broken_answer_is_cut_off_and_ends_the_lease() -> None:
    driver, client, upstream = Driver(), Client(), Upstream()
    it = exchange(driver, client)
    it.begin()
    it.sent_on(upstream, END, driver.clock)
    it.head(response())
    it.broken(Outcome.RESET)
    assert client.cut
    assert driver.outcomes == [Outcome.RESET]
    it.client_gone()
    it.broken(Outcome.TIMEOUT)
    assert driver.outcomes == [Outcome.RESET]


def test_nobody_to_ask() -> None:
    driver, client = Driver(backends=""), Client()
    it = exchange(driver, client)
    it.begin()
    assert client.said.startswith(b"HTTP/1.1 503 ")
    assert client.kept is True
    assert driver.leases == []


def test_a_refusal_before_the_whole_request_came_ends_the_connection() -> None:
    driver, client = Driver(backends=""), Client()
    it = exchange(driver, client, b"POST", Framing.LENGTH)
    it.begin()
    assert b"Connection: close\r\n" in client.said
    assert client.kept is False
    it.request_body(b"more")
    it.request_end()
    assert not it.pending


def test_a_client_that_leaves_the_line_is_not_served() -> None:
    driver = Driver("a", limit=1, line=2)
    clients = [Client() for _ in range(3)]
    first, second, third = (exchange(driver, client) for client in clients)
    for it in (first, second, third):
        it.begin()
    second.client_gone()
    first.sent_on(Upstream(), END, driver.clock)
    answer(first, clients[0])
    assert second.lease is None
    assert third.lease is not None
    third.client_gone()
    assert driver.outcomes == [Outcome.OK, Outcome.CLIENT_GONE]
    assert driver.carriers[0].forgotten == 1


@pytest.mark.parametrize(
    ("minor", "keep_alive", "closing", "complete", "framing", "connection", "coding"),
    [
        (1, True, False, True, Framing.LENGTH, b"", False),
        (1, True, False, True, Framing.CHUNKED, b"", True),
        (1, True, False, True, Framing.CLOSE, b"", True),
        (1, False, False, True, Framing.CHUNKED, b"close", True),
        (1, True, True, True, Framing.LENGTH, b"close", False),
        (1, True, False, False, Framing.LENGTH, b"close", False),
        (0, True, False, True, Framing.LENGTH, b"keep-alive", False),
        (0, True, False, True, Framing.CHUNKED, b"close", False),
        (0, True, False, True, Framing.CLOSE, b"close", False),
        (0, False, False, True, Framing.LENGTH, b"close", False),
    ],
)
def test_framing_and_fate_of_the_connection(
    minor: int,
    keep_alive: bool,
    closing: bool,
    complete: bool,
    framing: Framing,
    connection: bytes,
    coding: bool,
) -> None:
    driver, client = Driver(), Client()
    client.closing = closing
    it = exchange(driver, client, minor=minor, keep_alive=keep_alive)
    it.complete = complete
    it.begin()
    it.sent_on(Upstream(), END, driver.clock)
    head = it.head(response(framing=framing))
    assert (b"Transfer-Encoding: chunked\r\n" in head) is coding
    assert it.body(b"x") == (b"1\r\nx\r\n" if coding else b"x")
    assert it.closing(b"") == (b"0\r\n\r\n" if coding else b"")
    fields = [line for line in head.split(b"\r\n") if line.startswith(b"Connection")]
    assert fields == ([b"Connection: " + connection] if connection else [])
    it.end(True, driver.clock)
    assert client.kept is (connection in (b"", b"keep-alive"))


def test_an_interim_answer_is_not_the_answer() -> None:
    driver, client = Driver(), Client()
    for minor, said in ((1, b"HTTP/1.1 100 Fine\r\n\r\n"), (0, b"")):
        it = exchange(driver, client, minor=minor)
        it.begin()
        it.sent_on(Upstream(), END, driver.clock)
        assert it.interim(response(100, Framing.NONE)) == said
        assert it.status == 0
        it.client_gone()


EVENTS = ["connected", "refused", "reset", "silence", "garbage", "head", "piece", "end"]
EVENTS += ["body", "body ends", "gone"]


@given(
    st.lists(st.sampled_from(EVENTS), max_size=20),
    st.sampled_from([b"GET", b"POST"]),
    st.sampled_from([Framing.NONE, Framing.LENGTH, Framing.CHUNKED]),
    st.booleans(),
)
def test_whatever_happens_every_lease_ends_once(
    events: list[str], method: bytes, framing: Framing, reused: bool
) -> None:
    """`Lease.done` and the doubles object to anything that is done twice."""
    driver, client = Driver(), Client()
    it = exchange(driver, client, method, framing)
    it.begin()
    over = False
    for event in [*events, "gone"]:
        driver.clock += 1.0
        attempt = it.lease is not None and it.lease.open
        connecting, sent = attempt and it.upstream is None, attempt and it.upstream is not None
        match event:
            case "connected" if connecting:
                it.sent_on(Upstream(reused), END, driver.clock)
            case "refused" if connecting:
                it.broken(Outcome.CONNECT, sent=False)
            case "reset" | "silence" | "garbage" if sent:
                failures = {"silence": Outcome.TIMEOUT, "garbage": Outcome.SERVER_ERROR}
                it.broken(failures.get(event, Outcome.RESET))
            case "head" if sent and not it.status:
                it.first_byte_at = driver.clock
                client.write(it.head(response(framing=Framing.CHUNKED)))
            case "piece" if sent and it.status:
                client.write(it.body(b"piece"))
            case "end" if sent and it.status:
                client.write(it.closing(b""))
                it.end(True, driver.clock)
            case "body" if not it.complete and client.kept is None:
                it.request_body(b"body")
            case "body ends" if not it.complete and client.kept is None:
                it.request_end()
            case "gone" if not over and client.kept is None:
                over = True
                it.client_gone()
    assert all(not lease.open for lease in driver.leases)
    assert len(driver.outcomes) == len(driver.leases)
    assert driver.active == 0
    assert driver.waits == ""
    assert over or client.cut or client.kept is not None


def test_trailers_reach_only_a_client_that_takes_them() -> None:
    for hop, kept in ((Hop(takes_trailers=True), True), (Hop(), False)):
        driver, client = Driver(), Client()
        it = exchange(driver, client, hop=hop)
        it.begin()
        it.sent_on(Upstream(), END, driver.clock)
        head = it.head(response(200, Framing.CHUNKED, aside=Aside(trailer=b"\r\nTrailer: X-A")))
        assert (b"\r\nTrailer: X-A\r\n" in head) is kept
        assert it.closing(b"\r\nX-A: 1") == (b"0\r\nX-A: 1\r\n\r\n" if kept else b"0\r\n\r\n")
        it.client_gone()


def test_a_tunnel_holds_the_lease_until_it_closes() -> None:
    driver, client, upstream = Driver(), Client(), Upstream()
    it = exchange(driver, client, hop=Hop(upgrade=b"websocket"))
    it.begin()
    it.sent_on(upstream, END, driver.clock)
    it.switch(response(101, Framing.NONE, b"\r\nX-A: 1", Aside(upgrade=b"websocket")))
    assert client.said == (
        b"HTTP/1.1 101 Fine\r\nX-A: 1\r\nConnection: upgrade\r\nUpgrade: websocket"
        b"\r\nVia: 1.1 lb\r\nX-Backend-Server: x\r\n\r\n"
    )
    assert driver.tunnels == 1
    assert driver.active == 1
    it.tunnel_closed()
    assert driver.outcomes == [Outcome.OK]
    assert driver.active == 0
    assert client.kept is False
