"""The modelled backend over HTTP: the simulator's stations, on a real clock and on none."""

from __future__ import annotations

import asyncio
import selectors
import tomllib
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from io import BytesIO
from typing import Any

import aiohttp
import numpy as np
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from lb import wire
from lb.config import BackendTable, Model, Pause, Slow
from sim.live.backend import application
from sim.live.station import Beginning, Faults, LiveStation
from sim.model.faults import faulty_station
from sim.model.laws import draw_shape
from sim.model.stations import Station

LIMIT = 20.0
"""Seconds that nothing here may take."""
ROW = BackendTable(address="127.0.0.1:3001", name="one")
FIFO = 'service = { law = "deterministic", mean = "20ms" }\nworkers = 2'
Given = list[tuple[float, float]]
"""When a job comes and how much work it is, by arrival."""


def model(text: str) -> Model:
    return Model.model_validate(tomllib.loads(text))


# --- without a clock: time jumps to the next timer, and past it


class Jumping(selectors.DefaultSelector):
    now = 0.0
    late = 0.0
    """How much later than asked every wait ends."""

    def select(self, timeout: float | None = None) -> list[Any]:
        assert timeout is not None, "everybody waits and no timer is set"
        if timeout:
            self.now += timeout + self.late
        return super().select(0)


class Clockless(asyncio.SelectorEventLoop):
    def __init__(self, late: float = 0.0) -> None:
        self.jumping = Jumping()
        self.jumping.late = late
        super().__init__(self.jumping)

    def time(self) -> float:
        return self.jumping.now


def clockless(test: Coroutine[Any, Any, Any], late: float = 0.0) -> Any:
    with asyncio.Runner(loop_factory=lambda: Clockless(late)) as runner:
        return runner.run(test)


async def served(text: str, given: Given, faults: Faults = ()) -> tuple[Given, list[float | None]]:
    """When and with what work each job came in truth, in that order, and its told sojourn."""
    live = LiveStation(model(text), np.random.default_rng(1), faults)
    loop = asyncio.get_running_loop()
    came: Given = []
    sojourns: dict[int, float | None] = {}

    async def one(at: float, size: float) -> None:
        await asyncio.sleep(at)
        place = len(came)
        came.append((loop.time(), size))
        told = await live.serve(size)
        sojourns[place] = told and told[1]

    await asyncio.gather(*(one(at, size) for at, size in given))
    return came, [sojourns[place] for place in range(len(came))]


def on_paper(text: str, came: Given, faults: Faults = ()) -> list[float | None]:
    """Sojourns of the same jobs at the simulator's station, None for who found no place."""
    it: Station[int] = faulty_station(model(text), faults, came[0][0])
    left: dict[int, float] = {}
    turned_away = set()

    def depart_until(now: float) -> None:
        while it.next_departure() <= now < float("inf"):
            due, job = it.depart()
            left[job] = due

    for job, (now, size) in enumerate(came):
        depart_until(now)
        if not it.arrive(job, now, size * 0.020):
            turned_away.add(job)
    depart_until(1e9)
    return [None if job in turned_away else left[job] - now for job, (now, _) in enumerate(came)]


def test_workers_take_the_first_that_came() -> None:
    """Two workers of 20 ms per unit of size; four at once, then one that finds a worker free."""
    given = [(0.0, 1.0), (0.0, 3.0), (0.0, 1.0), (0.0, 1.0), (0.055, 1.0)]
    _, sojourns = clockless(served(FIFO, given))
    assert sojourns == pytest.approx([0.020, 0.060, 0.040, 0.060, 0.025])


def test_sharing_serves_all_at_once() -> None:
    """One worker for two: each takes twice as long, until the shorter is gone."""
    text = 'service = { law = "deterministic", mean = "10ms" }\ndiscipline = "ps"'
    _, sojourns = clockless(served(text, [(0.0, 1.0), (0.0, 3.0)]))
    assert sojourns == pytest.approx([0.020, 0.040])


SIZES = st.sampled_from([0.0, 0.5, 1.0, 2.5, 7.0])


