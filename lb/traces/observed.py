"""What was seen of traffic, request by request and attempt by attempt, whoever wrote it down.

All forms that can be calibrated from, recordings of lb and access logs of several proxies, become
this one. What a source does not say is NaN for a time, -1 for a number; `lacking` names it.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from functools import cached_property
from math import nan

from lb.balancing import Setup
from lb.recording.format import ENDS

UNKNOWN = -1
"""In the place of a number that the source does not give."""
OK, CONNECT, RESET, TIMEOUT, SERVER_ERROR, CLIENT_GONE, CANCELLED, REFUSED = range(len(ENDS))
"""What may become of a request, as numbers: places in `ENDS`. The last never came to a backend."""


def _times() -> array[float]:
    return array("d")


def _numbers() -> array[int]:
    return array("q")


@dataclass(frozen=True)
class Attempts:
    """Tries of requests at backends, one entry each, by their start.

    Times are seconds from the first arrival of all.
    """

    request: array[int]
    """Whose: its row in `Observed`."""
    backend: array[int]
    """Its place in `Observed.backends`."""
    started: array[float]
    """When the backend was picked: from here on it counts as in flight."""
    connected: array[float]
    """When there was a connection."""
    first_byte: array[float]
    ended: array[float]
    """After the last byte, or when it broke; NaN where the recording ended before."""
    outcome: array[int]
    """A place in `ENDS`."""
    in_flight: array[int]
    """At the backend when it was picked, this one not counted, as the source tells it; else it can
    be counted, where all requests are here."""

    def __len__(self) -> int:
        return len(self.request)


@dataclass(frozen=True)
class Observed:
    """Requests by arrival, one entry each. Times are seconds from the first arrival."""

    source: str
    """The file, as it was named."""
    backends: tuple[str, ...]
    """Names of all that were ever tried."""
    texts: tuple[str, ...]
    """Keys, as hash strategies see them."""
    arrived: array[float]
    ended: array[float]
    """When the client had the last byte, or knew there would be none; NaN: not seen."""
    outcome: array[int]
    """A place in `ENDS`."""
    status: array[int]
    key: array[int]
    """Places in `texts`."""
    bytes_in: array[int]
    bytes_out: array[int]
    balancer: array[int]
    """Which of several it came to, each of which balanced its own requests only: from 0 on."""
    attempts: Attempts
    setup: Setup | None = None
    """What the balancer was, where the source says; of several, what the first of them was: limits
    are those of one."""
    lacking: frozenset[str] = frozenset()
    """Columns that the source does not have, by their names here (`attempts.connected`, say)."""
    resolution: float = 0.0
    """Seconds that times are rounded to."""
    share: float = 1.0
    """Of the requests that are here: less than 1 in a sample."""
    remarks: tuple[str, ...] = ()
    """What somebody should know who draws conclusions: gaps, clocks that went back, a file that is
    cut short; a sentence each, with the place where there is one."""

    def __len__(self) -> int:
        return len(self.arrived)

    @cached_property
    def balancers(self) -> int:
        """How many requests came to; those of several workers that had none are not counted."""
        return max(self.balancer, default=0) + 1


class Observing:
    """Takes down rows as they are read, in any order."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._backends: dict[str, int] = {}
        self._texts: dict[str, int] = {}
        self._times = [_times() for _ in range(2)]
        self._numbers = [_numbers() for _ in range(6)]
        self._tried = [_times() for _ in range(4)]
        self._tries = [_numbers() for _ in range(4)]

    def backend(self, name: str) -> int:
        """Its place; a new one where it is not known."""
        return self._backends.setdefault(name, len(self._backends))

    def request(
        self,
        arrived: float,
        ended: float = nan,
        outcome: int = OK,
        status: int = UNKNOWN,
        key: str | None = None,
        bytes_in: int = UNKNOWN,
        bytes_out: int = UNKNOWN,
        balancer: int = 0,
    ) -> int:
        """A request; its number, for `attempt`. Times are seconds on any one clock.

        `balancer` is any number that those of one balancer share.
        """
        number = len(self._times[0])
        told = UNKNOWN if key is None else self._texts.setdefault(key, len(self._texts))
        for column, time in zip(self._times, (arrived, ended), strict=True):
            column.append(time)
        values = (outcome, status, told, bytes_in, bytes_out, balancer)
        for numbers, value in zip(self._numbers, values, strict=True):
            numbers.append(value)
        return number

    def attempt(
        self,
        request: int,
        backend: str,
        started: float,
        connected: float = nan,
        first_byte: float = nan,
        ended: float = nan,
        outcome: int = OK,
        in_flight: int = UNKNOWN,
    ) -> None:
        """One try of `request`."""
        times = (started, connected, first_byte, ended)
        for column, time in zip(self._tried, times, strict=True):
            column.append(time)
        values = (request, self.backend(backend), outcome, in_flight)
        for numbers, value in zip(self._tries, values, strict=True):
            numbers.append(value)

    def later(self, request: int, seconds: float) -> None:
        """This request and all behind it came so much later than was said."""
        for column in self._times:
            for row in range(request, len(column)):
                column[row] += seconds
        for row, number in enumerate(self._tries[0]):
            if number >= request:
                for column in self._tried:
                    column[row] += seconds

    def done(
        self,
        *,
        setup: Setup | None = None,
        lacking: frozenset[str] = frozenset(),
        resolution: float = 0.0,
        share: float = 1.0,
        remarks: tuple[str, ...] = (),
    ) -> Observed:
        """All of it, sorted by arrival and counted from the first."""
        arrived, ended = self._times
        outcome, status, key, bytes_in, bytes_out, balancer = self._numbers
        order = sorted(range(len(arrived)), key=arrived.__getitem__)
        first = arrived[order[0]] if order else 0.0
        place = array("q", bytes(8 * len(order)))
        for row, number in enumerate(order):
            place[number] = row
        return Observed(
            source=self._source,
            backends=tuple(self._backends),
            texts=tuple(self._texts),
            arrived=_shifted(arrived, order, first),
            ended=_shifted(ended, order, first),
            outcome=_sorted(outcome, order),
            status=_sorted(status, order),
            key=_sorted(key, order),
            bytes_in=_sorted(bytes_in, order),
            bytes_out=_sorted(bytes_out, order),
            balancer=_counted(_sorted(balancer, order)),
            attempts=self._attempts(place, first),
            setup=setup,
            lacking=lacking,
            resolution=resolution,
            share=share,
            remarks=remarks,
        )

    def _attempts(self, place: array[int], first: float) -> Attempts:
        """Sorted by their start; `place` is the row of each request."""
        started, connected, first_byte, ended = self._tried
        request, backend, outcome, in_flight = self._tries
        order = sorted(range(len(started)), key=started.__getitem__)
        return Attempts(
            request=array("q", [place[request[i]] for i in order]),
            backend=_sorted(backend, order),
            started=_shifted(started, order, first),
            connected=_shifted(connected, order, first),
            first_byte=_shifted(first_byte, order, first),
            ended=_shifted(ended, order, first),
            outcome=_sorted(outcome, order),
            in_flight=_sorted(in_flight, order),
        )


def _sorted(column: array[int], order: list[int]) -> array[int]:
    return array("q", [column[i] for i in order])


def _counted(column: array[int]) -> array[int]:
    """Numbers of any kind as those from 0 on, in their order."""
    place = {number: at for at, number in enumerate(sorted(set(column)))}
    return array("q", map(place.__getitem__, column))


def _shifted(column: array[float], order: list[int], first: float) -> array[float]:
    return array("d", [column[i] - first for i in order])
