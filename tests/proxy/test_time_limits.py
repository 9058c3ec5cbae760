"""The limit of a whole request, and the least rate of its body."""

from __future__ import annotations

import asyncio
from unittest import mock

import pytest

from lb.proxy import timers
from lb.proxy.exchange import pace
from lb.proxy.http.framing import Framing
from lb.proxy.http.request import Hop
from lb.proxy.http.response import Aside
from lb.strategies import Outcome
from tests.proxy.around import (
    Client,
    Driver,
    Upstream,
    answer,
    begin_answer,
    connected,
    exchange,
    response,
)
from tests.proxy.conftest import Run
from tests.proxy.doubles import Origin, Proxy, Wire, answering, echo, get, ok, origin, proxy, silent

TOTAL = '[timeouts]\ntotal = "150ms"\n'


def test_a_request_that_takes_too_long_is_504_and_its_client_may_go_on(run: Run) -> None:
    async def test() -> None:
        async with origin(silent) as a, proxy(a, toml=TOTAL) as lb, lb.client() as client:
            client.send(get())
            refusal = await client.response()
            assert refusal.status == 504
            assert refusal.json["error"] == "too_late"
            assert await lb.ended.get() == ("a", Outcome.TIMEOUT)
            await a.left.get()
            client.send(get("/lb-health"))
            assert (await client.response()).status == 200
            assert len(lb.leases) == 1

    run(test())


def test_time_in_line_counts(run: Run) -> None:
    async def test() -> None:
        toml = TOTAL + '[queue]\nlimit = 5\ntimeout = "1h"\n'
        async with (
            origin(silent) as a,
            proxy(a, toml=toml, a="max_in_flight = 1") as lb,
            lb.client() as first,
            lb.client() as second,
        ):
            first.send(get())
            await a.arrived.get()
            second.send(get())
            assert (await second.response()).status == 504
            assert lb.driver.balancer.snapshot(0.0).waiting == 0

    run(test())


