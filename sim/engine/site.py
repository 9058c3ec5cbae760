"""A backend in the model: its station, and the alarm of its next departure."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappush
from typing import Any, cast

from lb.balancing import Lease, LoadReport, Outcome
from lb.config import Model
from sim.engine.alarms import DEPARTURES_FIRST, Alarm
from sim.engine.request import Request
from sim.engine.timeline import Timeline
from sim.model.door import Door
from sim.model.measures import Measures
from sim.model.stations import INFINITY, Fifo, ProcessorSharing, Station

SERVER_ERROR = Outcome.SERVER_ERROR
Job = Any
"""What a station holds: an attempt, or the number of a request in the express lane."""


class Site(Alarm):
    """One station that requests of every balancer reach, and that answers to where they came in.

    It is the alarm of its own next departure.
    """

    __slots__ = (
        "_fifo",
        "_model",
        "_timeline",
        "counted",
        "door",
        "mean",
        "measures",
        "open",
        "place",
        "set_to",
        "shared",
        "sizes",
        "station",
    )

    def __init__(
        self,
        timeline: Timeline,
        place: int,
        station: Station[Job],
        model: Model,
        sizes: Sequence[float],
    ) -> None:
        """`sizes` is each request's work by its index, relative to the mean service time."""
        super().__init__(self._depart)
        self.door: Door | None = None
        """What its faults do to requests and probes."""
        self.place = place
        self.station = station
        self._fifo = station if isinstance(station, Fifo) else None  # jobs there are settled
        self.open = self._fifo if self._fifo is not None and model.queue is None else None
        """The station, if it takes everybody and nobody asks how many it holds."""
        self.counted: Fifo[Job] | None = None
        """The same of one that is measured; the express lane keeps its jobs, and counts them."""
        shares = type(cast(Any, station)) is ProcessorSharing and model.queue is None
        self.shared = cast(ProcessorSharing[Job], station) if shares else None
        """The same of one whose jobs share its workers."""
        self._timeline = timeline
        self._model = model
        self.mean = model.service.mean
        self.sizes = sizes
        self.measures: Measures[Job] | None = None
        self.set_to = INFINITY
        """When it rings next."""

    def measure(self, *, figures: bool) -> None:
        """Learn from here on what `report` tells, with or without the figures of `Measures`."""
        if self.measures is not None:
            if figures:
                self.measures.take_figures()
            return
        self.measures = Measures(self._model, figures=figures)
        if self._timeline.lane is not None:
            self._timeline.lane.count()
            self.counted = self.open
        self.open = self.shared = None

    def report(self, now: float) -> LoadReport:
        """What a probe finds, and an answer says."""
        held, measures = len(self.station), self.measures
        assert measures is not None, "nothing was measured"
        used, rate, errors = measures.figures(now)
        return LoadReport(held, measures.meter.expected(held), used, rate, errors)

    def left(self, job: int, now: float) -> None:
        """One of those that the lane keeps is answered; no news of one that is not counted."""
        if self.counted is not None and self.measures is not None:
            self.counted.elsewhere -= 1
            self.measures.left(job, len(self.counted), now)

    def holds(self, lease: Lease[Request]) -> bool:
        """Whether work goes on for a request that nobody waits for any more."""
        return True

    def receive(self, lease: Lease[Request], now: float) -> None:
        """The request is here. There is no other way in."""
        if not self._enter(lease, lease.call.index, now):
            lease.call.home.answered(lease, now, SERVER_ERROR)

    def take_in(self, index: int, now: float) -> bool:
        """As `receive`, of a request that is known by its number; False when the queue is full."""
        if self.counted is None:
            return self._enter(index, index, now)
        timeline, due = self._timeline, self.count_in(index, now)
        heappush(timeline.queue, (due, DEPARTURES_FIRST, next(timeline.numbers), index))
        return True

    def count_in(self, index: int, now: float) -> float:
        """When a request leaves that comes now; of a station that takes all, and is counted."""
        counted, measures = self.counted, self.measures
        assert counted is not None, "it is not counted"
        assert measures is not None, "it is not counted"
        measures.came(index, len(counted), now)
        counted.elsewhere += 1
        return counted.settle(now, self.sizes[index] * self.mean)

    def _enter(self, job: Job, index: int, now: float) -> bool:
        station, measures = self.station, self.measures
        if measures is not None:
            measures.came(job, len(station), now)
        if not station.arrive(job, now, self.sizes[index] * self.mean):
            if measures is not None:
                measures.gone(job, len(station), now)
                measures.turned_away(now)
            return False
        due = station.next_departure() if self._fifo is None else self._fifo.settled
        if due != self.set_to or self._fifo is not None:  # which rings for each job
            self.set_to = due
            timeline = self._timeline
            heappush(timeline.queue, (due, DEPARTURES_FIRST, next(timeline.numbers), self))
        return True

    def renege(self, lease: Lease[Request], now: float, served: bool) -> bool:
        """Nobody waits for its answer any more; True when that ended its work, or spared it."""
        station: Any = self.station  # of the kind that can
        if not station.renege(lease, now, served):
            return False
        if self.measures is not None:
            self.measures.gone(lease, len(station), now)
        self._set(station.next_departure())
        return True

    def _set(self, due: float) -> None:
        """Ring when the next departure is due."""
        if due != self.set_to:
            self.set_to = due
            if due < INFINITY:
                self._timeline.set(self, due, DEPARTURES_FIRST)

    def _depart(self, now: float) -> None:
        if self._fifo is not None:
            self._let_go(now)
            return
        if now < self.set_to:
            return  # what was due then has been put off: others came to share the worker
        station, due = self.station, now
        while due <= now:
            self._let_go(now)
            due = station.next_departure()
        self._set(due)

    def _let_go(self, now: float) -> None:
        """The job that is due next has its answer."""
        _, job = self.station.depart()
        if self.measures is not None:
            self.measures.left(job, len(self.station), now)
        if job.__class__ is int:
            lane = self._timeline.lane
            assert lane is not None, "a number that nobody knows"
            lane.answer(job, self.place, now)
        else:
            job.call.home.answered(job, now)