@given(
    discipline=st.sampled_from(["fifo", "ps"]),
    workers=st.integers(1, 3),
    queue=st.integers(0, 3),
    late=st.sampled_from([0.0, 0.001, 0.013, 0.2]),
    jobs=st.lists(st.tuples(st.floats(0, 0.1), SIZES), min_size=1, max_size=12),
)
def test_late_timers_delay_answers_and_nothing_else(
    discipline: str, workers: int, queue: int, late: float, jobs: Given
) -> None:
    """What is told is what the simulator's station says of the same arrivals, to the last bit."""
    text = (
        'service = { law = "deterministic", mean = "20ms" }\n'
        f'discipline = "{discipline}"\nworkers = {workers}\nqueue = {queue}'
    )
    came, sojourns = clockless(served(text, jobs), late)
    assert sojourns == on_paper(text, came)


def test_a_client_that_has_gone_leaves_its_work_behind() -> None:
    async def test() -> tuple[float, float] | None:
        live = LiveStation(model('service = { law = "deterministic", mean = "1s" }'), None)  # type: ignore[arg-type]
        impatient = asyncio.create_task(live.serve(2.0))
        await asyncio.sleep(0.5)
        impatient.cancel()
        with suppress(asyncio.CancelledError):
            await impatient
        return await live.serve(1.0)

    assert clockless(test()) == pytest.approx((1.0, 2.5))


def test_without_a_size_it_draws_from_its_law() -> None:
    text = 'service = { law = "gamma", mean = "20ms", cv = 2 }\nworkers = 9'

    async def test() -> list[float]:
        live = LiveStation(model(text), np.random.default_rng(7))
        told = [await live.serve(None) for _ in range(5)]
        return [one[0] for one in told if one]

    drawn = draw_shape(model(text).service, np.random.default_rng(7), 1000) * 0.020
    assert clockless(test()) == pytest.approx(drawn[::-1][:5])


# --- faults


def test_faults_count_from_the_first_request_of_any_backend() -> None:
    """The other one comes half a second later; the pause, from 1 to 2, is the same for both."""
    text = 'service = { law = "deterministic", mean = "1s" }'
    faults = [Pause(kind="pause", backends=("one",), since=1.0, until=2.0)]

    async def test() -> list[tuple[float, float] | None]:
        beginning = Beginning()
        one, other = (LiveStation(model(text), None, faults, beginning) for _ in range(2))  # type: ignore[arg-type]
        await asyncio.sleep(7)
        first = asyncio.create_task(one.serve(0.75))
        await asyncio.sleep(0.5)
        second = asyncio.create_task(other.serve(1.0))
        return [await first, await second]

    assert clockless(test()) == [pytest.approx((0.75, 0.75)), pytest.approx((1.0, 2.0))]


@given(
    discipline=st.sampled_from(["fifo", "ps"]),
    late=st.sampled_from([0.0, 0.013]),
    jobs=st.lists(st.tuples(st.floats(0, 0.1), SIZES), min_size=1, max_size=12),
)
def test_live_and_simulated_backends_suffer_alike(
    discipline: str, late: float, jobs: Given
) -> None:
    """To the last bit."""
    text = f'service = {{ law = "deterministic", mean = "20ms" }}\ndiscipline = "{discipline}"'
    faults = [
        Slow(kind="slow", backends=("one",), since=0.01, until=0.05, factor=3),
        Pause(kind="pause", backends=("one",), since=0.07, until=0.2),
    ]
    came, sojourns = clockless(served(text, jobs, faults), late)
    assert sojourns == on_paper(text, came, faults)


def test_a_paused_backend_answers_when_the_pause_is_over() -> None:
    async def test() -> None:
        elsewhere = Pause(kind="pause", backends=("other",), until=60.0)
        here = Pause(kind="pause", backends=("one",), until=0.1)
        async with backend(FIFO, [elsewhere, here]) as it:
            status, answer = await it.ask("1")
            assert (status, answer["sojourn_ms"]) == (200, pytest.approx(120))
            status, answer = await it.ask("1")
            assert (status, answer["sojourn_ms"]) == (200, pytest.approx(20))

    asyncio.run(test())


