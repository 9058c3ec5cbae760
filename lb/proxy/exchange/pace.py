"""How fast a request's body comes: `limits.body_rate`, apart from the time we did not read."""

from __future__ import annotations

PATIENCE = 5.0
"""Seconds before a body is judged."""


class Pace:
    """Of one body, which begins with it."""

    __slots__ = ("_began", "_paused_at", "_rate", "_taken")

    def __init__(self, rate: int, now: float) -> None:
        self._rate = rate
        self._began = now  # moved on by the time that we did not read
        self._paused_at: float | None = None
        self._taken = 0

    def took(self, count: int) -> None:
        self._taken += count

    def paused(self, now: float) -> None:
        """We stop reading: from now on it is not the client who is slow."""
        if self._paused_at is None:
            self._paused_at = now

    def resumed(self, now: float) -> None:
        if self._paused_at is not None:
            self._began += now - self._paused_at
            self._paused_at = None

    def too_slow(self, now: float) -> bool:
        """Whether the client has kept to less than the rate."""
        passed = (now if self._paused_at is None else self._paused_at) - self._began
        return passed >= PATIENCE and self._taken < self._rate * passed
