"""Stations that notice when nobody waits for a job any more: it leaves their line (it *reneges*).

Work that has begun goes on, unless a station is told to stop that too. These do what the plain
stations do as long as nobody leaves, and take a little longer over it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from heapq import heapify, heappop, heappush, heapreplace
from typing import Any, Generic, Protocol

from lb.config import ColdStart
from sim.model.faults import Clock, Clocked, Warming
from sim.model.stations import INFINITY, J, ProcessorSharing, Station


class Reneging(Station[J], Protocol[J]):
    """A station that jobs may leave before they are due."""

    def renege(self, job: J, now: float, served: bool) -> bool:
        """Let `job` go, if it waits or, when `served`, in the middle of its work.

        False when it stays, or is not here. Jobs are told apart by identity.
        """


class Holding(Reneging[J], Protocol[J]):
    """A station whose workers stay with jobs that depart, because their work goes on elsewhere."""

    def release(self, job: J, now: float) -> None:
        """The worker of `job`, which has departed, goes on with another one."""


class RenegingFifo(Generic[J]):
    """First come, first served. Who is served next is settled when a worker becomes free."""

    def __init__(self, workers: int = 1, queue: int | None = None) -> None:
        self._places = INFINITY if queue is None else workers + queue
        self._idle = workers
        self._served: list[tuple[float, int, J]] = []  # heap, by departure
        self._waiting: OrderedDict[J, tuple[float, int, float]] = OrderedDict()
        self._arrivals = 0

    def arrive(self, job: J, now: float, service: float) -> bool:
        if len(self) >= self._places:
            return False
        self._arrivals += 1
        if self._idle:
            self._idle -= 1
            heappush(self._served, (now + service, self._arrivals, job))
        else:
            self._waiting[job] = now, self._arrivals, service
        return True

    def __len__(self) -> int:
        return len(self._served) + len(self._waiting)

    def next_departure(self) -> float:
        return self._served[0][0] if self._served else INFINITY

    def depart(self) -> tuple[float, J]:
        due, _, job = self._served[0]
        if self._waiting:
            heapreplace(self._served, self._begun(due))
        else:
            self._idle += 1
            heappop(self._served)
        return due, job

    def renege(self, job: J, now: float, served: bool) -> bool:
        if self._waiting.pop(job, None) is not None:
            return True
        if not (served and taken_out(self._served, job)):
            return False
        if self._waiting:
            heappush(self._served, self._begun(now))
        else:
            self._idle += 1
        return True

    def _begun(self, free_at: float) -> tuple[float, int, J]:
        """Whose turn it is, with a worker that is free from `free_at` on."""
        job, (arrived, number, service) = self._waiting.popitem(last=False)
        return max(free_at, arrived) + service, number, job


class RenegingSharing(ProcessorSharing[J]):
    """Processor sharing: everybody is served at once, so there is no line to leave."""

    def renege(self, job: J, now: float, served: bool) -> bool:
        if not served or not self._due:
            return False
        self._meter += (now - self._read_at) * self._rate()
        self._read_at = now
        return taken_out(self._due, job)


def taken_out(heap: list[tuple[float, int, J]], job: J) -> bool:
    """Whether `job` was in `heap`, which it has left."""
    for place, (_, _, held) in enumerate(heap):
        if held is job:
            del heap[place]
            heapify(heap)
            return True
    return False


class RenegingClocked(Clocked[J]):
    """The same by a clock, see `sim.model.faults`."""

    def __init__(self, inner: Reneging[J], clock: Clock) -> None:
        super().__init__(inner, clock)
        self._left = inner.renege

    def renege(self, job: J, now: float, served: bool) -> bool:
        self._arrived = now
        self._shown = max(self._shown, self._clock.inside(now))
        return self._left(job, self._shown, served)

    def release(self, job: J, now: float) -> None:
        """See `Holding`."""
        self._arrived = now
        self._shown = max(self._shown, self._clock.inside(now))
        station: Any = self._inner  # of the kind that can
        station.release(job, self._shown)


class RenegingWarming(Warming[J]):
    """The same while it is cold."""

    def __init__(self, inner: Reneging[J], colds: Iterable[ColdStart], start: float) -> None:
        super().__init__(inner, colds, start)
        self.renege = inner.renege

    def release(self, job: J, now: float) -> None:
        """See `Holding`."""
        station: Any = self._inner  # of the kind that can
        station.release(job, now)
