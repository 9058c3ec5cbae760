"""A backend in the model: its station, and the alarm of its next departure."""

from __future__ import annotations

from heapq import heappush
from typing import Any

from lb.balancing import Lease, LoadReport, Outcome
from lb.config import Model
from sim.engine.request import Request
from sim.engine.timeline import DEPARTURES_FIRST, Alarm, Timeline
from sim.model.door import Door
from sim.model.measures import Measures
from sim.model.stations import INFINITY, Station

SERVER_ERROR = Outcome.SERVER_ERROR


class Site:
    """One station that requests of every balancer reach, and that answers to where they came in."""

    __slots__ = (
        "_alarm",
        "_mean",
        "_measures",
        "_model",
        "_set_to",
        "_sizes",
        "_timeline",
        "door",
        "place",
        "station",
    )

    def __init__(
        self,
        timeline: Timeline,
        place: int,
        station: Station[Lease[Request]],
        model: Model,
        sizes: list[float],
    ) -> None:
        """`sizes` is each request's work by its index, relative to the mean service time."""
        self.door: Door | None = None
        """What its faults do to requests and probes."""
        self.place = place
        self.station = station
        self._timeline = timeline
        self._model = model
        self._mean = model.service.mean
        self._sizes = sizes
        self._measures: Measures[Lease[Request]] | None = None
        self._alarm = Alarm(self._depart)
        self._set_to = INFINITY

    def measure(self) -> None:
        """Learn from here on what `report` tells."""
        if self._measures is None:
            self._measures = Measures(self._model)

    def report(self, now: float) -> LoadReport:
        """What a probe finds, and an answer says."""
        held, measures = len(self.station), self._measures
        assert measures is not None, "nothing was measured"
        return LoadReport(held, measures.expected(held), *measures.figures(now))

    def holds(self, lease: Lease[Request]) -> bool:
        """Whether work goes on for a request that nobody waits for any more."""
        return True

    def receive(self, lease: Lease[Request], now: float) -> None:
        """The request is here. There is no other way in."""
        station = self.station
        if self._measures is not None:
            self._measures.came(lease, len(station), now)
        if station.arrive(lease, now, self._sizes[lease.call.index] * self._mean):
            due = station.next_departure()
            if due != self._set_to:
                self._set_to = due
                timeline = self._timeline
                heappush(
                    timeline.queue, (due, DEPARTURES_FIRST, next(timeline.numbers), self._alarm)
                )
        else:
            if self._measures is not None:
                self._measures.gone(lease, len(station), now)
                self._measures.turned_away(now)
            lease.call.home.answered(lease, now, SERVER_ERROR)

    def renege(self, lease: Lease[Request], now: float, served: bool) -> bool:
        """Nobody waits for its answer any more; True when that ended its work, or spared it."""
        station: Any = self.station  # of the kind that can
        if not station.renege(lease, now, served):
            return False
        if self._measures is not None:
            self._measures.gone(lease, len(station), now)
        self._set(station.next_departure())
        return True

    def _set(self, due: float) -> None:
        """Ring when the next departure is due."""
        if due != self._set_to:
            self._set_to = due
            if due < INFINITY:
                self._timeline.set(self._alarm, due, DEPARTURES_FIRST)

    def _depart(self, now: float) -> None:
        if now < self._set_to:
            return  # what was due then has been put off: others came to share the worker
        station, due = self.station, now
        while due <= now:
            _, lease = station.depart()
            if self._measures is not None:
                self._measures.left(lease, len(station), now)
            lease.call.home.answered(lease, now)
            due = station.next_departure()
        if due != self._set_to:
            self._set_to = due
            if due < INFINITY:
                timeline = self._timeline
                heappush(
                    timeline.queue, (due, DEPARTURES_FIRST, next(timeline.numbers), self._alarm)
                )
