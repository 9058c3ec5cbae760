"""Least connections as HAProxy has it: the idle come first, and equals first in, first out.

The load of a backend is (in flight + 1) / weight, in whole numbers, and 0 while it has nothing to
do; of equals the one whose load has stood the longest is picked.

Source: HAProxy, src/lb_fwlc.c.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heapify, heappop, heappush

from lb.strategies.base import Outcome
from lb.strategies.candidate import B
from lb.strategies.parts.avoiding import pick_avoiding
from lb.strategies.parts.heedless import Index
from lb.strategies.reasons import Reasons, Rule, others

PARTS = 16
"""Of a weight of one."""
SCALE = 4096
"""Of a load: HAProxy's largest weight, in parts."""
Entry = tuple[int, int, int]
"""Load, since which event, order."""


class IdleFirst(Index[B]):
    """A heap of loads. Stale entries are dropped when they come up, and swept out in time."""

    def __init__(self) -> None:
        self._members: dict[int, B] = {}  # by order, blocked ones too
        self._entry: dict[int, Entry] = {}  # of all of them, by order
        self._usable: dict[int, B] = {}  # by order
        self._heap: list[Entry] = []
        self._event = 0

    def join(self, backend: B, now: float) -> None:
        order = backend.order
        self._members[order] = self._usable[order] = backend
        self._enter(backend)

    def leave(self, backend: B, now: float) -> None:
        order = backend.order
        self._members.pop(order, None)
        self._usable.pop(order, None)
        self._entry.pop(order, None)

    def block(self, backend: B, now: float) -> None:
        self._usable.pop(backend.order, None)

    def unblock(self, backend: B, now: float) -> None:
        order = backend.order
        if order in self._members and order not in self._usable:
            self._usable[order] = backend
            self._put(self._entry[order])

    def reweigh(self, backend: B, now: float) -> None:
        self._moved(backend)

    def started(self, backend: B, now: float) -> None:
        self._moved(backend)

    def finished(self, backend: B, now: float, outcome: Outcome, latency: float) -> None:
        self._moved(backend)

    def pick(self, now: float, key: bytes = b"", avoid: Sequence[B] = ()) -> B | None:
        if avoid:
            return pick_avoiding(self, self._usable, now, key, avoid)
        heap = self._heap
        while heap:
            entry = heap[0]
            backend = self._usable.get(entry[2])
            if backend is not None and self._entry[entry[2]] is entry:
                return backend
            heappop(heap)
        return None

    def explain(self, now: float, key: bytes = b"", avoid: Sequence[B] = ()) -> Reasons | None:
        loads = [
            (it, float(self._entry[it.order][0])) for it in others(self._usable.values(), avoid)
        ]
        return Reasons("of all the one with the least to do", Rule.LOWEST, "load", loads)

    def _moved(self, backend: B) -> None:
        order = backend.order
        if order in self._members and self._entry[order][0] != _load(backend):
            self._event += 1
            self._enter(backend)

    def _enter(self, backend: B) -> None:
        entry = (_load(backend), self._event, backend.order)
        self._entry[backend.order] = entry
        if backend.order in self._usable:
            self._put(entry)

    def _put(self, entry: Entry) -> None:
        heappush(self._heap, entry)
        if len(self._heap) > 2 * len(self._entry) + 8:
            self._heap = [self._entry[order] for order in self._usable]
            heapify(self._heap)


def _load(backend: B) -> int:
    if not backend.active:
        return 0
    parts = max(1, round(PARTS * backend.weight))
    return (backend.active + 1) * SCALE // min(parts, SCALE)
