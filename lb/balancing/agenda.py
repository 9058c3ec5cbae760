"""What falls due when: one heap for everything that a balancer wants to be woken for.

Setting an item again leaves its earlier entry in the heap, where it is known as stale by its time.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Protocol

INFINITY = float("inf")


class Item(Protocol):
    """Something that wants to be woken."""

    order: int
    """Of two that fall due together the lower comes first."""
    due_at: float
    """Kept by the agenda; infinity while nothing is set."""

    def fall_due(self, now: float) -> None:
        """Its time has come; it may set itself anew."""


class Agenda:
    """Items by the time they fall due. Times in seconds."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, int, Item]] = []
        self._count = 0  # makes entries that tie otherwise first in, first out

    def set(self, item: Item, at: float) -> None:
        """Wake `item` at `at`, and no more when it was to be woken before; never, at infinity."""
        if at != item.due_at:
            item.due_at = at
            if at < INFINITY:
                self._count += 1
                heappush(self._heap, (at, item.order, self._count, item))

    @property
    def next_at(self) -> float:
        """When the next item falls due; infinity when none does."""
        heap = self._heap
        while heap and heap[0][3].due_at != heap[0][0]:
            heappop(heap)
        return heap[0][0] if heap else INFINITY

    def wake(self, now: float) -> None:
        """Everything that has fallen due, in order."""
        while self.next_at <= now:
            item = heappop(self._heap)[3]
            item.due_at = INFINITY
            item.fall_due(now)
