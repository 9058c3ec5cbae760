"""How long requests took, as their clients see it, and attempts at them, as backends are seen.

A duration is appended to a list, which costs a request next to nothing; lists become histograms
once in a while.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import NamedTuple

from lb.balancing.departures import Recent
from lb.measures.histogram import Histogram, Spread

EVERY = 1.0
"""Seconds that durations are kept one by one."""


class Series(NamedTuple):
    """What durations are told apart by."""

    backend: str
    """Its name; "" for what the proxy answers itself, and for those that have left long ago."""
    status: int
    """Of the answer; 0 where there was none."""
    outcome: str
    """ "ok", or the code of what went wrong."""


Durations = dict[Series, Histogram]
Whole = dict[int, list[float]]
"""Seconds by status, of requests whose one attempt took as long as they did themselves."""


class Requests:
    """Of one proxy, since it began."""

    def __init__(self) -> None:
        self._wholes: dict[str, Whole] = {}
        self._served: dict[Series, list[float]] = {}
        self._tried: dict[Series, list[float]] = {}
        self._server: Durations = {}
        self._client: Durations = {}
        self._good = Spread()
        self._ends: Counter[str] = Counter()
        self._fold_at = 0.0
        self._present: Counter[str] = Counter()
        self._recent = Recent()

    def whole(self, backend: str) -> Whole:
        """Where durations at a backend may be appended that are a request's and its attempt's."""
        self._present[backend] += 1
        return self._wholes.setdefault(backend, {})

    def left(self, backend: str, now: float) -> None:
        """One who had asked for `whole` has left, and appends nothing any more; unless another one
        comes, who has the same name, what is known is told by name for as long as it is `Recent`.
        """
        self._present[backend] -= 1
        self._recent.left(backend, now)

    def served(self, backend: str, status: int, outcome: str, seconds: float) -> None:
        """A request has ended, so long after it came. `backend` is whose answer its client has."""
        self._served.setdefault(Series(backend, status, outcome), []).append(seconds)

    def tried(self, backend: str, status: int, outcome: str, seconds: float) -> None:
        """An attempt has ended, so long after its backend was picked."""
        self._tried.setdefault(Series(backend, status, outcome), []).append(seconds)

    def fold_sometimes(self, now: float) -> None:
        """The same as `fold`, but for a while after it was done last. Cheap: call it often."""
        if now >= self._fold_at:
            self._fold_at = now + EVERY
            self.fold()
            names = [name for name in self._recent.over(now) if not self._present[name]]
            if names:
                self._forget(names)

    def _forget(self, names: list[str]) -> None:
        """Backends may come and go for years, each under a name of its own.

        What has ended at some since they were forgotten is so now.
        """
        for name in names:
            del self._wholes[name], self._present[name]
        for kept in (self._served, self._tried):
            for series in [it for it in kept if not _known(it, self._wholes)]:
                del kept[series]
        self._server = served_by(self._server, self._wholes)
        self._client = tried_at(self._client, self._wholes)

    def fold(self) -> None:
        """Put all that was appended into histograms."""
        for backend, whole in self._wholes.items():
            for status, seconds in whole.items():
                if seconds:
                    found = Histogram()
                    found.take(seconds)
                    series = Series(backend, status, "ok" if status < 500 else "server_error")
                    self._server.setdefault(series, Histogram()).add(found)
                    self._client.setdefault(series, Histogram()).add(found)
                    self._ended(series, seconds)
                    seconds.clear()
        for series, seconds in self._served.items():
            if seconds:
                self._server.setdefault(series, Histogram()).take(seconds)
                self._ended(series, seconds)
                seconds.clear()
        for series, seconds in self._tried.items():
            if seconds:
                self._client.setdefault(series, Histogram()).take(seconds)
                seconds.clear()

    def _ended(self, series: Series, seconds: list[float]) -> None:
        self._ends[series.outcome] += len(seconds)
        if series.outcome == "ok":
            self._good.take(seconds)

    @property
    def good(self) -> Spread:
        """Of good answers of all backends, those that have left too, as `server` has it; a copy."""
        self.fold()
        return self._good.copy()

    @property
    def ends(self) -> dict[str, int]:
        """How many requests have ended how, with all backends; a copy."""
        self.fold()
        return dict(self._ends)

    @property
    def server(self) -> Durations:
        """From a request's head to the last byte of its answer; a copy."""
        self.fold()
        return {series: durations.copy() for series, durations in self._server.items()}

    @property
    def client(self) -> Durations:
        """From the pick of a backend to the last byte of its answer, each attempt; a copy."""
        self.fold()
        return {series: durations.copy() for series, durations in self._client.items()}


def added(one: Durations, other: Durations) -> Durations:
    """Both together."""
    found = dict(one)
    for series, durations in other.items():
        both = durations.copy()
        if series in one:
            both.add(one[series])
        found[series] = both
    return found


def served_by(durations: Durations, known: Collection[str]) -> Durations:
    """Those of backends that are `known`, and of what the proxy has answered itself."""
    return {series: it for series, it in durations.items() if _known(series, known)}


def tried_at(durations: Durations, known: Collection[str]) -> Durations:
    """The same with all other backends under ""."""
    found = served_by(durations, known)
    for series, it in durations.items():
        if series not in found:
            place = series._replace(backend="")
            both = it.copy()
            if place in found:
                both.add(found[place])
            found[place] = both
    return found


def _known(series: Series, names: Collection[str]) -> bool:
    return not series.backend or series.backend in names
