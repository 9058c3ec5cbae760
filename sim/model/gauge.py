"""How busy a backend says it is: the share of its workers in use, and answers per second.

Real backends do not know this at a moment: they average over a while, and what they tell is as old
as whoever measures it for them is slow. So a gauge has windows of `every` seconds, and its figures
are those of the last window that was over `delay` seconds ago.
"""

from __future__ import annotations

from collections import deque

Figures = tuple[float, float, float]
"""Utilisation from 0 to 1; answers per second; of these, errors."""
BEFORE = -float("inf")
"""When no window has been opened yet."""


class Gauge:
    """Counts in the window that is open. Times never go back by more than a timer is late."""

    def __init__(self, workers: int, every: float, delay: float) -> None:
        """`every` and `delay` in seconds; the first window opens with the first event."""
        self._workers = workers
        self._every = every
        self._delay = delay
        self._ends = self._at = BEFORE
        self._busy = 0
        self._used = 0.0  # seconds of work, all workers together
        self._answers = self._errors = 0
        self._over: deque[tuple[float, Figures]] = deque()
        self._told: Figures | None = None

    def holds(self, number: int, now: float) -> None:
        """From now on there are `number` requests at the backend."""
        if now > self._at:
            self._advance(now)
        self._busy = number if number < self._workers else self._workers  # noqa: FURB136 - a call

    def left(self, held: int, now: float, error: bool) -> None:
        """An answer leaves, and `held` requests stay."""
        self.holds(held, now)
        self._answers += 1
        self._errors += error

    def answered(self, now: float, *, error: bool = False) -> None:
        """An answer leaves."""
        if now > self._at:
            self._advance(now)
        self._answers += 1
        self._errors += error

    def figures(self, now: float) -> Figures | None:
        """What it says now; None as long as no window is old enough."""
        if self._at == BEFORE:
            return None  # health checks come before there is anything to measure
        if now > self._at:
            self._advance(now)
        over = self._over
        while over and over[0][0] <= now - self._delay:
            _, self._told = over.popleft()
        return self._told

    def _advance(self, now: float) -> None:
        if self._at == BEFORE:
            self._at, self._ends = now, now + self._every
        if now >= self._ends:
            self._close(now, self._ends)
        if now > self._at:
            self._used += self._busy * (now - self._at)
            self._at = now

    def _close(self, now: float, ends: float) -> None:
        """Windows that are over by now; those in the middle of a long rest need not be kept."""
        while ends <= now:
            self._used += self._busy * (ends - self._at)
            used = self._used / (self._workers * self._every)
            rates = (self._answers / self._every, self._errors / self._every)
            self._over.append((ends, (used, *rates)))
            restful = not (self._answers or self._used)
            self._answers = self._errors = 0
            self._used = 0.0
            ahead = int((now - self._delay - ends) / self._every) - 1 if restful else 0
            self._at = ends = ends + max(ahead, 0) * self._every
            ends += self._every
        self._ends = ends
