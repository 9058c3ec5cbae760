"""Stations at which those who are worked at slow each other down, by how many they are, and those
whose workers stay with a job when its work is done, until they are released.

Work is counted on a meter that runs at the pace of each present job, as processor sharing does it.
Jobs may leave, see `sim.model.reneging`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from heapq import heappop, heappush
from typing import Generic

from sim.model.reneging import RenegingSharing, taken_out
from sim.model.stations import INFINITY, J


class SlowingFifo(Generic[J]):
    """First come, first served. Who is served next is settled when a worker becomes free."""

    def __init__(
        self, paces: Sequence[float], queue: int | None = None, *, holds: bool = False
    ) -> None:
        """`paces`: how fast each of so many jobs goes on, from 0 jobs to one for every worker.

        `holds`: a job that departs keeps its worker, and its place here, until it is released.
        """
        self._paces = paces
        self._free = len(paces) - 1
        self._holds = holds
        self._held = 0
        self._places = INFINITY if queue is None else self._free + queue
        self._meter = 0.0
        self._read_at = 0.0
        self._served: list[tuple[float, int, J]] = []  # heap, by meter
        self._waiting: OrderedDict[J, tuple[int, float]] = OrderedDict()
        self._arrivals = 0

    def arrive(self, job: J, now: float, service: float) -> bool:
        if len(self) >= self._places:
            return False
        self._arrivals += 1
        self._waiting[job] = self._arrivals, service
        self._read(now)
        self._begin()
        return True

    def __len__(self) -> int:
        return len(self._served) + len(self._waiting) + self._held

    def next_departure(self) -> float:
        served = self._served
        if not served:
            return INFINITY
        left = served[0][0] - self._meter
        return self._read_at + max(left, 0.0) / self._paces[len(served)]

    def depart(self) -> tuple[float, J]:
        at = self.next_departure()
        self._meter, _, job = heappop(self._served)
        self._read_at = at
        if self._holds:
            self._held += 1
        else:
            self._free += 1
            self._begin()
        return at, job

    def release(self, job: J, now: float) -> None:
        """The worker of `job`, which has departed, goes on with another one."""
        self._read(now)
        self._held -= 1
        self._free += 1
        self._begin()

    def renege(self, job: J, now: float, served: bool) -> bool:
        """See `Reneging`."""
        if self._waiting.pop(job, None) is not None:
            return True
        self._read(now)
        if not (served and taken_out(self._served, job)):
            return False
        self._free += 1
        self._begin()
        return True

    def _read(self, now: float) -> None:
        if self._served:
            self._meter += (now - self._read_at) * self._paces[len(self._served)]
        else:
            self._meter = 0.0  # an idle moment loses nothing and keeps the meter exact
        self._read_at = now

    def _begin(self) -> None:
        """Whose turn it is, as long as there is a worker."""
        while self._waiting and self._free:
            self._free -= 1
            job, (number, service) = self._waiting.popitem(last=False)
            heappush(self._served, (self._meter + service, number, job))


class SlowingSharing(RenegingSharing[J]):
    """Processor sharing. As many go on together as there are workers, however many share them."""

    def __init__(self, paces: Sequence[float], queue: int | None = None) -> None:
        """`paces` as for `SlowingFifo`."""
        super().__init__(len(paces) - 1, queue)
        self._paces = paces

    def _rate(self) -> float:
        present = len(self._due)
        return super()._rate() * self._paces[min(present, self._workers)]
