"""Open-loop load: each request once, at its time, whatever became of the others."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace

import numpy as np
import pytest
from aiohttp import web

from lb.config import Scenario
from sim import Schedule
from sim.live import clients
from sim.live import load as live_load
from sim.live.clients import longest_answer
from sim.live.load import play
from sim.live.verdict import Measurement
from tests.sim.scenarios import CONSTANT, scenario, serves

LIMIT = 20.0
FILE = scenario(*[serves(CONSTANT)] * 3)
Answer = Callable[[int, web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_load, "LEAD", 0.05)


def at(*times: float, keys: tuple[int, ...] | None = None) -> Schedule:
    """A schedule whose sizes number its requests."""
    drawn = None if keys is None else np.array(keys)
    return Schedule(np.array(times), ("deterministic",), np.arange(float(len(times)))[None], drawn)


class Server:
    """Answers as told; keeps what came, in order."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.came: list[int] = []
        self.fields: list[dict[str, str]] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        index = int(float(request.headers["X-LB-Size"]))
        self.came.append(index)
        self.fields.append({k: v for k, v in request.headers.items() if k.startswith("X-LB-")})
        return await self._answer(index, request)


def played(schedule: Schedule, answer: Answer, file: Scenario = FILE) -> tuple[Server, Measurement]:
    server = Server(answer)

    async def test() -> Measurement:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", server.handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            host, port = runner.addresses[0][:2]
            async with asyncio.timeout(LIMIT):
                return await play(file, schedule, f"http://{host}:{port}")
        finally:
            await runner.cleanup()

    return server, asyncio.run(test())


def by(index: int, status: int = 200) -> web.Response:
    return web.Response(status=status, headers={"X-Backend-Server": f"b:{index % 3}"})


async def fine(index: int, _: web.Request) -> web.StreamResponse:
    return by(index)


def test_every_request_goes_once_at_or_after_its_time() -> None:
    schedule = at(*np.linspace(0.0, 0.3, 40))
    server, measured = played(schedule, fine)
    assert sorted(server.came) == list(range(40))
    assert (measured.sent >= schedule.times - 1e-6).all()  # the loop's clock has a resolution
    assert (measured.ended > measured.sent).all()
    assert measured.backend.tolist() == [index % 3 for index in range(40)]


def test_work_and_key_travel() -> None:
    schedule = at(0.0, 0.01, 0.02, keys=(7, 7, 123456789))
    server, _ = played(schedule, fine)
    assert dict(zip(server.came, server.fields, strict=True)) == {
        index: {"X-LB-Size": f"{index}.0", "X-LB-Key": key}
        for index, key in enumerate(["7", "7", "123456789"])
    }


def test_nobody_waits_for_an_answer() -> None:
    """All are held until the last is there: a closed loop would never send it."""
    last = asyncio.Event()

    async def held(index: int, _: web.Request) -> web.StreamResponse:
        if index == 29:
            last.set()
        await last.wait()
        return by(index)

    schedule = at(*np.linspace(0.0, 0.1, 30))
    _, measured = played(schedule, held)
    assert np.isfinite(measured.ended).all()
    assert (measured.ended >= schedule.times[-1]).all()


async def odd(index: int, request: web.Request) -> web.StreamResponse:
    match index:
        case 0:
            return by(0)
        case 1:
            return by(1, status=503)
        case 2:
            raise web.HTTPFound("/elsewhere", headers={"X-Backend-Server": "b:2"})
        case 3:
            return web.Response(headers={"X-Backend-Server": "b:99"})
        case 4:
            return web.Response()
        case 5:
            assert request.transport is not None
            request.transport.abort()
            return by(2)
        case _:
            return by(index, status=204)


def test_only_a_200_ended_and_who_answered_is_noted_all_the_same() -> None:
    server, measured = played(at(*np.linspace(0.0, 0.12, 7)), odd)
    assert np.isfinite(measured.sent).all()
    assert np.flatnonzero(np.isfinite(measured.ended)).tolist() == [0, 3, 4]
    assert measured.backend.tolist() == [0, 1, 2, -1, -1, -1, 0]
    assert [server.came.count(index) for index in range(5)] == [1] * 5, "redirects are answers"


def test_a_try_fails_when_the_proxy_should_have_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "MARGIN", 0.1)
    limits = '[timeouts]\nresponse = "300ms"\nconnect = "100ms"\n[retries]\nmax = 0\n'
    file = scenario(*[serves(CONSTANT)] * 3, more=limits + '[queue]\ntimeout = "1ms"')
    assert longest_answer(file) == pytest.approx(0.501)

    async def silent(index: int, _: web.Request) -> web.StreamResponse:
        if index == 1:
            await asyncio.Event().wait()
        return by(index)

    _, measured = played(at(0.0, 0.01, 0.02), silent, file)
    assert np.isnan(measured.ended).tolist() == [False, True, False]
    assert measured.backend.tolist() == [0, -1, 2]
    assert 0.5 < measured.lost[1] < LIMIT


@pytest.mark.parametrize(
    ("limits", "seconds"),
    [
        ('[timeouts]\nresponse = "60s"', 2 * 62.0),
        ('[timeouts]\nattempt = "2s"', 2 * 3.0),
        ('[timeouts]\ntotal = "3s"', 3.0),
        ('[retries]\nmax = 3\n[timeouts]\nresponse = "60s"', 4 * 62.0),
    ],
)
def test_a_generator_waits_as_long_as_the_proxy_may_take(limits: str, seconds: float) -> None:
    file = scenario(serves(CONSTANT), more=limits)
    assert longest_answer(file) == clients.MARGIN + seconds


def test_who_loses_patience_closes_its_connection_and_is_gone() -> None:
    """The second leaves after 0.2 s; what it would have been answered then reaches nobody."""
    left: list[int] = []

    async def silent(index: int, _: web.Request) -> web.StreamResponse:
        try:
            await asyncio.Event().wait() if index == 1 else None
        except asyncio.CancelledError:  # its connection is closed
            left.append(index)
            raise
        return by(index)

    schedule = replace(at(0.0, 0.01, 0.02), patience=np.array([9.0, 0.2, 9.0]))
    _, measured = played(schedule, silent)
    assert left == [1]
    assert measured.gone.tolist() == [False, True, False]
    assert measured.lost[1] >= 0.21 - 1e-6
    assert np.isnan(measured.ended).tolist() == np.isfinite(measured.lost).tolist() == [0, 1, 0]


def test_a_client_that_failed_comes_again_after_a_while() -> None:
    seen: dict[int, list[float]] = {}

    async def busy(index: int, _: web.Request) -> web.StreamResponse:
        seen.setdefault(index, []).append(asyncio.get_running_loop().time())
        return by(index, 503 if len(seen[index]) <= 2 * index else 200)

    file = FILE.model_copy(
        update={"traffic": FILE.offered().model_copy(update={"client_retries": 2})}
    )
    _, measured = played(at(0.0, 0.01, 0.02), busy, file)
    assert [len(seen[index]) for index in range(3)] == [1, 3, 3]
    first, second, third = seen[1]
    assert second - first >= 0.1 - 1e-3
    assert third - second >= 0.2 - 1e-3
    assert measured.ended[1] >= 0.31 - 1e-3, "latency counts from the first try"
    assert np.isfinite(measured.lost).tolist() == [False, False, True]
    assert not measured.gone.any()


def test_where_nobody_listens_nothing_ends() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        measured = asyncio.run(play(FILE, at(0.0, 0.01, 0.02), url))
    assert np.isfinite(measured.sent).all()
    assert np.isnan(measured.ended).all()
    assert measured.backend.tolist() == [-1] * 3
