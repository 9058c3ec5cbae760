"""A journal that counts: what is written down of a request is gone when the request is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lb.balancing import Lease
from sim.analysis.brief import Brief
from sim.analysis.record import Reason
from sim.engine.journal import NAN, Journal
from sim.engine.request import Request
from sim.model.flow import BITS, CHUNK, Flow, gathered

AT_ONCE = 1 << 14
"""Ends that are counted together."""


class Places(dict[int, int]):
    """Where each request under way is; nowhere, where nothing is written down."""

    def __missing__(self, index: int) -> int:
        return -1


class Ends:
    """Takes the end of each request; whoever is not under way has ended."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def __getitem__(self, index: int) -> float:
        return NAN if index in self._tally.where else 0.0

    def __setitem__(self, index: int, now: float) -> None:
        self._tally.end(index, now)


class Tally(Journal):
    """A journal of the requests of a flow, which makes a brief of them.

    `shapes` names the law of sizes of each backend, `means` their mean service times.
    """

    def __init__(
        self,
        over: Callable[[float], None],
        flow: Flow,
        shapes: Sequence[str],
        means: Sequence[float],
        cut: float,
    ) -> None:
        super().__init__(over)
        self._flow, self._shapes = flow, shapes
        self._means = np.array(means)
        self._brief = Brief(len(flow), len(shapes), cut)
        self._rows: list[int] = []
        self._columns: list[tuple[int, float, float]] = []  # place, started, ended
        self._left_of: Counter[int] = Counter()  # ends in each chunk so far
        self.where = Places()
        self._begun: dict[int, float] = {}
        columns: Any = (flow.times, self.where, self._begun, Ends(self))
        self.arrived, self.backend, self.started, self.ended = columns

    def expect(self, arrivals: Sequence[float]) -> None:
        self.left += len(arrivals)

    def none_waits(self) -> None:
        """An attempt begins with its request unless something else is written down."""

    def end(self, index: int, now: float) -> None:
        """A request has its answer."""
        begun = self._begun.pop(index, None)
        started = self._flow.times[index] if begun is None else begun
        self._rows.append(index)
        self._columns.append((self.where.pop(index), started, now))
        if len(self._rows) == AT_ONCE:
            self._count()

    def refuse(self, request: Request, now: float, why: Reason) -> None:
        self._brief.refuse(why)
        self.where.pop(request.index, None)
        self._forget([request.index])
        self.left -= 1
        if not self.left:
            self.over(now)

    def lose(
        self, lease: Lease[Request], place: int, now: float, reached: float, left: float
    ) -> None:
        self._brief.until = self._flow.until
        self._brief.lost(place, lease.started_at, now)

    def late(self, lease: Lease[Request], left: float) -> None:
        """Nobody counts what nobody waited for."""

    def brief(self) -> Brief:
        """All of it."""
        self._count()
        brief = self._brief
        brief.retried, brief.hedged, brief.came_again = self.retried, self.hedged, self.came_again
        brief.ejected = self.ejected
        return brief

    def _count(self) -> None:
        """Take into account what has ended, and let it go."""
        flow, brief = self._flow, self._brief
        brief.until = flow.until
        rows = np.array(self._rows, np.int64)
        place, started, ended = np.array(self._columns).reshape(-1, 3).T
        where = place.astype(np.int64)
        left = ended - gathered(flow.ways[1], rows) if flow.ways else ended
        work = np.empty(len(rows))
        for name, sizes in flow.sizes.items():
            mine = np.array([shape == name for shape in self._shapes])[where]
            work[mine] = gathered(sizes, rows[mine])
        work *= self._means[where]
        brief.ended(rows, where, gathered(flow.times, rows), started, ended, left, work)
        self._forget(self._rows)
        self._rows, self._columns = [], []

    def _forget(self, rows: Sequence[int]) -> None:
        flow = self._flow
        for chunk, count in Counter(row >> BITS for row in rows).items():
            self._left_of[chunk] += count
            if self._left_of[chunk] == min(CHUNK, len(flow) - (chunk << BITS)):
                del self._left_of[chunk]
                flow.forget(chunk)
