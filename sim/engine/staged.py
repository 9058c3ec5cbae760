"""Backends whose requests go on at a shared station, a database say, before they are answered."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import Any

from lb.balancing import Lease, LoadReport, Outcome
from lb.config import Model
from sim.analysis.record import Visits
from sim.engine.alarms import DEPARTURES_FIRST, Alarm
from sim.engine.request import Request
from sim.engine.struck import StruckSite
from sim.engine.timeline import Timeline
from sim.model.door import Door
from sim.model.stations import INFINITY, Station

OK, SERVER_ERROR = Outcome.OK, Outcome.SERVER_ERROR


class Stage:
    """A station where the requests of several sites go on; it brings them back to their sites."""

    def __init__(
        self, timeline: Timeline, station: Station[Lease[Request]], services: list[float]
    ) -> None:
        """`services` is each request's work by its index, in seconds of a worker."""
        self._timeline = timeline
        self._station = station
        self._services = services
        self._alarm = Alarm(self._depart)
        self._set_to = INFINITY
        self.visits = Visits(array("d"), array("d"))

    def receive(self, lease: Lease[Request], now: float) -> None:
        """The request is here."""
        if self._station.arrive(lease, now, self._services[lease.call.index]):
            self.visits.entered.append(now)
            self._set(self._station.next_departure())
        else:
            lease.backend.site.came_back(lease, now, refused=True)

    def renege(self, lease: Lease[Request], now: float, served: bool) -> bool:
        """See `Site.renege`."""
        station: Any = self._station  # of the kind that can
        if not station.renege(lease, now, served):
            return False
        self.visits.left.append(now)
        self._set(station.next_departure())
        return True

    def _set(self, due: float) -> None:
        if due != self._set_to:
            self._set_to = due
            if due < INFINITY:
                self._timeline.set(self._alarm, due, DEPARTURES_FIRST)

    def _depart(self, now: float) -> None:
        if now < self._set_to:
            return
        station = self._station
        while station.next_departure() <= now:
            _, lease = station.depart()
            self.visits.left.append(now)
            lease.backend.site.came_back(lease, now)
        self._set(station.next_departure())


class StagedSite(StruckSite):
    """A site whose requests leave for a stage and come back; with a door, if it has faults."""

    __slots__ = ("_holds", "_stage", "visits")

    def __init__(
        self,
        timeline: Timeline,
        place: int,
        station: Callable[[], Station[Lease[Request]]],
        model: Model,
        sizes: Sequence[float],
        door: Door,
        stage: Stage,
    ) -> None:
        super().__init__(timeline, place, station, model, sizes, door)
        self.door = door or None
        self._stage = stage
        self._holds = model.holds
        self.visits: Visits | None = None if model.holds else Visits(array("d"), array("d"))
        """At its own workers, where they do not wait for what comes after."""

    def report(self, now: float) -> LoadReport:
        told = super().report(now)
        return LoadReport(len(self._inside), told.latency, told.utilisation, told.rate, told.errors)

    def renege(self, lease: Lease[Request], now: float, served: bool) -> bool:
        if super().renege(lease, now, served):
            self._left(1, now)
            return True
        if lease not in self._inside or not self._stage.renege(lease, now, served):
            return False
        del self._inside[lease]
        self._released(lease, now)
        if self.measures is not None:
            self.measures.gone(lease, len(self.station), now)
        return True

    def came_back(self, lease: Lease[Request], now: float, *, refused: bool = False) -> None:
        """Its work on the stage is done, or the stage had no place for it."""
        stay = self._inside.pop(lease, None)
        if stay is None:
            return  # this backend was down meanwhile
        self._released(lease, now)
        if refused:
            lease.call.status, stay = 503, (stay[0], stay[1], SERVER_ERROR)
        elif stay[2] is SERVER_ERROR:
            lease.call.status = 500
        self._answered(lease, now, stay)

    def _take_in(
        self, lease: Lease[Request], now: float, stay: tuple[float, bool, Outcome]
    ) -> None:
        super()._take_in(lease, now, stay)
        if self.visits is not None and lease in self._inside:
            self.visits.entered.append(now)

    def _depart(self, now: float) -> None:
        if now < self.set_to:
            return
        station = self.station
        while station.next_departure() <= now:
            _, lease = station.depart()
            self._left(1, now)
            if self.measures is not None:
                self.measures.passed(len(station), now)
            self._stage.receive(lease, now)
        self._set(station.next_departure())

    def _crash(self, now: float) -> None:
        self._left(len(self.station), now)
        super()._crash(now)

    def _released(self, lease: Lease[Request], now: float) -> None:
        if self._holds:
            station: Any = self.station  # of the kind that can
            station.release(lease, now)
            self._set(station.next_departure())

    def _left(self, number: int, now: float) -> None:
        if self.visits is not None:
            self.visits.left.extend([now] * number)
