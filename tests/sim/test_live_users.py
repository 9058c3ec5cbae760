"""Closed-loop load: every user sends what the simulator has the same user send."""

from __future__ import annotations

import asyncio
from collections import defaultdict

import numpy as np
import pytest
from aiohttp import web

from lb import wire
from lb.config import Scenario
from sim.live import load as live_load
from sim.live.measurement import Measurement
from sim.live.users import play_users, population
from sim.model.users import Place

FILE = """\
[[backend]]
name = "one"
address = "b:0"
[backend.model]
service = "exponential:1ms"
[[backend]]
address = "b:1"
[backend.model]
service = "exponential:1ms"
[traffic]
users = { count = 4, think = "exponential:5ms" }
[run]
seed = 3
"""


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_load, "LEAD", 0.02)


class Server:
    """Answers at once, each request in the name of its user; keeps what came from whom."""

    def __init__(self) -> None:
        self.sizes: dict[str, list[str]] = defaultdict(list)
        self.most = self._here = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self._here += 1
        self.most = max(self.most, self._here)
        key = request.headers[wire.KEY]
        self.sizes[key].append(request.headers[wire.SIZE])
        await asyncio.sleep(0.001)
        self._here -= 1
        if key == "3":
            return web.json_response({}, status=503)
        return web.Response(headers={"X-Backend-Server": "pool/one" if key == "0" else "b:1"})


def played(file: Scenario, seed: int | None = None) -> tuple[Server, Measurement]:
    server = Server()

    async def test() -> Measurement:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", server.handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            host, port = runner.addresses[0][:2]
            return await play_users(file, f"http://{host}:{port}", seed=seed)
        finally:
            await runner.cleanup()

    return server, asyncio.run(test())


def test_each_user_sends_what_it_sends_on_paper() -> None:
    file = Scenario.parse(FILE + "requests = 60")
    server, measured = played(file, seed=8)
    assert len(measured.sent) == sum(map(len, server.sizes.values())) == 60
    assert server.most <= 4
    people = population(file, 8)
    for user in range(4):
        place = Place(people, user)
        drawn = [place.send()[1] for _ in server.sizes[str(user)]]
        work = [wire.write_size(dict(zip(people.sizes, sizes, strict=True))) for sizes in drawn]
        assert server.sizes[str(user)] == work

    assert measured.due is not None
    assert measured.user is not None
    assert (np.diff(measured.sent) >= 0).all()
    for user in range(4):
        mine = measured.user == user
        known = np.where(np.isfinite(measured.ended), measured.ended, measured.lost)[mine]
        thoughts = [people.think(user, k) for k in range(len(known))]
        before = np.array([0.0, *known[:-1]])
        np.testing.assert_allclose(measured.due[mine] - before, thoughts, atol=1e-9)
    assert (measured.sent >= measured.due).all()
    assert np.isnan(measured.ended[measured.user == 3]).all()
    assert (measured.backend[measured.user == 0] == 0).all()
    assert (measured.backend[measured.user == 1] == 1).all()


def test_the_load_ends_with_its_time() -> None:
    _, measured = played(Scenario.parse(FILE + 'duration = "0.1s"'))
    assert measured.due is not None
    assert len(measured.due) > 0
    assert measured.due.max() < 0.1
    assert np.isfinite(measured.ended[measured.user != 3]).all()
