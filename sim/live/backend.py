"""The model of a backend, served over HTTP: the simulator's stations on a real clock.

`X-LB-Size` says how much work a request is, relative to the backend's mean service time; without it
the backend draws from its own law. Any method and path is work, but for GET /health. Every answer
says in `X-LB-Load` how many requests the backend holds and how long one takes at that number.

Faults count from the first request that any backend of the process serves: that is when a schedule
starts. Health checks are no requests, and are answered in a pause too.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence

import numpy as np
from aiohttp import web

from lb import wire
from lb.config import BackendTable, FaultTable, Model, host_and_port
from lb.errors import CannotListen
from lb.system import reason
from sim.model.faults import faulty_station
from sim.model.laws import draw_shape
from sim.model.measures import Measures
from sim.model.stations import INFINITY, Station, station

Faults = Sequence[FaultTable]


class Beginning:
    """The time of the first request, shared by all backends of a process."""

    def __init__(self) -> None:
        self._at: float | None = None

    def at(self, now: float) -> float:
        """When it was; `now` when there has been none."""
        if self._at is None:
            self._at = now
        return self._at


class LiveStation:
    """One station and the one timer that takes its jobs out when they are due."""

    def __init__(
        self,
        model: Model,
        rng: np.random.Generator,
        faults: Faults = (),
        beginning: Beginning | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._model = model
        self._rng = rng
        self._station: Station[asyncio.Future[float]] = station(model)
        self._faults = faults
        self._beginning = beginning or Beginning()
        self._begun = False
        self._timer: asyncio.TimerHandle | None = None
        self._set_to = INFINITY
        self._sizes: list[float] = []
        self._measures: Measures[asyncio.Future[float]] = Measures(model)

    @property
    def load(self) -> str:
        """The load report of this moment."""
        held = len(self._station)
        measures = self._measures
        figures = measures.figures(self._loop.time())
        return wire.write_load(held, measures.expected(held), *figures)

    async def serve(self, size: float | None) -> tuple[float, float] | None:
        """Stay for as long as the work takes; (service, sojourn) in seconds, None when full."""
        now = self._loop.time()
        if not self._begun:
            self._begun = True
            self._station = faulty_station(self._model, self._faults, self._beginning.at(now))
        self._depart_due(now)
        service = (self._draw() if size is None else size) * self._model.service.mean
        found = len(self._station)
        job: asyncio.Future[float] = self._loop.create_future()
        if not self._station.arrive(job, now, service):
            self._measures.turned_away(now)
            return None
        self._measures.came(job, found, now)
        self._set_timer()
        left = await job
        return service, left - now

    def _draw(self) -> float:
        if not self._sizes:
            self._sizes = draw_shape(self._model.service, self._rng, 1000).tolist()
        return self._sizes.pop()

    def _depart_due(self, now: float) -> None:
        while self._station.next_departure() <= now:
            due, job = self._station.depart()
            self._measures.left(job, len(self._station), due)
            if not job.done():  # its client may have gone; the work was done all the same
                job.set_result(due)

    def _ring(self) -> None:
        self._set_to = INFINITY
        self._depart_due(self._loop.time())
        self._set_timer()

    def _set_timer(self) -> None:
        due = self._station.next_departure()
        if due != self._set_to:
            if self._timer is not None:
                self._timer.cancel()
            self._set_to = due
            self._timer = self._loop.call_at(due, self._ring) if due < INFINITY else None


def application(
    row: BackendTable,
    model: Model,
    rng: np.random.Generator,
    faults: Faults = (),
    beginning: Beginning | None = None,
) -> web.Application:
    """One backend; its own are chosen from `faults`. Must be made inside a running event loop."""
    own = [fault for fault in faults if fault.strikes(row)]
    live = LiveStation(model, rng, own, beginning)

    async def health(_: web.Request) -> web.Response:
        return web.json_response({"status": "ok", "server": row.label})

    async def work(request: web.Request) -> web.Response:
        given = request.headers.get(wire.SIZE)
        try:
            size = None if given is None else wire.read_size(given)
        except ValueError:
            message = f"{wire.SIZE} {given!r} is not a number from zero up"
            return web.json_response({"error": "bad_size", "message": message}, status=400)
        async for _ in request.content.iter_any():  # of any length; nobody reads it
            pass
        served = await live.serve(size)
        if served is None:
            return web.json_response({"error": "queue_full", "server": row.label}, status=503)
        service, sojourn = served
        return web.json_response(
            {
                "server": row.label,
                "address": row.address,
                "service_ms": round(service * 1e3, 3),
                "sojourn_ms": round(sojourn * 1e3, 3),
            }
        )

    async def report(_: web.Request, answer: web.StreamResponse) -> None:
        answer.headers[wire.LOAD] = live.load

    app = web.Application()
    app.on_response_prepare.append(report)
    app.router.add_get("/health", health)
    app.router.add_route("*", "/{path:.*}", work)
    return app


def serve(
    rows: Sequence[tuple[BackendTable, Model]], seed: int | None = None, faults: Faults = ()
) -> None:
    """Serve every backend of `rows` until SIGTERM or SIGINT. Raises CannotListen."""
    asyncio.run(_serve(rows, seed, faults))


async def _serve(
    rows: Sequence[tuple[BackendTable, Model]], seed: int | None, faults: Faults
) -> None:
    beginning = Beginning()
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    runners = []
    try:
        for number, (row, model) in enumerate(rows):
            rng = np.random.default_rng(None if seed is None else [seed, number])
            runner = web.AppRunner(application(row, model, rng, faults, beginning), access_log=None)
            await runner.setup()
            runners.append(runner)
            host, port = host_and_port(row.address)
            try:
                await web.TCPSite(runner, host, port).start()
            except OSError as error:
                raise CannotListen(f"cannot listen on {row.address}: {reason(error)}") from None
            law = model.service
            print(
                f"backend {row.label} on http://{row.address}: {law.law}, mean "
                f"{law.mean * 1e3:g} ms, {model.workers} workers, {model.discipline}",
                flush=True,
            )
        await stop.wait()
    finally:
        for runner in runners:
            await runner.cleanup()
