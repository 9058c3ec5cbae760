"""What was seen of traffic, as columns of numpy: waits, in flight at dispatch, visits of backends.

Nothing is copied: the columns are views of those of `lb.traces.observed.Observed`.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lb.traces.observed import CONNECT, OK, SERVER_ERROR, Observed
from sim.model.laws import Floats

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Visits:
    """Attempts at one backend by their start; shape (n,) each. Times in seconds from the first
    arrival of all.
    """

    rows: Ints
    """Which attempts they are, of all."""
    started: Floats
    connected: Floats
    """The start where the source does not say."""
    first_byte: Floats
    """The end where the source does not say; NaN where nothing was answered."""
    ended: Floats
    """Infinite where the recording ended before."""
    outcome: Ints

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def answered(self) -> Flags:
        """Whether the backend had its say, be it an error."""
        answered: Flags = (self.outcome == OK) | (self.outcome == SERVER_ERROR)
        answered &= np.isfinite(self.first_byte)
        return answered

    @property
    def failed(self) -> Flags:
        """Whether the backend answered with an error."""
        failed: Flags = self.outcome == SERVER_ERROR
        return failed

    @property
    def reached(self) -> Flags:
        """Whether the backend heard of it at all."""
        reached: Flags = self.outcome != CONNECT
        return reached

    @property
    def worked(self) -> Flags:
        """Whether the backend may have worked at it: it heard of it, and answered (be it within a
        tick of the clock) or had some time.
        """
        worked: Flags = self.reached & ((self.ended > self.started) | self.answered)
        return worked


@dataclass(frozen=True)
class Seen:
    """Columns of requests by arrival, and of attempts by their start."""

    observed: Observed
    arrived: Floats
    ended: Floats
    outcome: Ints
    status: Ints
    key: Ints
    balancer: Ints
    """The one each request came to."""
    request: Ints
    """Of each attempt, the row of its request."""
    backend: Ints
    started: Floats
    connected: Floats
    first_byte: Floats
    left: Floats
    """When each attempt ended; NaN where the recording ended before."""
    fate: Ints
    """The outcome of each attempt."""
    unjudged: tuple[tuple[float, float], ...] = ()
    """From when to when requests came by which no model is judged."""

    @classmethod
    def of(cls, observed: Observed) -> Seen:
        """Views of its columns."""
        tried = observed.attempts
        return cls(
            observed,
            _floats(observed.arrived),
            _floats(observed.ended),
            _ints(observed.outcome),
            _ints(observed.status),
            _ints(observed.key),
            _ints(observed.balancer),
            _ints(tried.request),
            _ints(tried.backend),
            _floats(tried.started),
            _floats(tried.connected),
            _floats(tried.first_byte),
            _floats(tried.ended),
            _ints(tried.outcome),
        )

    def __len__(self) -> int:
        return len(self.arrived)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the backends."""
        return self.observed.backends

    @property
    def seconds(self) -> float:
        """From the first arrival to the last."""
        return float(self.arrived[-1] - self.arrived[0]) if len(self) else 0.0

    @property
    def good(self) -> Flags:
        """Whether each request had a good answer; shape (requests,)."""
        good: Flags = (self.outcome == OK) & np.isfinite(self.ended)
        return good

    @property
    def latency(self) -> Floats:
        """What clients saw in seconds, of the good ones, by arrival."""
        return (self.ended - self.arrived)[self.good]

    @cached_property
    def tries(self) -> Ints:
        """Attempts of each request; shape (requests,)."""
        return np.bincount(self.request, minlength=len(self))

    @cached_property
    def last(self) -> Ints:
        """The row of the last attempt of each request; -1 where there was none."""
        rows = np.full(len(self), -1, np.int64)
        rows[self.request] = np.arange(len(self.request))
        return rows

    @cached_property
    def wait(self) -> Floats:
        """Seconds from arrival to the first pick, NaN where there was none; shape (requests,)."""
        rows = np.full(len(self), -1, np.int64)
        rows[self.request[::-1]] = np.arange(len(self.request))[::-1]
        return np.where(rows >= 0, self.started[rows] - self.arrived, np.nan)

    @property
    def shares(self) -> Floats:
        """Of the good answers, each backend's; shape (backends,)."""
        rows = self.last[self.good]
        counts = np.bincount(self.backend[rows[rows >= 0]], minlength=len(self.names))
        return counts / max(int(counts.sum()), 1)

    @cached_property
    def found(self) -> Ints:
        """How many each attempt found in flight at its backend when that was picked; shape
        (attempts,).
        """
        found = np.empty(len(self.started), np.int64)
        for place in range(len(self.names)):
            rows = np.flatnonzero(self.backend == place)
            ends = np.sort(np.where(np.isnan(self.left[rows]), np.inf, self.left[rows]))
            over = np.searchsorted(ends, self.started[rows], side="right")
            found[rows] = np.arange(len(rows)) - over
        return np.maximum(found, 0)

    def in_flight(self, at: Floats) -> Ints:
        """How many are in flight at each backend at each of some times; shape (backends, times)."""
        rows = []
        for place in range(len(self.names)):
            mine = self.backend == place
            ends = np.sort(np.where(np.isnan(self.left[mine]), np.inf, self.left[mine]))
            begun = np.searchsorted(self.started[mine], at, side="right")
            rows.append(begun - np.searchsorted(ends, at, side="right"))
        return np.array(rows, np.int64).reshape(len(self.names), len(at))

    def visits(self, place: int) -> Visits:
        """Attempts at the backend of that place in `names`."""
        rows = np.flatnonzero(self.backend == place)
        started, connected = self.started[rows], self.connected[rows]
        ended, first = self.left[rows], self.first_byte[rows]
        fate = self.fate[rows]
        told = ((fate == OK) | (fate == SERVER_ERROR)) & np.isnan(first)
        return Visits(
            rows,
            started,
            np.where(np.isnan(connected), started, connected),
            np.where(told, ended, first),
            np.where(np.isnan(ended), np.inf, ended),
            fate,
        )


def _floats(column: array[float]) -> Floats:
    return np.frombuffer(_some(column), np.float64) if column else np.empty(0)


def _ints(column: array[int]) -> Ints:
    return np.frombuffer(_some(column), np.int64) if column else np.empty(0, np.int64)


def _some(column: Any) -> memoryview:
    return memoryview(column)
