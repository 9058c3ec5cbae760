"""Time limits of what every request begins and ends, at the cost of noting the time.

A connection notes when it began to wait, and whoever looks when the time it knew of is up finds
out whether it has begun anew meanwhile.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from typing import Any, Generic, TypeVar

INFINITY = float("inf")
W = TypeVar("W")

STEP = 0.05
"""Seconds whose ends are kept together."""


class Wait(Generic[W]):
    """What one waiter waits for, again and again. `since` is when it began, or infinity."""

    __slots__ = ("_waits", "at", "since", "waiter")

    def __init__(self, waits: Waits[W], waiter: W) -> None:
        self._waits = waits
        self.waiter: Any = waiter
        self.since = INFINITY
        self.at = -1
        """In which step it will be looked at; -1 for none."""

    def start(self, now: float) -> None:
        """Begin, or begin again."""
        self.since = now
        if self.at < 0:
            self._waits.enlist(self)

    def ensure(self, now: float) -> None:
        """Begin, unless it has begun."""
        if self.since == INFINITY:
            self.start(now)

    def stop(self) -> None:
        self.since = INFINITY

    def forget(self) -> None:
        """It will never begin again."""
        self.since = INFINITY
        self._waits.strike(self)
        self.waiter = None  # who has us: together they would be left to the garbage collector


class Waits(Generic[W]):
    """Waits of `seconds` each; `sweep` calls `over(waiter)` for those that ended."""

    def __init__(self, seconds: float, over: Callable[[W], None]) -> None:
        self.seconds = seconds
        self._over = over
        self._listed: dict[int, dict[Wait[W], None]] = {}  # by step, in order
        self._steps: list[int] = []  # a heap
        self._longest: deque[tuple[float, Wait[W]]] = deque()
        self._known_until = -INFINITY  # who began later is not among the longest

    def of(self, waiter: W) -> Wait[W]:
        """One that has not begun."""
        return Wait(self, waiter)

    def adopt(self, seconds: float) -> None:
        """Last so long from now on; who waits already waits as long as it would have."""
        later = self.seconds - seconds
        self.seconds = seconds
        for wait in [wait for step in self._listed.values() for wait in step]:
            self.strike(wait)
            if wait.since != INFINITY:
                wait.since += later
                self.enlist(wait)

    def enlist(self, wait: Wait[W]) -> None:
        """Look at it when its time is up."""
        wait.at = int((wait.since + self.seconds) / STEP)
        step = self._listed.get(wait.at)
        if step is None:
            step = self._listed[wait.at] = {}
            heappush(self._steps, wait.at)
        step[wait] = None

    def strike(self, wait: Wait[W]) -> None:
        """Look at it no more."""
        if wait.at >= 0:
            del self._listed[wait.at][wait]
            wait.at = -1

    def sweep(self, now: float) -> None:
        while self._steps and self._steps[0] * STEP <= now:
            step = heappop(self._steps)
            ended = []
            for wait in self._listed.pop(step):
                wait.at = -1
                if wait.since + self.seconds <= now:
                    ended.append(wait)
                elif wait.since != INFINITY:
                    self.enlist(wait)  # it began again meanwhile
            for wait in sorted(ended, key=_began):
                # What happened to one before may have ended the wait of another.
                if wait.since + self.seconds <= now and wait.waiter is not None:
                    wait.since = INFINITY
                    self._over(wait.waiter)
            if step in self._listed:
                return  # the rest of the present step

    def waiters(self) -> list[W]:
        """Who waits, longest first."""
        return [wait.waiter for wait in self._waiting(sys.float_info.max)]

    def _waiting(self, until: float) -> list[Wait[W]]:
        everybody = (wait for step in self._listed.values() for wait in step)
        return sorted((wait for wait in everybody if wait.since <= until), key=_began)

    def since(self, until: float) -> Iterator[tuple[float, W]]:
        """Who has waited since when, up to `until`, longest first."""
        longest = self._longest
        while longest and longest[0][1].since != longest[0][0]:
            longest.popleft()
        if not longest and until >= self._known_until + STEP:
            longest.extend((wait.since, wait) for wait in self._waiting(until))
            self._known_until = until
        return ((since, wait.waiter) for since, wait in [*longest] if wait.since == since)


def _began(wait: Wait[Any]) -> float:
    return wait.since
