"""Faults of a backend's time: a clock around its station that goes slower, or stands still.

Stations work in time of their own, so a fault needs no word from them: arrivals are mapped into the
station's time and departures out of it. A backend without faults has no clock at all. Faults that
keep requests out or falsify answers are no matter of time: see `sim.model.door`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import Generic

from lb.config import ColdStart, FaultTable, Pause, Slow, StationTable
from sim.model.stations import INFINITY, J, Station, station

Span = tuple[float, float, float]
"""From, to, and how many seconds one second of work takes in between; infinity stands still."""


class Clock:
    """A time that goes at another pace within `spans`, which do not overlap; piecewise linear.

    Spans count from `start`, before which nothing is asked. Times inside equal those outside until
    the first span begins.
    """

    def __init__(self, spans: Iterable[Span], start: float = 0.0) -> None:
        self._outside, self._inside, self._factors = [start], [start], [1.0]
        for since, until, factor in sorted(spans):
            self._turn(start + since, factor)
            self._turn(start + until, 1.0)

    def _turn(self, outside: float, factor: float) -> None:
        self._inside.append(self.inside(outside))
        self._outside.append(outside)
        self._factors.append(factor)

    def inside(self, outside: float) -> float:
        """What the clock shows at a moment outside."""
        at = bisect_right(self._outside, outside) - 1
        return self._inside[at] + (outside - self._outside[at]) / self._factors[at]

    def outside(self, inside: float, after: float) -> float:
        """The first moment from `after` on at which the clock comes to show `inside`.

        What a pause begins with is over before it; what arrives within it waits for its end.
        """
        at = max(bisect_left(self._inside, inside) - 1, 0)
        moment = self._outside[at] + (inside - self._inside[at]) * self._factors[at]
        if moment < after:  # within a pause, or by rounding
            moment = self._outside[bisect_right(self._inside, inside) - 1]
        return max(moment, after)


class Clocked(Generic[J]):
    """A station that lives by a clock; itself one to everybody outside."""

    def __init__(self, inner: Station[J], clock: Clock) -> None:
        self._inner = inner
        self._clock = clock
        self._arrived = 0.0
        self._shown = 0.0

    def arrive(self, job: J, now: float, service: float) -> bool:
        self._arrived = now
        # Rounding must not make the station's time go back behind a departure of this moment.
        self._shown = max(self._shown, self._clock.inside(now))
        return self._inner.arrive(job, self._shown, service)

    def __len__(self) -> int:
        return len(self._inner)

    def next_departure(self) -> float:
        due = self._inner.next_departure()
        return due if due == INFINITY else self._clock.outside(due, self._arrived)

    def depart(self) -> tuple[float, J]:
        at = self.next_departure()
        self._shown, job = self._inner.depart()
        return at, job


class Warming(Generic[J]):
    """A station that is slow while it is cold: what comes in then is more work.

    How much more is settled when it comes, by the time or by the requests served since the start.
    """

    def __init__(self, inner: Station[J], colds: Iterable[ColdStart], start: float) -> None:
        self._inner = inner
        self._start = start
        self._colds = sorted(colds, key=lambda cold: cold.since)
        self._begin = [cold.since for cold in self._colds]
        self._cold: ColdStart | None = None
        self._served = 0

    def arrive(self, job: J, now: float, service: float) -> bool:
        return self._inner.arrive(job, now, service * self._factor(now - self._start))

    def __len__(self) -> int:
        return len(self._inner)

    def next_departure(self) -> float:
        return self._inner.next_departure()

    def depart(self) -> tuple[float, J]:
        self._served += 1
        return self._inner.depart()

    def _factor(self, now: float) -> float:
        last = bisect_right(self._begin, now) - 1
        cold = self._colds[last] if last >= 0 and now < self._colds[last].until else None
        if cold is not self._cold:
            self._cold, self._served = cold, 0
        if cold is None:
            return 1.0
        if cold.requests is not None:
            warmth = min(self._served / cold.requests, 1.0)
        else:
            warmth = (now - cold.since) / (cold.until - cold.since)
        return cold.factor - (cold.factor - 1.0) * warmth


def spans_of(faults: Iterable[FaultTable]) -> list[Span]:
    """What `faults`, plain ones, make of the time."""
    return [(f.since, f.until, f.factor) for f in faults if isinstance(f, Slow | Pause)]


def colds_of(faults: Iterable[FaultTable]) -> list[ColdStart]:
    """The cold starts among them."""
    return [fault for fault in faults if isinstance(fault, ColdStart)]


def timely(faults: Iterable[FaultTable]) -> list[FaultTable]:
    """Those that a station knows; the others keep requests out, or falsify answers."""
    return [fault for fault in faults if isinstance(fault, Slow | Pause | ColdStart)]


def faulty_station(
    model: StationTable, faults: Sequence[FaultTable], start: float = 0.0
) -> Station[J]:
    """An empty station for `model` that suffers `faults`, plain ones with times from `start` on.

    Those that are no matter of time it does not know.
    """
    it: Station[J] = station(model)
    if spans := spans_of(faults):
        it = Clocked(it, Clock(spans, start))
    if colds := colds_of(faults):
        it = Warming(it, colds, start)
    return it
