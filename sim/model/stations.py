"""Modelled backends: how long a request stays at one, as pure arithmetic in scheduled time.

A station never looks at a clock. `arrive` takes a job, `next_departure` says when the next one is
due, `depart` hands it out stamped with that time, however late it is called. So SimPy and an event
loop drive the same class, and a late timer delays one answer but never the queue behind it.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from heapq import heappop, heappush, heapreplace
from typing import Generic, Protocol, TypeVar

from lb.config import StationTable

INFINITY = float("inf")
METER_GAIN = 1 / 8
"""Weight of a new sojourn in a load report."""
J = TypeVar("J")


class Station(Protocol[J]):
    """One backend's workers and their queue. Times in seconds, never going back.

    Departures that are due come before an arrival: the driver takes them out first.
    """

    def arrive(self, job: J, now: float, service: float) -> bool:
        """Take `job`, which needs `service` seconds of a worker; False when the queue is full."""

    def __len__(self) -> int:
        """Jobs at the station, waiting or served."""

    def next_departure(self) -> float:
        """When the next job is due; infinity when there is none."""

    def depart(self) -> tuple[float, J]:
        """The job that is due next, and when it is. Raises IndexError when there is none."""


class Fifo(Generic[J]):
    """First come, first served by `workers` equal workers.

    A job's departure is settled when it arrives: it starts when the first worker becomes free.
    """

    def __init__(self, workers: int = 1, queue: int | None = None) -> None:
        self._places = INFINITY if queue is None else workers + queue
        self._free_at = [0.0] * workers  # heap
        self.alone = workers == 1
        """Jobs leave in the order in which they came."""
        self._due: list[tuple[float, int, J]] = []  # heap
        self._arrivals = 0
        self.settled = 0.0
        """When the job that arrived last is due."""
        self.elsewhere = 0
        """Jobs that the driver holds itself, as it says."""

    def arrive(self, job: J, now: float, service: float) -> bool:
        if len(self._due) >= self._places:
            return False
        self.settled = self.settle(now, service)
        self.hold(job, self.settled)
        return True

    def settle(self, now: float, service: float) -> float:
        """When a job is due that arrives now, for a driver that holds it itself."""
        free_at = self._free_at
        due = (now if now > free_at[0] else free_at[0]) + service  # noqa: FURB136 - a call costs
        if self.alone:
            free_at[0] = due
        else:
            heapreplace(free_at, due)
        return due

    def hold(self, job: J, due: float) -> None:
        """Keep a job that is settled."""
        self._arrivals += 1
        heappush(self._due, (due, self._arrivals, job))

    def __len__(self) -> int:
        return len(self._due) + self.elsewhere

    def next_departure(self) -> float:
        return self._due[0][0] if self._due else INFINITY

    def depart(self) -> tuple[float, J]:
        due, _, job = heappop(self._due)
        return due, job


class ProcessorSharing(Generic[J]):
    """All jobs at once, sharing `workers` workers equally; none gets more than one worker.

    Work is counted on a common meter that runs at the rate every present job is served; a job
    leaves when the meter has advanced by its service time.
    """

    def __init__(self, workers: int = 1, queue: int | None = None) -> None:
        self._workers = workers
        self._places = INFINITY if queue is None else workers + queue
        self._meter = 0.0
        self._read_at = 0.0
        self._due: list[tuple[float, int, J]] = []  # heap, by meter
        self._arrivals = 0

    def arrive(self, job: J, now: float, service: float) -> bool:
        if len(self._due) >= self._places:
            return False
        if self._due:
            self._meter += (now - self._read_at) * self._rate()
        else:
            self._meter = 0.0  # an idle moment loses nothing and keeps the meter exact
        self._read_at = now
        self._arrivals += 1
        heappush(self._due, (self._meter + service, self._arrivals, job))
        return True

    def __len__(self) -> int:
        return len(self._due)

    def next_departure(self) -> float:
        if not self._due:
            return INFINITY
        left = self._due[0][0] - self._meter
        return self._read_at + max(left, 0.0) / self._rate()

    def join(self, job: J, now: float, service: float) -> float:
        """As `arrive` and `next_departure` where there is always a place, at full length."""
        held, workers = self._due, self._workers
        n = len(held)
        if n:
            passed = now - self._read_at
            self._meter += passed * (workers / n) if n > workers else passed
        else:
            self._meter = 0.0
        self._read_at = now
        self._arrivals += 1
        heappush(held, (self._meter + service, self._arrivals, job))
        left = held[0][0] - self._meter
        if left <= 0.0:
            return now
        return now + (left / (workers / (n + 1)) if n >= workers else left)

    def let_go(self) -> tuple[J, float]:
        """As `depart`; with the job, when the next one is due. At full length."""
        held, workers, at = self._due, self._workers, self._read_at
        n = len(held)
        left = held[0][0] - self._meter
        if left > 0.0:
            at += left / (workers / n) if n > workers else left
        self._meter, _, job = heappop(held)
        self._read_at = at
        if not held:
            return job, INFINITY
        n -= 1
        left = held[0][0] - self._meter
        if left <= 0.0:
            return job, at
        return job, at + (left / (workers / n) if n > workers else left)

    def depart(self) -> tuple[float, J]:
        at = self.next_departure()
        meter, _, job = heappop(self._due)
        self._meter, self._read_at = meter, at
        return at, job

    def _rate(self) -> float:
        return min(1.0, self._workers / len(self._due))


class LoadMeter:
    """What a backend says of its load: how long it takes at the number of requests it holds.

    For each number found on arrival it keeps a smoothed sojourn; asked about a number it has not
    seen it answers for the nearest one it has.
    """

    def __init__(self) -> None:
        self._numbers: list[int] = []  # sorted
        self._sojourns: dict[int, float] = {}

    def left(self, found: int, sojourn: float) -> None:
        """A job that found `found` others has left after `sojourn` seconds."""
        old = self._sojourns.get(found)
        if old is None:
            insort(self._numbers, found)
            self._sojourns[found] = sojourn
        else:
            self._sojourns[found] = old + METER_GAIN * (sojourn - old)

    def expected(self, number: int) -> float:
        """Seconds for a job that finds `number` others; zero before any has left."""
        known = self._sojourns.get(number)
        if known is not None:
            return known
        if not self._numbers:
            return 0.0
        at = bisect_left(self._numbers, number)
        near = self._numbers[max(at - 1, 0) : at + 1]
        return self._sojourns[min(near, key=lambda seen: abs(seen - number))]


def station(model: StationTable) -> Station[J]:
    """An empty station for `model`."""
    if model.discipline == "ps":
        return ProcessorSharing(model.workers, model.queue)
    return Fifo(model.workers, model.queue)