def test_an_answer_that_takes_too_long_is_cut_off(run: Run) -> None:
    """However lively it is; and the backend is not to blame."""

    async def endless(wire: Wire, it: Origin) -> None:
        await it.take(wire)
        wire.send(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            wire.send(b"more")
            await wire.sent()
            await asyncio.sleep(0.01)

    async def test() -> None:
        async with origin(endless) as a, proxy(a, toml=TOTAL) as lb, lb.client() as client:
            client.send(get())
            assert await client.head() is not None
            assert await client.is_reset()
            assert await lb.ended.get() == ("a", Outcome.CANCELLED)
            assert lb.backends[0].failed == 0

    run(test())


def test_what_waits_behind_another_in_its_pipeline_waits_in_its_own_time(run: Run) -> None:
    """The second is refused in its turn, without having been anywhere."""

    async def test() -> None:
        async with origin(silent) as a, proxy(a, toml=TOTAL) as lb, lb.client() as client:
            client.send(get("/1"), get("/2"))
            assert [(await client.response()).status for _ in range(2)] == [504, 504]
            assert [request.target for request in a.requests] == ["/1"]

    run(test())


def test_a_tunnel_is_never_too_late(run: Run) -> None:
    async def switching(wire: Wire, it: Origin) -> None:
        await it.take(wire)
        wire.send(b"HTTP/1.1 101 Fine\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        await wire.reader.read()

    async def test() -> None:
        async with origin(switching) as a, proxy(a, toml=TOTAL) as lb, lb.client() as client:
            client.send(get("/", "Connection: upgrade", "Upgrade: websocket"))
            assert (await client.response()).status == 101
            assert len(lb.driver.timers.total) == 0
            client.half_close()
            assert await lb.ended.get() == ("a", Outcome.OK)

    run(test())


def test_nothing_is_kept_of_requests_that_are_over_in_time(run: Run) -> None:
    async def test() -> None:
        toml = TOTAL.replace("150ms", "1h")
        async with origin(echo) as a, proxy(a, toml=toml) as lb:
            async with lb.client() as client:
                client.send(get(), get(), get("/lb-health"))
                for _ in range(3):
                    await client.response()
            a.script = silent
            async with lb.client() as client:
                client.send(get(), get())
                await lb.ended.get()
                while len(lb.driver.timers.total) < 2:
                    await asyncio.sleep(0)
            while lb.driver.clients:
                await asyncio.sleep(0)
            assert len(lb.driver.timers.total) == 0

    run(test())


def test_without_the_limit_nobody_is_timed(run: Run) -> None:
    async def test() -> None:
        async with origin(silent) as a, proxy(a) as lb, lb.client() as client:
            client.send(get())
            await a.arrived.get()
            assert len(lb.driver.timers.total) == 0

    run(test())


# --- the same without sockets


def late(driver: Driver) -> None:
    driver.clock = 10.0


def test_no_retry_starts_when_the_time_is_up() -> None:
    for clock, leases in ((9.9, 2), (10.0, 1)):
        driver, client = Driver(), Client()
        it = exchange(driver, client)
        it.deadline = 10.0
        it.begin()
        driver.clock = clock
        it.broken(it.attempt, Outcome.CONNECT)  # type: ignore[arg-type]
        assert len(driver.leases) == leases
        assert (client.kept is None) == (leases == 2)
        it.client_gone()


def test_one_that_is_late_before_its_turn_is_not_sent_anywhere() -> None:
    driver, client = Driver(), Client()
    it = exchange(driver, client)
    it.deadline = 10.0
    late(driver)
    it.timed_out()  # it is not its turn
    assert client.kept is None
    it.begin()
    assert client.said.startswith(b"HTTP/1.1 504 ")
    assert driver.leases == []
    assert driver.balancer.snapshot(10.0).requests == 0


@pytest.mark.parametrize(
    ("how_far", "outcome"),
    [
        ("connecting", Outcome.CANCELLED),
        ("sending", Outcome.CANCELLED),
        ("sent", Outcome.TIMEOUT),
        ("answering", Outcome.CANCELLED),
    ],
)
def test_only_a_backend_that_owes_the_answer_is_to_blame(how_far: str, outcome: Outcome) -> None:
    driver, client, upstream = Driver(), Client(), Upstream()
    framing = Framing.LENGTH if how_far == "sending" else Framing.NONE
    it = exchange(driver, client, b"POST", framing)
    driver.timers.total.start(it, 0.0)
    it.begin()
    if how_far != "connecting":
        connected(it, upstream)
    if how_far == "answering":
        begin_answer(it, response())
    it.timed_out()
    assert driver.outcomes == [outcome]
    assert client.cut == (how_far == "answering")
    assert client.cut or client.said.startswith(b"HTTP/1.1 504 ")
    assert len(driver.timers.total) == 0
    assert driver.waits == ""


def test_an_answer_or_a_tunnel_ends_the_wait() -> None:
    for ends in (answer, lambda it: it.switch(it.attempt, SWITCH)):
        driver, client = Driver(), Client()
        it = exchange(driver, client, hop=Hop(upgrade=b"websocket"))
        driver.timers.total.start(it, 0.0)
        it.begin()
        connected(it, Upstream())
        ends(it)  # type: ignore[operator]
        assert len(driver.timers.total) == 0


SWITCH = response(101, Framing.NONE, aside=Aside(upgrade=b"websocket"))

# --- the body's least rate


def trickling(client: Wire) -> None:
    client.send(get("/", "Content-Length: 1000000", method="POST"), b"x")


@pytest.fixture
def impatient() -> object:
    with mock.patch.object(timers, "LOOK", 0.05), mock.patch.object(pace, "PATIENCE", 0.1):
        yield


@pytest.mark.usefixtures("impatient")
def test_a_body_that_comes_too_slowly_is_408(run: Run) -> None:
    async def test() -> None:
        toml = '[limits]\nbody_rate = "100kB"\n'
        async with origin(echo) as a, proxy(a, toml=toml) as lb, lb.client() as client:
            trickling(client)
            refusal = await client.response()
            assert refusal.status == 408
            assert "slow" in refusal.json["message"]
            assert await client.closed()
            assert await lb.ended.get() == ("a", Outcome.CLIENT_GONE)
            assert lb.backends[0].failed == 0
            assert len(lb.driver.timers.pace) == 0

    run(test())


async def judged(lb: Proxy, times: int) -> None:
    """Wait until the bodies have been looked at."""
    deadlines = lb.driver.timers.pace
    started, start, enough = 0, deadlines.start, asyncio.Event()

    def counting(client: object, now: float) -> None:
        nonlocal started
        started += 1
        if started == times:
            enough.set()
        start(client, now)  # type: ignore[arg-type]

    deadlines.start = counting  # type: ignore[method-assign,assignment]
    await enough.wait()


@pytest.mark.usefixtures("impatient")
def test_a_client_that_we_do_not_read_is_not_slow(run: Run) -> None:
    """Its backend takes nothing, so that we do not read; and one waits in line with its body."""

    async def not_reading(wire: Wire, it: Origin) -> None:
        head = await wire.head()
        assert head is not None
        it.note(head)
        await asyncio.Event().wait()

    async def test() -> None:
        toml = '[limits]\nbody_rate = "1GB"\n[queue]\nlimit = 5\ntimeout = "1h"\n'
        async with (
            origin(not_reading) as a,
            proxy(a, toml=toml, a="max_in_flight = 1") as lb,
            lb.client() as client,
            lb.client() as second,
        ):
            client.send(get("/", "Content-Length: 100000000", method="POST"), b"x" * 20_000_000)
            await a.arrived.get()
            trickling(second)
            while not all(it._paused for it in lb.driver.clients):
                await asyncio.sleep(0)
            await judged(lb, 10)
            assert lb.outcomes == []
            assert len(lb.driver.clients) == 2

    run(test())


@pytest.mark.usefixtures("impatient")
def test_a_client_that_waits_to_be_told_to_go_on_is_not_slow(run: Run) -> None:
    async def test() -> None:
        go_on = asyncio.Event()

        async def hesitating(wire: Wire, it: Origin) -> None:
            head = await wire.head()
            assert head is not None
            await go_on.wait()
            wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            await wire.body(head)
            wire.send(ok(head.body))

        toml = '[limits]\nbody_rate = "100kB"\n'
        async with origin(hesitating) as a, proxy(a, toml=toml) as lb, lb.client() as client:
            client.send(
                get("/", "Content-Length: 4", "expect: 100-continue", method="POST"),
            )
            while not a.connections:
                await asyncio.sleep(0)
            await judged(lb, 5)
            go_on.set()
            assert (await client.response()).status == 100
            client.send(b"body")
            assert (await client.response()).body == b"body"
            assert len(lb.driver.timers.pace) == 0

    run(test())


@pytest.mark.usefixtures("impatient")
def test_without_a_least_rate_a_body_may_take_its_time(run: Run) -> None:
    async def test() -> None:
        async with origin(answering(ok())) as a, proxy(a) as lb, lb.client() as client:
            trickling(client)
            while not lb.leases:
                await asyncio.sleep(0)
            assert len(lb.driver.timers.pace) == 0

    run(test())