# --- over HTTP


class Backend:
    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self._session = session

    async def ask(
        self,
        size: str | None = None,
        path: str = "/",
        method: str = "GET",
        data: bytes | BytesIO = b"",
    ) -> tuple[int, Any]:
        fields = {} if size is None else {wire.SIZE: size}
        async with self._session.request(
            method, self.url + path, headers=fields, data=data or None
        ) as answer:
            return answer.status, await answer.json()


@asynccontextmanager
async def backend(text: str, faults: Faults = ()) -> AsyncIterator[Backend]:
    runner = web.AppRunner(application(ROW, model(text), np.random.default_rng(1), faults))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        async with (
            asyncio.timeout(LIMIT),
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
        ):
            yield Backend(f"http://{host}:{port}", session)
    finally:
        await runner.cleanup()


def test_health_names_the_server() -> None:
    async def test() -> None:
        async with backend(FIFO) as it:
            assert await it.ask(path="/health") == (200, {"status": "ok", "server": "one"})
            status, answer = await it.ask("1", path="/health", method="POST")
            assert status == 200
            assert "service_ms" in answer, "only GET /health is not work"

    asyncio.run(test())


@pytest.mark.parametrize("size", ["0", "0.25", "1", "2.5", "1e-1"])
def test_an_answer_tells_server_and_times(size: str) -> None:
    async def test() -> None:
        async with backend(FIFO) as it:
            status, answer = await it.ask(size, path="/any/path?query")
            assert status == 200
            assert list(answer) == ["server", "address", "service_ms", "sojourn_ms"]
            assert (answer["server"], answer["address"]) == ("one", "127.0.0.1:3001")
            assert answer["service_ms"] == float(size) * 20
            assert answer["sojourn_ms"] == pytest.approx(answer["service_ms"])

    asyncio.run(test())


def test_work_takes_its_time() -> None:
    async def test() -> None:
        async with backend(FIFO) as it:
            loop = asyncio.get_running_loop()
            began = loop.time()
            status, answer = await it.ask(method="PUT", data=b"x")
            assert (status, answer["service_ms"]) == (200, 20)
            assert loop.time() - began >= 0.020

    asyncio.run(test())


@pytest.mark.parametrize("size", ["-1", "-1e-9", "nan", "inf", "much", "", "1,2"])
def test_a_size_that_is_none_is_refused(size: str) -> None:
    async def test() -> None:
        async with backend(FIFO) as it:
            status, answer = await it.ask(size)
            assert (status, answer["error"]) == (400, "bad_size")
            assert repr(size) in answer["message"]
            assert (await it.ask("0"))[0] == 200

    asyncio.run(test())


def test_who_finds_no_place_is_told_at_once() -> None:
    async def test() -> None:
        async with backend('service = { law = "deterministic", mean = "500ms" }\nqueue = 0') as it:
            answers = await asyncio.gather(*(it.ask() for _ in range(3)))
            assert sorted(status for status, _ in answers) == [200, 503, 503]
            for status, answer in answers:
                if status == 503:
                    assert answer == {"error": "queue_full", "server": "one"}
            assert (await it.ask("0"))[0] == 200

    asyncio.run(test())


def test_bodies_may_be_of_any_length() -> None:
    async def test() -> None:
        async with backend(FIFO) as it:
            assert (await it.ask("0", method="POST", data=BytesIO(bytes(5_000_000))))[0] == 200

    asyncio.run(test())


def test_a_connection_that_is_cut_breaks_nothing() -> None:
    async def test() -> None:
        async with backend('service = { law = "deterministic", mean = "100ms" }') as it:
            host, _, port = it.url.removeprefix("http://").partition(":")
            for head in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Le"):
                _, writer = await asyncio.open_connection(host, int(port))
                writer.write(head)
                await writer.drain()
                writer.transport.abort()
            status, answer = await it.ask()
            assert status == 200
            assert 100 <= answer["sojourn_ms"] <= 200

    asyncio.run(test())
