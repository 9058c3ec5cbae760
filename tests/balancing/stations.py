"""A modelled station behind an adaptive limit, without a balancer: a heap of what happens when."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from random import Random

from lb.balancing.limits import AdaptiveLimit

MEAN = 0.02
"""Seconds of work in a request."""

Draw = Callable[[Random], float]


class LimitedStation:
    """First come first served by `workers`; who finds the limit reached is refused."""

    def __init__(self, workers: int, draw: Draw | None = None) -> None:
        """`draw` gives the work of a request relative to `MEAN`; it is 1 unless given."""
        self.limit = AdaptiveLimit(0.0)
        self.workers = workers
        self.rng = Random(1)
        self.draw = draw or (lambda _: 1.0)
        self.factor = 1.0
        """How slow it is."""
        self.now = 0.0
        self.limits: list[int] = []
        self.latencies: list[float] = []
        self._events: list[tuple[float, int, float]] = []  # departures: when, number, came
        self._number = 0
        self._busy = 0
        self._queue: deque[float] = deque()

    @property
    def active(self) -> int:
        return self._busy + len(self._queue)

    def run(self, load: float, seconds: float) -> None:
        """Poisson arrivals of `load` times what it does at factor 1; forgets what was before."""
        self.limits, self.latencies = [], []
        until = self.now + seconds
        rate = load * self.workers / MEAN
        coming = self.now + self.rng.expovariate(rate)
        while min(coming, self._events[0][0] if self._events else coming) < until:
            if self._events and self._events[0][0] <= coming:
                self._depart()
            else:
                self.now = coming
                coming += self.rng.expovariate(rate)
                if self.active < self.limit.limit:
                    self._arrive()
        self.now = until

    def _arrive(self) -> None:
        if self._busy < self.workers:
            self._serve(self.now)
        else:
            self._queue.append(self.now)

    def _serve(self, came: float) -> None:
        self._busy += 1
        self._number += 1
        work = self.draw(self.rng) * MEAN * self.factor
        heappush(self._events, (self.now + work, self._number, came))

    def _depart(self) -> None:
        self.now, _, came = heappop(self._events)
        self.limit.took(self.now, self.now - came, self.active)
        self._busy -= 1
        self.limits.append(self.limit.limit)
        self.latencies.append(self.now - came)
        if self._queue:
            self._serve(self._queue.popleft())
