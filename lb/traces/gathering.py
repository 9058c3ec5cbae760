"""Lines of a log as what was seen: lines that are broken, clocks that go back, gaps.

A few broken lines are counted and left out: at most `BROKEN` of all, or `FEW`. More of them are an
error that names the first. A clock that goes back within the time that the file tells of was set
back: what follows is taken to go on at once. Lines from before all others are a file that was put
behind a later one: they keep their time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from itertools import pairwise
from math import log
from typing import Protocol

from lb.errors import ConfigError
from lb.traces.clocks import set_back
from lb.traces.observed import Observed, Observing
from lb.traces.rows import wrong
from lb.traces.sighting import Sighting

FEW, BROKEN = 3, 0.01
BACK = 5.0
"""Seconds that a line may be out of order: workers write what they have buffered."""
GAP, GAPS = 10.0, 3
"""Seconds without anybody that are worth a word, where ten times the longest that chance explains
is less; and how many of them are told."""
MICROSECOND = 6
"""Digits; sums of times since 1970 are no finer."""
WHOLE = 1.0
"""A resolution from which on the order of lines says more of the time than the time itself."""


class Form(Protocol):
    """How lines of one kind are read."""

    name: str
    resolution: float
    lacking: frozenset[str]

    def read(self, text: str) -> Sighting | str:
        """A request, or why the line is of none. Raises ValueError: not a line of this kind."""
        ...


def gathered(
    source: str,
    lines: Iterable[tuple[int, str, bool]],
    form: Form,
    known: Callable[[str], str] = lambda _: "",
) -> Observed:
    """Everything that `lines` (number, text, whether it is whole) tell. Raises ConfigError.

    `known` says which form a line has that is not of `form`.
    """
    return _Gathering(source, form, known).of(lines)


def _goes_back(line: int, seconds: float) -> str:
    return (
        f"line {line}: the clock goes back by {seconds:.3f} s; what follows is taken to go on at "
        "once"
    )


class _Gathering:
    def __init__(self, source: str, form: Form, known: Callable[[str], str]) -> None:
        self._source = source
        self._form = form
        self._known = known
        self._rows = Observing(source)
        self._requests = 0
        self._lines = 0
        self._broken = 0
        self._first: tuple[int, str, str] = 0, "", ""  # of the broken ones: line, why, text
        self._others: Counter[str] = Counter()
        self._remarks: list[str] = []
        self._latest = self._earliest = 0.0
        self._late = 0.0  # what is added to the log's clock
        self._second: list[Sighting] = []  # of one second, where lines tell no more
        self._hidden = 0
        self._contradictions = 0
        self._ends: list[tuple[float, int]] = []

    def of(self, lines: Iterable[tuple[int, str, bool]]) -> Observed:
        for line, text, whole in lines:
            self._lines += 1
            try:
                found = self._form.read(text)
            except ValueError as error:
                if whole:
                    self._broken += 1
                    if self._broken == 1:
                        self._first = line, str(error), text
                else:
                    self._remarks.append(f"line {line}, the last one, is cut short: left out")
                continue
            if isinstance(found, str):
                self._others[found] += 1
            else:
                self._clocked(line, found)
        self._spread()
        self._judge()
        self._set_right()
        return self._rows.done(
            lacking=self._form.lacking,
            resolution=self._form.resolution,
            remarks=tuple(self._told()),
        )

    def _clocked(self, line: int, found: Sighting) -> None:
        found = found.later(self._late)
        back = self._latest - found.ended
        if self._requests and back > BACK:
            if found.ended >= self._earliest:
                self._late += back
                found = found.later(back)
                self._remarks.append(_goes_back(line, back))
            else:
                self._remarks.append(
                    f"line {line}: from before all lines above it, by {back:.3f} s; sorted by time"
                )
                self._latest = found.ended
        if not self._requests:
            self._earliest = self._latest = found.ended
        self._earliest = min(self._earliest, found.ended)
        self._latest = max(self._latest, found.ended)
        self._requests += 1
        self._ends.append((found.ended, line))
        self._hidden += found.hidden > 0
        self._contradictions += found.contradicts
        if self._form.resolution < WHOLE:
            self._take(found)
        else:
            if self._second and self._second[-1].ended != found.ended:
                self._spread()
            self._second.append(found)

    def _set_right(self) -> None:
        """After clocks that were set back by less than lines may be out of order otherwise."""
        if self._form.resolution >= WHOLE:
            return
        for place, seconds in set_back([ended for ended, _ in self._ends]):
            self._rows.later(place, seconds)
            moved = ((ended + seconds, line) for ended, line in self._ends[place:])
            line = self._ends[place][1]
            self._ends[place:] = list(moved)
            self._remarks.append(_goes_back(line, seconds))

    def _spread(self) -> None:
        """Lines of one second are in the order of their ends."""
        count = len(self._second)
        for place, found in enumerate(self._second):
            self._take(found.later((place + 0.5) / count * self._form.resolution))
        self._second.clear()

    def _take(self, found: Sighting) -> None:
        """Times to the microsecond: what a log calls one time is one, and lines keep their order
        in it, which is that of their ends.
        """
        row = self._rows.request(
            round(found.arrived, MICROSECOND),
            round(found.ended, MICROSECOND),
            found.outcome,
            found.status,
            found.key,
            found.bytes_in,
            found.bytes_out,
        )
        for visit in found.visits:
            self._rows.attempt(
                row,
                visit.backend,
                round(visit.started, MICROSECOND),
                round(visit.connected, MICROSECOND),
                round(visit.first_byte, MICROSECOND),
                round(visit.ended, MICROSECOND),
                visit.outcome,
            )

    def _judge(self) -> None:
        """Raises ConfigError where too much is broken, or nothing is left."""
        line, why, text = self._first
        if self._broken > max(FEW, BROKEN * self._lines):
            other = self._known(text)
            if other and other != self._form.name:
                why += f": it is {other}; one file holds one format"
            count = f"{self._broken} of {self._lines} lines are not {self._form.name}"
            raise wrong(self._source, line, f"{why}; {count}, and at most {BROKEN:.0%} may be")
        if not self._requests and self._broken:
            raise wrong(self._source, line, why)
        if not self._requests:
            why = "; ".join(f"{count} {what}" for what, count in self._others.items())
            raise ConfigError([f"{self._source}: holds no request that came to a backend: {why}"])

    def _told(self) -> Iterable[str]:
        if self._form.resolution >= WHOLE:
            yield (
                "times are whole seconds: lines of one second are spread over it in their order; "
                "log milliseconds to know more"
            )
        if self._broken:
            line, why, _ = self._first
            more = self._broken - 1
            yield f"line {line}: {why}" + f"; {more} more like it" * (more > 0) + ": left out"
        yield from self._remarks
        for what, count in self._others.items():
            yield f"left out: {count} {what}"
        if self._hidden:
            yield (
                f"{self._hidden} of {self._requests} requests were tried more than once; of their "
                "tries the log tells the last one"
            )
        if self._contradictions:
            yield (
                f"{self._contradictions} of {self._requests} lines call an answer ok whose status "
                "is 500 or more: taken for errors of the server"
            )
        yield from self._gaps()

    def _gaps(self) -> Iterable[str]:
        ends = sorted(self._ends)
        count = len(ends)
        if count < 3:
            return
        gaps = sorted(
            ((after[0] - before[0], before[1], after[1]) for before, after in pairwise(ends)),
            reverse=True,
        )
        span = ends[-1][0] - ends[0][0]
        told = 0
        for gap, before, after in gaps[:GAPS]:
            span -= gap
            usual = span / max(count - 2 - told, 1)
            if gap > max(GAP, 10 * usual * log(count)):
                told += 1
                yield (
                    f"nothing ends for {gap:.3f} s between lines {before} and {after}: nobody "
                    "came, or lines are missing"
                )
