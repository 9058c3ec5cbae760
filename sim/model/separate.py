"""Workers with a line each: whoever comes is dealt to one of them, whoever else is free.

So does the kernel with listeners of SO_REUSEPORT, which share a port but not an accept queue.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from random import Random
from typing import Any, Generic

from sim.model.reneging import Reneging
from sim.model.stations import J


class Dealer:
    """Who is dealt to whom, and when that made a worker busy or left it without work."""

    def __init__(self, luck: Random) -> None:
        self.draw = luck.random
        self.begun, self.rested = array("d"), array("d")


class Separate(Generic[J]):
    """Stations of one worker that are one to everybody outside."""

    def __init__(self, lines: Sequence[Reneging[J]], dealer: Dealer, *, holds: bool) -> None:
        """`holds`: the lines are of workers that stay with a job until it is released."""
        self._lines = lines
        self._dealer = dealer
        self._holds = holds
        self._line_of: dict[J, Reneging[J]] = {}

    def arrive(self, job: J, now: float, service: float) -> bool:
        line = self._lines[int(self._dealer.draw() * len(self._lines))]
        idle = not len(line)
        if not line.arrive(job, now, service):
            return False
        if idle:
            self._dealer.begun.append(now)
        self._line_of[job] = line
        return True

    def __len__(self) -> int:
        return sum(map(len, self._lines))

    def next_departure(self) -> float:
        return min(line.next_departure() for line in self._lines)

    def depart(self) -> tuple[float, J]:
        line = min(self._lines, key=_next_departure)
        at, job = line.depart()
        if not self._holds:
            del self._line_of[job]
        if not len(line):
            self._dealer.rested.append(at)
        return at, job

    def renege(self, job: J, now: float, served: bool) -> bool:
        """See `Reneging`."""
        line = self._line_of.get(job)
        if line is None or not line.renege(job, now, served):
            return False
        del self._line_of[job]
        if not len(line):
            self._dealer.rested.append(now)
        return True

    def release(self, job: J, now: float) -> None:
        """See `Holding`."""
        line: Any = self._line_of.pop(job)  # of the kind that can
        line.release(job, now)
        if not len(line):
            self._dealer.rested.append(now)

    def lose(self, now: float) -> None:
        """All that are here are gone, and it with them."""
        self._dealer.rested.extend([now] * sum(len(line) > 0 for line in self._lines))


def _next_departure(line: Reneging[Any]) -> float:
    return line.next_departure()
