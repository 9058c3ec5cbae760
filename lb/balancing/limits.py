"""How many requests a backend takes at a time, found by how its answers slow down.

    gradient = TOLERANCE * unloaded / latency, from 1/2 to TOLERANCE
    limit    = limit * gradient + sqrt(limit)

`latency` is the mean of a window of requests, `unloaded` what it is without a queue. The root is
the queue that the limit allows, and what it grows by while answers do not slow down.

The gradient is that of Netflix's concurrency-limits (Gradient2) and of Envoy's adaptive
concurrency, with the root as its headroom; so is a limit that stays while fewer than half of its
places are taken. Gradient2 takes the long-term average for unloaded, which under lasting overload
follows the queue. Envoy measures it every minute at three requests at a time, whatever the traffic.
Here traffic that does not fill the limit keeps it up to date, and only after a while of queueing
the limit is halved, again and again as long as that makes answers faster.
"""

from __future__ import annotations

from math import sqrt
from typing import Protocol

from lb.balancing.backend import Backend
from lb.strategies import Outcome

OK, TIMEOUT = Outcome.OK, Outcome.TIMEOUT

ADAPTIVE = "adaptive"
"""In the place of a number of requests in flight."""
LEAST, FIRST, MOST = 3.0, 20.0, 1000.0
"""Bounds of a limit, as Envoy's, and where it begins, as Netflix's."""
WINDOW, SAMPLES = 0.1, 50
"""Seconds that a window lasts at least, and answers in it at least, as Envoy's. With fewer answers,
or their median, two kinds of requests (half of them short, half long) made limits collapse."""
TOLERANCE = 1.25
"""Latency over unloaded latency that is no queue yet: Envoy's buffer."""
GAIN = 1 / 8
"""Weight of a window without a queue in the unloaded latency."""
PATIENCE = 5.0
"""Seconds of queueing after which the unloaded latency is measured anew."""


class AdaptiveLimit:
    """The limit of one backend. `took` is the only way in."""

    __slots__ = (
        "_before",
        "_busiest",
        "_calm_at",
        "_count",
        "_since",
        "_skip",
        "_total",
        "_value",
        "unloaded",
    )

    def __init__(self, now: float) -> None:
        self._value = FIRST
        self.unloaded: float | None = None
        """Seconds an answer takes without a queue; None until the first window has ended."""
        self._since = now  # of the window
        self._count = 0  # answers in it
        self._total = 0.0  # of their latencies
        self._busiest = 0  # most in flight in it
        self._skip = 0  # answers still to come to requests of before the limit was halved
        self._calm_at = now  # when there was no queue last
        self._before: float | None = None  # latency at twice the limit, while this one is on trial

    @property
    def limit(self) -> int:
        """Requests in flight, at most."""
        return int(self._value)

    def took(self, now: float, latency: float, active: int) -> bool:
        """A request took `latency` seconds to its first byte; `active` were in flight with it.

        True when a window has ended, and the limit may have changed.
        """
        if self._skip:
            self._skip -= 1
            self._since = now
            return False
        self._busiest = max(self._busiest, active)
        self._count += 1
        self._total += latency
        if self._count < SAMPLES or now - self._since < WINDOW:
            return False
        self._judge(now, self._total / self._count, active)
        self._since = now
        self._busiest = self._count = 0
        self._total = 0.0
        return True

    def _judge(self, now: float, latency: float, active: int) -> None:
        """A window has ended."""
        full = self._busiest >= self.limit
        if self._before is not None:
            self._compare(now, latency, active, self._before)
        elif self.unloaded is None:
            self.unloaded = latency
            self._calm_at = now
            if full:
                self._halve(latency, active)
        elif latency <= TOLERANCE * self.unloaded:
            self._calm_at = now
            self._learn(latency, self.unloaded, full)
            self._follow(latency, self.unloaded)
        elif full and now - self._calm_at >= PATIENCE:
            self._halve(latency, active)
        else:
            self._follow(latency, self.unloaded)

    def _learn(self, latency: float, unloaded: float, full: bool) -> None:
        """Answers come as fast as they do without a queue."""
        if latency < unloaded / 2:  # that is no noise: it has become faster
            self.unloaded = (unloaded + latency) / 2
        elif latency < unloaded or not full:
            self.unloaded = unloaded + GAIN * (latency - unloaded)

    def _follow(self, latency: float, unloaded: float) -> None:
        """The gradient."""
        value = self._value
        gradient = TOLERANCE * unloaded / latency if latency else TOLERANCE
        wanted = value * min(max(gradient, 0.5), TOLERANCE) + sqrt(value)
        if wanted < value or 2 * self._busiest >= value:
            self._value = min(max(wanted, LEAST), MOST)

    def _halve(self, latency: float, active: int) -> None:
        """See how fast answers come at half the limit, when those of before have come."""
        self._before = latency
        self._value = max(self._value / 2, LEAST)
        self._skip = active

    def _compare(self, now: float, latency: float, active: int, before: float) -> None:
        """What halving has brought."""
        self.unloaded = latency
        self._calm_at = now
        self._before = None
        if TOLERANCE * latency >= before:  # nothing: there was no queue
            self._value = min(2 * self._value, MOST)
        elif self._value > LEAST:
            self._halve(latency, active)


class Limited(Protocol):
    """The part of a pool that limits work on."""

    def give(self, backend: Backend, now: float, outcome: Outcome, latency: float, /) -> bool:
        """An attempt is over; True when it made room where there was none."""

    def limit(self, backend: Backend, most: int | None, now: float) -> None:
        """Another limit of what may be in flight."""


class Limits:
    """The adaptive limits of a pool's backends. Falsy while there are none: nothing to feed."""

    def __init__(self, pool: Limited) -> None:
        self._pool = pool
        self._limits: dict[Backend, AdaptiveLimit] = {}

    def __bool__(self) -> bool:
        return bool(self._limits)

    def set(self, backend: Backend, wanted: int | str | None, now: float) -> None:
        """A number, ADAPTIVE, or None for no limit. One that is adaptive already goes on."""
        if isinstance(wanted, str):
            own = self._limits.setdefault(backend, AdaptiveLimit(now))
            self._pool.limit(backend, own.limit, now)
        else:
            self._limits.pop(backend, None)
            self._pool.limit(backend, wanted, now)

    def forget(self, backend: Backend) -> None:
        """The backend has left."""
        self._limits.pop(backend, None)

    def settle(self, backend: Backend, now: float, latency: float) -> bool:
        """In place of the pool's."""
        backend.succeeded += 1
        backend.measured(latency)
        return self.give(backend, now, OK, latency)

    def give(self, backend: Backend, now: float, outcome: Outcome, latency: float) -> bool:
        """In place of the pool's: the same, and the backend's limit learns of it.

        Attempts that broke say nothing of how long answers take; those waited for in vain do.
        """
        pool = self._pool
        made_room = pool.give(backend, now, outcome, latency)
        if outcome is OK or outcome is TIMEOUT:
            own = self._limits.get(backend)
            if own is not None and own.took(now, latency, backend.active + 1):
                was_full = backend.active >= backend.limit
                pool.limit(backend, own.limit, now)
                return (made_room or was_full) and backend.active < backend.limit
        return made_room
