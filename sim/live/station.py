"""A modelled backend's station on a real clock, and what its faults do to it.

Faults count from the first request that any backend of the process serves: that is when a schedule
starts. Health checks are no requests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import numpy as np

from lb import wire
from lb.config import FaultTable, Model, Traffic
from sim.model.door import Door, Fate
from sim.model.laws import draw_shape
from sim.model.making import make
from sim.model.measures import Measures
from sim.model.stations import INFINITY, Station

Faults = Sequence[FaultTable]
"""Plain ones, see `sim.model.occurrences`."""


class Beginning:
    """The time of the first request, shared by all backends of a process."""

    def __init__(self) -> None:
        self._at: float | None = None
        self._waiting: list[Callable[[float], object]] = []

    def at(self, now: float) -> float:
        """When it was; `now` when there has been none."""
        if self._at is None:
            self._at = now
            for told in self._waiting:
                told(now)
        return self._at

    def then(self, told: Callable[[float], object]) -> None:
        """Say when it is."""
        self._waiting.append(told)


class LiveStation:
    """One station and the one timer that takes its jobs out when they are due.

    A client that goes leaves its work behind, unless `traffic` has clients that leave: then it
    leaves the line too, and its worker when the file says `cancels`.
    """

    def __init__(
        self,
        model: Model,
        rng: np.random.Generator,
        faults: Faults = (),
        beginning: Beginning | None = None,
        luck: Random | None = None,
        traffic: Traffic | None = None,
    ) -> None:
        """`luck` decides whom a fault with a rate strikes."""
        self._loop = asyncio.get_running_loop()
        self._model = model
        self._rng = rng
        self._faults = faults
        self._luck = luck or Random(0)
        self._noticed = traffic is not None and traffic.noticed
        self._cancels = traffic is not None and traffic.cancels
        self._beginning = beginning or Beginning()
        self._beginning.then(self._begin)
        self._timer: asyncio.TimerHandle | None = None
        self._set_to = INFINITY
        self._sizes: list[float] = []
        self._measures: Measures[asyncio.Future[float]] = Measures(model)
        self._jobs: set[asyncio.Future[float]] = set()
        """Those at the station."""
        self._spoiled: set[asyncio.Future[float]] = set()
        """Of them, those whose answer will be an error."""
        self.door = Door((), self._luck)
        self._station = self._empty(0.0, ())

    def _begin(self, at: float) -> None:
        self._start = at
        self.door = Door(self._faults, self._luck, at)
        self._station = self._empty(at, self._faults)

    def _empty(self, start: float, faults: Faults) -> Station[asyncio.Future[float]]:
        return make(self._model, faults, start, noticed=self._noticed)

    @property
    def load(self) -> str:
        """The load report of this moment."""
        held = len(self._station)
        measures = self._measures
        figures = measures.figures(self._loop.time())
        return wire.write_load(held, measures.expected(held), *figures)

    def fate(self, now: float) -> Fate:
        """What becomes of a request that is here now, and may be the first."""
        self._beginning.at(now)
        return self.door.fate(now)

    def failed(self) -> None:
        """A request is answered with an error, without having been worked at."""
        self._measures.turned_away(self._loop.time())

    async def serve(
        self, size: float | None, now: float | None = None, *, error: bool = False
    ) -> tuple[float, float] | None:
        """Stay for as long as the work takes; (service, sojourn) in seconds, None when full.

        `error`: that work will bring none.
        """
        if now is None:
            now = self._loop.time()
        self._beginning.at(now)
        self._depart_due(now)
        service = (self._draw() if size is None else size) * self._model.service.mean
        found = len(self._station)
        job: asyncio.Future[float] = self._loop.create_future()
        if not self._station.arrive(job, now, service):
            self._measures.turned_away(now)
            return None
        self._jobs.add(job)
        if error:
            self._spoiled.add(job)
        self._measures.came(job, found, now)
        self._set_timer()
        try:
            left = await job
        except asyncio.CancelledError:
            self._renege(job)
            raise
        return service, left - now

    def crash(self) -> None:
        """All that is here is lost."""
        lost, self._jobs = self._jobs, set()
        self._spoiled.clear()
        self._measures.lost(self._loop.time())
        for job in lost:
            job.cancel()
        self._station = self._empty(self._start, self._faults)
        self._set_timer()

    def _renege(self, job: asyncio.Future[float]) -> None:
        """Its client has gone."""
        if job in self._jobs and self._noticed:
            now = self._loop.time()
            self._depart_due(now)
            station: Any = self._station
            if station.renege(job, now, self._cancels):
                self._jobs.discard(job)
                self._spoiled.discard(job)
                self._measures.gone(job, len(self._station), now)
            self._set_timer()

    def _draw(self) -> float:
        if not self._sizes:
            self._sizes = draw_shape(self._model.service, self._rng, 1000).tolist()
        return self._sizes.pop()

    def _depart_due(self, now: float) -> None:
        while self._station.next_departure() <= now:
            due, job = self._station.depart()
            self._jobs.discard(job)
            error = job in self._spoiled
            self._spoiled.discard(job)
            self._measures.left(job, len(self._station), due, error=error)
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
