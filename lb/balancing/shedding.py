"""Fewer new calls while the event loop that carries them out is late.

A loop that is late answers everybody late, and takes on more all the same. What it has begun goes
on; of those who come a share is refused, the larger the later it is, as random early detection does
with a router's queue (Floyd and Jacobson, 1993). Every so-manieth is refused, not one drawn, so a
share of a twentieth is no run of bad luck for anybody.
"""

from __future__ import annotations

GAIN = 1 / 8
"""Weight of a report in the smoothed lag: one stall, however long, refuses nobody."""
SPAN = 4.0
"""From the lag that is allowed on, as its multiple, until as many as may be are refused."""
MOST = 0.95
"""Somebody always comes through, or nobody would see that it is over."""


class Shedding:
    """How late the loop is, and who is refused for it. Reports come at a regular pace."""

    def __init__(self, allowed: float) -> None:
        """`allowed` is the smoothed lag in seconds up to which nobody is refused."""
        self.allowed = allowed
        self.lag = 0.0
        """Smoothed, seconds; zero in calm."""
        self._owed = 0.0  # refusals

    def __bool__(self) -> bool:
        return self.share > 0

    @property
    def share(self) -> float:
        """Of the calls that come, those to refuse."""
        return min(max(self.lag / self.allowed - 1, 0.0) / SPAN, MOST)

    def minds(self, seconds: float) -> bool:
        """Whether a report of such a lag changes anything."""
        return self.lag > 0 or seconds >= self.allowed

    def lagged(self, seconds: float) -> None:
        """The loop was late by so much."""
        self.lag += GAIN * (min(seconds, (1 + SPAN) * self.allowed) - self.lag)
        if self.lag < self.allowed * GAIN:
            self.lag = self._owed = 0.0

    def refuses(self) -> bool:
        """Whether the call that comes is one of those; asked once for each."""
        self._owed += self.share
        if self._owed < 1:
            return False
        self._owed -= 1
        return True
