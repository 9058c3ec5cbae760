"""A modelled backend's station on a real clock, and what its faults do to it.

Faults count from the first request that any backend of the process serves: that is when a schedule
starts. Health checks are no requests.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import numpy as np

from lb import wire
from lb.config import FaultTable, Model, Shared, Traffic
from sim.model.door import Door, Fate
from sim.model.laws import draw, draw_shape
from sim.model.making import make
from sim.model.measures import Measures
from sim.model.separate import Dealer
from sim.model.stations import INFINITY, Station

Job = asyncio.Future[float]
"""An answer that is awaited, and when it was due."""
Faults = Sequence[FaultTable]
"""Plain ones, see `sim.model.occurrences`."""


class NoPlace(Exception):
    """What comes after has no place for a job."""


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


class Timed(ABC):
    """A station on the clock of the event loop: one timer takes its jobs out when they are due."""

    _station: Station[Job]

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._set_to = INFINITY
        self._at = 0.0

    @abstractmethod
    def _out(self, job: Job, due: float) -> None:
        """It is due, or was."""

    def _depart_due(self, now: float) -> None:
        self._at = max(self._at, now)  # a time that is late must not turn the station's back
        while self._station.next_departure() <= now:
            due, job = self._station.depart()
            self._out(job, due)

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


class SharedStation(Timed):
    """Where the jobs of several backends go on, in their process."""

    def __init__(
        self,
        model: Shared,
        rng: np.random.Generator,
        beginning: Beginning,
        traffic: Traffic | None = None,
    ) -> None:
        super().__init__()
        self._model = model
        self._services: list[float] = []
        self._rng = rng
        self._noticed = traffic is not None and traffic.noticed
        self._homes: dict[Job, LiveStation] = {}
        beginning.then(self._begin)
        self._begin(0.0)

    def _begin(self, at: float) -> None:
        self._station = make(self._model, (), at, noticed=self._noticed)

    def arrive(self, job: Job, now: float, home: LiveStation) -> bool:
        """`job` goes on here from `now` on, if there is a place; `home` is told of its end."""
        now = max(now, self._at)
        self._depart_due(now)
        if not self._services:
            self._services = draw(self._model.service, self._rng, 1000).tolist()
        if not self._station.arrive(job, now, self._services.pop()):
            return False
        self._homes[job] = home
        self._set_timer()
        return True

    def renege(self, job: Job, now: float, served: bool) -> bool:
        """See `Reneging`."""
        now = max(now, self._at)
        self._depart_due(now)
        station: Any = self._station  # of the kind that can
        gone = job in self._homes and station.renege(job, now, served)
        if gone:
            del self._homes[job]
            self._set_timer()
        return bool(gone)

    def _out(self, job: Job, due: float) -> None:
        self._homes.pop(job).came_back(job, due)


class LiveStation(Timed):
    """The station of one backend.

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
        then: SharedStation | None = None,
        dealt: Random | None = None,
    ) -> None:
        """`luck` decides whom a fault with a rate strikes, `dealt` whose line a job comes to where
        each worker has one; `then` is where jobs go on.
        """
        super().__init__()
        self._then = then
        self._model = model
        self._rng = rng
        self._faults = faults
        self._luck = luck or Random(0)
        self._dealer = Dealer(dealt or Random(0))
        self._noticed = traffic is not None and traffic.noticed
        self._cancels = traffic is not None and traffic.cancels
        self._beginning = beginning or Beginning()
        self._beginning.then(self._begin)
        self._sizes: list[float] = []
        self._measures: Measures[Job] = Measures(model)
        self._jobs: set[Job] = set()
        """Those at the station, and those that went on from there."""
        self._spoiled: set[Job] = set()
        """Of them, those whose answer will be an error."""
        self.door = Door((), self._luck)
        self._station = self._empty(0.0, ())

    def _begin(self, at: float) -> None:
        self._start = at
        self.door = Door(self._faults, self._luck, at)
        self._station = self._empty(at, self._faults)

    def _empty(self, start: float, faults: Faults) -> Station[Job]:
        noticed, dealer = self._noticed, self._dealer
        return make(self._model, faults, start, noticed=noticed, dealer=dealer)

    @property
    def load(self) -> str:
        """The load report of this moment."""
        held = len(self._station)
        measures = self._measures
        present = held if self._then is None else len(self._jobs)
        figures = measures.figures(self._loop.time())
        return wire.write_load(present, measures.meter.expected(held), *figures)

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
        job: Job = self._loop.create_future()
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
        except NoPlace:
            return None
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
            gone = station.renege(job, now, self._cancels)
            if not gone and self._then is not None and self._then.renege(job, now, self._cancels):
                gone = True
                self._released(job, now)
            if gone:
                self._jobs.discard(job)
                self._spoiled.discard(job)
                self._measures.gone(job, len(self._station), now)
            self._set_timer()

    def _draw(self) -> float:
        if not self._sizes:
            self._sizes = draw_shape(self._model.service, self._rng, 1000).tolist()
        return self._sizes.pop()

    def _out(self, job: Job, due: float) -> None:
        if self._then is None:
            self._finish(job, due)
            return
        self._measures.passed(len(self._station), due)
        if not self._then.arrive(job, due, self):
            self._spoiled.add(job)
            self._released(job, due)
            self._finish(job, due, NoPlace())

    def came_back(self, job: Job, due: float) -> None:
        """Its work elsewhere is done."""
        if job in self._jobs:  # and the backend was not down meanwhile
            self._released(job, due)
            self._finish(job, due)

    def _released(self, job: Job, now: float) -> None:
        if self._model.holds:
            station: Any = self._station
            station.release(job, max(now, self._at))
            self._set_timer()

    def _finish(self, job: Job, due: float, why: NoPlace | None = None) -> None:
        self._jobs.discard(job)
        error = job in self._spoiled
        self._spoiled.discard(job)
        self._measures.left(job, len(self._station), due, error=error)
        if job.done():
            return  # its client has gone; the work was done all the same
        if why is None:
            job.set_result(due)
        else:
            job.set_exception(why)
