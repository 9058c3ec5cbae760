"""The model of a backend, served over HTTP: the simulator's stations on a real clock.

`X-LB-Size` says how much work a request is, relative to the backend's mean service time; where it
does not, or not for this backend's law, the backend draws from its own. Any method and path is
work, but for GET /health. Every answer says in `X-LB-Load` how many requests the backend holds and
how long one takes at that number, and one that was worked at in `X-LB-Served` how long that took.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from contextlib import AsyncExitStack
from random import Random

import numpy as np
from aiohttp import web

from lb import wire
from lb.config import BackendTable, Model, Shared, Traffic, host_and_port
from lb.errors import CannotListen
from lb.system import reason
from sim.live import punctual
from sim.live.port import Port, cut
from sim.live.station import Beginning, Faults, LiveStation, SharedStation
from sim.model.door import FAILS_AFTER, Fate
from sim.model.laws import shape
from sim.model.stations import INFINITY

STATION = web.AppKey("station", LiveStation)


def application(
    row: BackendTable,
    model: Model,
    rng: np.random.Generator,
    faults: Faults = (),
    beginning: Beginning | None = None,
    luck: Random | None = None,
    traffic: Traffic | None = None,
    then: SharedStation | None = None,
    dealt: Random | None = None,
) -> web.Application:
    """One backend; its own are chosen from `faults`. Must be made inside a running event loop.

    `then` is where its requests go on, if its model says so; `dealt` as for `LiveStation`.
    """
    own = [fault for fault in faults if fault.strikes(row)]
    live = LiveStation(model, rng, own, beginning, luck, traffic, then, dealt)
    answers = Answers(row, live, shape(model.service))
    app = web.Application()
    app[STATION] = live
    app.on_response_prepare.append(answers.report)
    app.on_shutdown.append(answers.stop)
    app.router.add_get("/health", answers.health)
    app.router.add_route("*", "/{path:.*}", answers.work)
    return app


class Answers:
    """What one backend says."""

    def __init__(self, row: BackendTable, live: LiveStation, law: str) -> None:
        self._row = row
        self._live = live
        self._law = law
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()

    async def health(self, request: web.Request) -> web.Response:
        now = self._loop.time()
        if not self._live.door.listens(now):
            return self._reset(request)
        answered = self._live.door.answers_at(now)
        if answered == INFINITY:
            return await self._swallow(request)
        await asyncio.sleep(answered - now)
        return web.json_response({"status": "ok", "server": self._row.label})

    async def work(self, request: web.Request) -> web.Response:
        given = request.headers.get(wire.SIZE)
        try:
            size = None if given is None else wire.read_size(given, self._law)
        except ValueError:
            message = f"{wire.SIZE} {given!r} holds what is not a number from zero up"
            return web.json_response({"error": "bad_size", "message": message}, status=400)
        async for _ in request.content.iter_any():  # of any length; nobody reads it
            pass
        now = self._loop.time()
        match fate := self._live.fate(now):
            case Fate.IN | Fate.SPOILED:
                return await self._serve(size, now, fate)
            case Fate.FAILED:
                await asyncio.sleep(FAILS_AFTER)
                self._live.failed()
                return self._told("fail_fast", 503)
            case Fate.SWALLOWED:
                return await self._swallow(request)
            case Fate.REFUSED | Fate.RESET:
                return self._reset(request)

    async def _serve(self, size: float | None, now: float, fate: Fate) -> web.Response:
        served = await self._live.serve(size, now, error=fate is Fate.SPOILED)
        if served is None:
            return self._told("queue_full", 503)
        if fate is Fate.SPOILED:
            return self._told("errors", 500)
        service, sojourn = served
        late = self._loop.time() - (now + sojourn)
        said = wire.write_served(self._row.address, service, sojourn, late)
        return web.json_response(
            {
                "server": self._row.label,
                "address": self._row.address,
                "service_ms": round(service * 1e3, 3),
                "sojourn_ms": round(sojourn * 1e3, 3),
            },
            headers={wire.SERVED: said},
        )

    def _told(self, error: str, status: int) -> web.Response:
        return web.json_response(
            {"error": error, "server": self._row.label},
            status=status,
            headers={wire.SERVED: f"backend={self._row.address}"},
        )

    async def _swallow(self, request: web.Request) -> web.Response:
        await self._stopping.wait()
        return self._reset(request)

    def _reset(self, request: web.Request) -> web.Response:
        cut(request.transport)
        return self._told("reset", 503)  # which nobody reads

    async def report(self, _: web.Request, answer: web.StreamResponse) -> None:
        answer.headers[wire.LOAD] = self._live.load

    async def stop(self, _: web.Application) -> None:
        """Who is swallowed need not wait for the end."""
        self._stopping.set()


class LiveBackend:
    """One backend where it listens: down when its faults say so, with all its connections reset."""

    def __init__(self, app: web.Application, beginning: Beginning) -> None:
        self._station = app[STATION]
        # A client that goes is noticed: what it leaves behind is the station's affair.
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
        self.suffering: asyncio.Task[None] | None = None
        beginning.then(self._begin)

    async def listen(self, host: str, port: int) -> None:
        """Raises OSError."""
        await self._runner.setup()
        server = self._runner.server
        assert server is not None
        self._server = server
        self.port = Port(server)
        await self.port.open(host, port)

    async def close(self) -> None:
        """Answer what is here, and end."""
        if self.suffering is not None:
            self.suffering.cancel()
        self.port.close()
        await self._runner.cleanup()

    def _begin(self, _: float) -> None:
        if outages := self._station.door.outages:
            self.suffering = asyncio.create_task(self._suffer(outages))

    async def _suffer(self, outages: list[tuple[float, float]]) -> None:
        loop = asyncio.get_running_loop()
        for since, until in outages:
            await asyncio.sleep(since - loop.time())
            self.port.shut()
            for connection in self._server.connections:
                cut(connection.transport)
            self._station.crash()
            await asyncio.sleep(until - loop.time())
            await self.port.reopen()


def serve(
    rows: Sequence[tuple[BackendTable, Model]],
    seed: int | None = None,
    faults: Faults = (),
    luck: int = 0,
    traffic: Traffic | None = None,
    shared: Sequence[Shared] = (),
) -> None:
    """Serve every backend of `rows` until SIGTERM or SIGINT, and the `shared` stations after them.

    `seed` is that of the services, `luck` that of whom a fault with a rate strikes; `traffic` says
    whether clients that leave are noticed. Raises CannotListen.
    """
    punctual.run(_serve(rows, seed, faults, luck, traffic, shared))


def shared_stations(
    shared: Sequence[Shared],
    seed: int | None,
    beginning: Beginning,
    traffic: Traffic | None,
) -> dict[str, SharedStation]:
    """By name; inside a running event loop."""
    stations = {}
    for number, row in enumerate(shared):
        rng = np.random.default_rng(None if seed is None else [seed, number, *b"shared"])
        stations[row.name] = SharedStation(row, rng, beginning, traffic)
    return stations


async def _serve(
    rows: Sequence[tuple[BackendTable, Model]],
    seed: int | None,
    faults: Faults,
    luck: int,
    traffic: Traffic | None,
    shared: Sequence[Shared],
) -> None:
    beginning = Beginning()
    after = shared_stations(shared, seed, beginning, traffic)
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    async with AsyncExitStack() as served:
        for number, (row, model) in enumerate(rows):
            rng = np.random.default_rng(None if seed is None else [seed, number])
            struck = Random(f"{row.address} {luck} 0")
            then = after.get(model.then or "")
            dealt = Random(f"accept {row.address} {luck} 0")
            app = application(row, model, rng, faults, beginning, struck, traffic, then, dealt)
            backend = LiveBackend(app, beginning)
            try:
                await backend.listen(*host_and_port(row.address))
            except OSError as error:
                raise CannotListen(f"cannot listen on {row.address}: {reason(error)}") from None
            served.push_async_callback(backend.close)
            law = model.service
            print(
                f"backend {row.label} on http://{row.address}: {law.law}, mean "
                f"{law.mean * 1e3:g} ms, {model.workers} workers, {model.discipline}"
                + (", slower together" if model.usl else "")
                + (", a line each" if model.separate else "")
                + (f", then {model.then}" if model.then else ""),
                flush=True,
            )
        await stop.wait()
