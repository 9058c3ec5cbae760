"""What a run records, and what can be read off it without statistics."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lb.balancing import Outcome, Why
from sim.analysis.fates import Fates
from sim.model.laws import Floats


class Late(Enum):
    """What the proxy says where neither a backend nor its balancer has ended a request."""

    TOO_LATE = "too_late"
    """It took longer than any may (`timeouts.total`)."""


Reason = Why | Outcome | Late
"""Why a request has no good answer."""
TIMEOUTS = (Why.QUEUE_TIMEOUT, Outcome.TIMEOUT, Late.TOO_LATE)
GONE = Outcome.CLIENT_GONE
Refusal = tuple[int, float, Reason]
"""Index of a request, when its client heard, and why."""


@dataclass(frozen=True)
class Lost:
    """Attempts that brought no answer, one row each; they took a place all the same.

    Columns are those of a `Record`; `left` is infinite where the work outlasted the run.
    """

    backend: NDArray[np.int64]
    started: Floats
    ended: Floats
    reached: Floats
    left: Floats

    @classmethod
    def of(cls, rows: Sequence[float] = ()) -> Lost:
        """`rows` hold five figures for each attempt, one after the other."""
        table = np.array(rows, dtype=float).reshape(-1, 5)
        backend, *times = table.T
        return cls(backend.astype(np.int64), *times)


class Visits(NamedTuple):
    """When requests came to a station and when they left it; the two are not in one order."""

    entered: array[float]
    left: array[float]


@dataclass(frozen=True)
class Record:
    """One replication. Arrays have one entry per successful request, by arrival.

    Times are seconds from the start.
    """

    requests: int
    arrived: Floats
    started: Floats
    """When the balancer sent the request to its backend."""
    ended: Floats
    """When the client had the last byte."""
    backend: NDArray[np.int64]
    """Place of the backend in the configuration."""
    reached: Floats
    """When the request was at its backend."""
    left: Floats
    """When its answer left there."""
    until: float
    """The last arrival: rates and occupancies are taken up to here, before the system empties."""
    failed: int = 0
    """Requests without a good answer, whatever became of them; the next three are parts of it."""
    rejected: int = 0
    """Turned away without an attempt, before any time limit."""
    timed_out: int = 0
    gone: int = 0
    """Clients who left without an answer."""
    retried: int = 0
    hedged: int = 0
    came_again: int = 0
    """Requests of clients who had failed before."""
    refused: Mapping[str, int] = field(default_factory=dict)
    """Failed requests by reason."""
    failures: Floats = field(default_factory=lambda: np.empty((2, 0)))
    """When each failed request arrived, and when its client knew; shape (2, failed)."""
    reasons: Sequence[str] = ()
    """Why, of each of these."""
    lost: Lost = field(default_factory=Lost.of)
    rotation: Floats | None = None
    """Who was usable, see `Fates`."""
    ejected: Sequence[tuple[int, float]] = ()
    """Which backend was ejected when."""
    troubles: Sequence[tuple[int, float, float]] = ()
    """Which backend had a fault from when to when."""
    own: Mapping[int, Visits] = field(default_factory=dict)
    """At the workers of a backend, where not all that are there keep one busy: those whose requests
    go on elsewhere, and those that have a line each; of these the times of work."""
    shared: Mapping[str, Visits] = field(default_factory=dict)
    """At each shared station, by name."""
    proxies: Sequence[Visits] = ()
    """At the thread of each balancer, where its own work takes time."""

    @classmethod
    def of(
        cls,
        arrived: array[float],
        delays: Floats | None,
        backend: array[int],
        started: array[float],
        ended: array[float],
        refused: Sequence[Refusal] = (),
        retried: int = 0,
        hedged: int = 0,
        came_again: int = 0,
        lost: Sequence[float] = (),
        rotation: Floats | None = None,
        ejected: Sequence[tuple[int, float]] = (),
    ) -> Record:
        """From what a world wrote down for each request; `ended` is NaN where none succeeded."""
        ends, arrivals = np.asarray(ended), np.asarray(arrived)
        who = np.flatnonzero(np.isfinite(ends))
        starts, ends = np.asarray(started)[who], ends[who]
        whys = Counter(why for _, _, why in refused)
        timed_out = sum(whys[why] for why in TIMEOUTS)
        rejected = sum(n for why, n in whys.items() if isinstance(why, Why) and why not in TIMEOUTS)
        return cls(
            requests=len(arrivals),
            arrived=arrivals[who],
            started=starts,
            ended=ends,
            backend=np.asarray(backend)[who],
            reached=starts if delays is None else starts + delays[0, who],
            left=ends if delays is None else ends - delays[1, who],
            until=float(arrivals.max()) if len(arrivals) else 0.0,
            failed=len(refused),
            rejected=rejected,
            timed_out=timed_out,
            gone=whys[GONE],
            retried=retried,
            hedged=hedged,
            came_again=came_again,
            refused={why.value: number for why, number in whys.items()},
            failures=np.array([(arrivals[index], at) for index, at, _ in refused]).reshape(-1, 2).T,
            reasons=[why.value for _, _, why in refused],
            lost=Lost.of(lost),
            rotation=rotation,
            ejected=ejected,
        )

    @property
    def completed(self) -> int:
        return len(self.arrived)

    @property
    def fates(self) -> Fates:
        """Every request by arrival, those that failed too."""
        arrived = np.concatenate([self.arrived, self.failures[0]])
        ended = np.concatenate([self.ended, self.failures[1]])
        order = np.argsort(arrived, kind="stable")
        good = order < len(self.arrived)
        return Fates(arrived[order], ended[order], good, self.rotation)

    @property
    def latency(self) -> Floats:
        """What clients saw, seconds."""
        return self.ended - self.arrived

    @property
    def picks(self) -> NDArray[np.int64]:
        """Backends in the order they were picked."""
        return self.backend[np.argsort(self.started, kind="stable")]

    def ejections(self, order: int, memory: float) -> tuple[int, int]:
        """How often a backend was ejected, and how often falsely.

        That is when it had no fault, and had not had one within `memory` seconds: what became of
        requests then may still have been held against it.
        """
        mine = [at for place, at in self.ejected if place == order]
        spans = [(since, until) for place, since, until in self.troubles if place == order]
        rightly = sum(any(since <= at <= until + memory for since, until in spans) for at in mine)
        return len(mine), len(mine) - rightly

    def entered(self, order: int) -> int:
        """How many attempts a backend took in, those whose answer nobody waited for too."""
        answered = len(self.answered_by(order))
        if not len(self.lost.backend):
            return answered
        mine = self.lost.backend == order
        return answered + int(np.count_nonzero(mine & (self.lost.left > self.lost.reached)))

    def answered_by(self, order: int) -> NDArray[np.intp]:
        """Which successful requests one backend answered: their rows, by arrival."""
        rows, bounds = self._by_backend
        return rows[bounds[order] : bounds[order + 1]] if order + 1 < len(bounds) else rows[:0]

    @cached_property
    def _by_backend(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """All rows, backend by backend, and where each begins: looked for once, not by everyone."""
        count = int(self.backend.max()) + 1 if len(self.backend) else 0
        # Short numbers are sorted by their digits, which takes a tenth of the time.
        narrow = self.backend.astype(np.uint16) if count <= 1 << 16 else self.backend
        rows = np.argsort(narrow, kind="stable")
        return rows, np.searchsorted(self.backend[rows], np.arange(count + 1))

    def in_flight(self, order: int | None = None) -> tuple[Floats, Floats]:
        """When each attempt began and ended, at one backend or at all, the lost ones too."""
        return self._stays(order, "started", "ended")

    def present(self, order: int) -> tuple[Floats, Floats]:
        """When each attempt came to a backend and left it, the lost ones too."""
        return self._stays(order, "reached", "left")

    def at_work(self, order: int) -> tuple[Floats, Floats]:
        """When each came to the workers of a backend and left them, in their line too."""
        if order in self.own:
            entered, left = map(np.asarray, self.own[order])
            return entered, left
        return self.present(order)

    def _stays(self, order: int | None, entered: str, left: str) -> tuple[Floats, Floats]:
        if not len(self.lost.backend):
            rows = slice(None) if order is None else self.answered_by(order)
            return getattr(self, entered)[rows], getattr(self, left)[rows]
        if order is None:
            mine: slice | NDArray[np.intp] = slice(None)
            others: slice | NDArray[np.bool_] = slice(None)
        else:
            mine, others = self.answered_by(order), self.lost.backend == order
        first, last = (
            np.concatenate([getattr(self, name)[mine], getattr(self.lost, name)[others]])
            for name in (entered, left)
        )
        return first, last

    def after(self, warmup: float, cooldown: float = 0.0) -> Record:
        """The requests that arrived at `warmup` or later; the others' counts stay.

        None that came within `cooldown` seconds of the last arrival, unless that is 0.
        """
        kept = self._within(warmup, cooldown)
        columns = ("arrived", "started", "ended", "backend", "reached", "left")
        return replace(self, **{name: getattr(self, name)[kept] for name in columns})

    def latency_after(self, warmup: float, cooldown: float = 0.0) -> Floats:
        """The latencies of the same requests."""
        return self.latency[self._within(warmup, cooldown)]

    def _within(self, warmup: float, cooldown: float) -> NDArray[np.bool_]:
        kept = self.arrived >= warmup
        if cooldown:
            kept &= self.arrived < self.until - cooldown
        return kept


def mean_inside(entered: Floats, left: Floats, since: float, until: float) -> float:
    """How many are inside on average over a time: what all of them spend there, over its length."""
    if until <= since:
        return 0.0
    stays = np.clip(left, since, until) - np.clip(entered, since, until)
    return float(stays.sum() / (until - since))


def occupancy(entered: Floats, left: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """How many are inside: times of change, ascending, and the number from each time on."""
    times = np.concatenate([entered, left])
    steps = np.repeat(np.array([1, -1], np.int64), [len(entered), len(left)])
    order = np.argsort(times, kind="stable")
    return times[order], np.cumsum(steps[order])


def time_average(times: Floats, numbers: NDArray[np.int64], since: float, until: float) -> float:
    """The mean of a step function over [since, until]."""
    if until <= since or not len(times):
        return 0.0
    edges = np.clip(np.append(times, until), since, until)
    return float((numbers * np.diff(edges)).sum() / (until - since))  # BLAS would take all cores


def binned(times: Floats, numbers: NDArray[np.int64], edges: Floats) -> tuple[Floats, ...]:
    """Mean, least and most of a step function in every bin; three arrays, one entry per bin.

    `times` ascend, `numbers` hold from each time on; before the first it is zero. What lasts no
    time is not seen.
    """
    lasting = np.append(np.diff(times) > 0, True)
    times, numbers = times[lasting], numbers[lasting]
    area = np.concatenate([[0.0], np.cumsum(numbers[:-1] * np.diff(times))])
    mean = np.diff(np.interp(edges, times, area)) / np.diff(edges)
    held = np.concatenate([[0], numbers, [0]])  # reduceat wants an element behind the last slice
    first = np.searchsorted(times, edges[:-1], side="right")
    last = np.searchsorted(times, edges[1:], side="left")
    slices = np.column_stack([first, last + 1]).ravel()
    low = np.minimum.reduceat(held, slices)[::2]
    high = np.maximum.reduceat(held, slices)[::2]
    return mean, low.astype(float), high.astype(float)
