"""A heap of deadlines: who is due first is picked, and of those due together who waited longest.

Whoever is picked is due again one step later. How long a step is, in whole numbers so that ties are
ties, is what the algorithms built on this say.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from heapq import heapify, heappop, heappush, heapreplace
from typing import Any

from lb.native.marks import mypyc_attr
from lb.strategies.candidate import B
from lb.strategies.parts.avoiding import pick_avoiding
from lb.strategies.parts.heedless import Heedless
from lb.strategies.reasons import Reasons, Rule, others

Entry = Any
"""Deadline, the turn it was set at, order, in a tuple that compiled code does not take apart. The
turn makes ties first in, first out."""


@mypyc_attr(allow_interpreted_subclasses=True)
class Deadlines(Heedless[B]):
    """The heap, in a virtual time of its own. Stale entries are dropped when they come up."""

    def __init__(self) -> None:
        self._members: dict[int, B] = {}  # by order, blocked ones too
        self._entry: dict[int, Entry] = {}  # of those that take turns, by order
        self._kept: dict[int, int] = {}  # what was left to the deadline of the blocked, by order
        self._heap: list[Entry] = []
        self._now = 0
        self._turn = 0

    @abstractmethod
    def _step(self, order: int) -> int:
        """From one deadline of a member to its next."""

    def join(self, backend: B, now: float) -> None:
        order = backend.order
        self._members[order] = backend
        self._enter(order, self._now + self._step(order))

    def leave(self, backend: B, now: float) -> None:
        order = backend.order
        self._members.pop(order, None)
        self._entry.pop(order, None)
        self._kept.pop(order, None)

    def block(self, backend: B, now: float) -> None:
        entry = self._entry.pop(backend.order, None)
        if entry is not None:
            deadline: int = entry[0]
            self._kept[backend.order] = deadline - self._now

    def unblock(self, backend: B, now: float) -> None:
        left = self._kept.pop(backend.order, None)
        if left is not None:
            self._enter(backend.order, self._now + left)

    def reweigh(self, backend: B, now: float) -> None:
        order = backend.order
        if order in self._members:
            step = self._step(order)
            # A heavier backend need not sit out the long wait of a light one.
            if order in self._kept:
                self._kept[order] = min(self._kept[order], step)
            else:
                deadline: int = self._entry[order][0]
                self._enter(order, min(deadline, self._now + step))

    def pick(self, now: float, key: bytes = b"", avoid: Sequence[B] = ()) -> B | None:
        if avoid:
            return pick_avoiding(self, self._entry, now, key, avoid)
        heap = self._heap
        entries = self._entry
        while heap:
            entry: Any = heap[0]
            deadline: int = entry[0]
            order: int = entry[2]
            if entries.get(order) is entry:
                self._now = deadline
                self._turn += 1
                following: Any = (deadline + self._step(order), self._turn, order)
                entries[order] = following
                heapreplace(heap, following)
                return self._members[order]
            heappop(heap)
        return None

    def explain(self, now: float, key: bytes = b"", avoid: Sequence[B] = ()) -> Reasons | None:
        waiting = others([self._members[order] for order in self._entry], avoid)
        dues = [(it, float(self._entry[it.order][0] - self._now)) for it in waiting]
        return Reasons("the one that is due first", Rule.LOWEST, "virtual time until due", dues)

    def _enter(self, order: int, deadline: int) -> None:
        entry: Any = (deadline, self._turn, order)
        self._entry[order] = entry
        heappush(self._heap, entry)
        if len(self._heap) > 2 * len(self._entry) + 8:
            self._rebuild()

    def _rebuild(self) -> None:
        self._heap = list(self._entry.values())
        heapify(self._heap)
