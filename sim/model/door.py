"""The door in front of a faulty backend: what becomes of a request, or a health check, there.

It keeps requests out, or has their answers falsified. A simulated backend asks it, and a live one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from enum import Enum
from random import Random

from lb.config import (
    BlackHole,
    Down,
    Errors,
    FailFast,
    FaultTable,
    HealthLost,
    Pause,
    Reset,
)
from sim.model.stations import INFINITY

FAILS_AFTER = 0.001
"""Seconds that a backend takes to fail fast."""


class Fate(Enum):
    """What becomes of a request."""

    IN = "in"
    SPOILED = "spoiled"
    """Its work is done, and answered 500."""
    FAILED = "failed"
    """Answered 503 at once."""
    RESET = "reset"
    SWALLOWED = "swallowed"
    """Never answered."""
    REFUSED = "refused"
    """No connection."""


OUTRIGHT: dict[type, Fate] = {
    Down: Fate.REFUSED,
    BlackHole: Fate.SWALLOWED,
    FailFast: Fate.FAILED,
}


class Door:
    """Of one backend, whose `faults` are plain ones and do not overlap, times from `start` on.

    `luck` decides whom a share strikes, by the order in which requests come.
    """

    def __init__(self, faults: Iterable[FaultTable], luck: Random, start: float = 0.0) -> None:
        ordered = sorted(faults, key=lambda fault: fault.since)
        self._start = start
        self._draw = luck.random
        self._faults = [fault for fault in ordered if fault.place == "door"]
        self._begin = [fault.since for fault in self._faults]
        pauses = [fault for fault in ordered if isinstance(fault, Pause)]
        self._paused_from = [start + pause.since for pause in pauses]
        self._paused_until = [start + pause.until for pause in pauses]

    def __bool__(self) -> bool:
        """Whether there is any reason to ask."""
        return bool(self._faults or self._paused_from)

    @property
    def outages(self) -> list[tuple[float, float]]:
        """When it goes down, losing what is in flight, and comes up again."""
        start = self._start
        downs = (fault for fault in self._faults if isinstance(fault, Down))
        return [(start + fault.since, start + fault.until) for fault in downs]

    def fate(self, now: float) -> Fate:
        """Of a request that comes now."""
        match self._present(now):
            case None | HealthLost():
                return Fate.IN
            case Errors(rate=rate):
                return Fate.SPOILED if self._draw() < rate else Fate.IN
            case Reset(rate=rate):
                return Fate.RESET if self._draw() < rate else Fate.IN
            case fault:
                return OUTRIGHT[type(fault)]

    def listens(self, now: float) -> bool:
        """Whether anybody accepts connections."""
        return not isinstance(self._present(now), Down)

    def answers_at(self, now: float) -> float:
        """When a health check that comes now is answered; infinity for never."""
        if isinstance(self._present(now), BlackHole | HealthLost):
            return INFINITY
        last = bisect_right(self._paused_from, now) - 1
        return max(now, self._paused_until[last]) if last >= 0 else now

    def _present(self, now: float) -> FaultTable | None:
        since = now - self._start
        at = bisect_right(self._begin, since) - 1
        return self._faults[at] if at >= 0 and since < self._faults[at].until else None
