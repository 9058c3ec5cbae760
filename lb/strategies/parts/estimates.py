"""How slow a backend has been: estimates that rise with what is measured and fade while it rests.

An estimate decays with the time constant `decay` whether or not requests come, so a backend that
was slow once is tried again after a while, and nobody starves. All estimates fade at the same rate,
so their order never changes by waiting: log(estimate) + time / decay is a key that stands still
between two measurements, and an index may be kept by it.
"""

from __future__ import annotations

from math import exp, inf, log

from lb.strategies.base import Outcome
from lb.strategies.candidate import Candidate

UNKNOWN = 1e12
"""Beyond any key. Nobody measured and idle comes before everybody, nobody measured but being asked
after everybody: one request finds out, not a herd."""
OK = Outcome.OK  # reading a member off an Enum costs as much as a small method
WAIT = "expected wait, seconds: estimated latency times requests in flight per weight"
SHORTEST = 1e-6
"""Seconds; a logarithm needs more than nothing."""


class Estimates:
    """One estimate per backend, by order.

    With `peak` a slower sample raises the estimate to its own height at once. `penalty` is what a
    failed request counts as, in seconds, unless it took longer.
    """

    def __init__(self, decay: float, penalty: float, *, peak: bool) -> None:
        self._decay = decay
        self._penalty = penalty
        self._peak = peak
        self.keys: dict[int, float] = {}
        """What a strategy may read, and nobody else write; by order."""
        self._times: dict[int, float] = {}

    def __contains__(self, order: int) -> bool:
        return order in self.keys

    def forget(self, order: int) -> None:
        self.keys.pop(order, None)
        self._times.pop(order, None)

    def seed(self, backend: Candidate, now: float) -> None:
        """Begin with what the backend itself remembers, if anything."""
        if backend.response_time is not None:
            self.observe(backend.order, now, Outcome.OK, backend.response_time)

    def observe(self, order: int, now: float, outcome: Outcome, latency: float) -> None:
        """Take the end of one request; what says nothing about the backend is ignored."""
        sample = latency
        if outcome is not OK:
            if not outcome.teaches:
                return
            if sample < self._penalty:
                sample = self._penalty
        elif sample < SHORTEST:
            sample = SHORTEST
        decay = self._decay
        faded = now / decay
        key = self.keys.get(order)
        if key is not None:
            estimate = exp(key - faded)  # at this moment
            if not (self._peak and sample > estimate):
                fading = exp((self._times[order] - now) / decay)
                sample = estimate + sample * (1 - fading)
                if sample < SHORTEST:
                    sample = SHORTEST
        self.keys[order] = log(sample) + faded
        self._times[order] = now

    def at(self, order: int, now: float) -> float:
        """The estimate at `now`, seconds. Raises KeyError when nothing was measured."""
        return exp(self.keys[order] - now / self._decay)

    def load(self, backend: Candidate) -> float:
        """A number to compare backends by: the estimate times what is in flight, per weight."""
        work = log((backend.active + 1) / backend.weight)
        key = self.keys.get(backend.order)
        if key is None:
            return work + (UNKNOWN if backend.active else -UNKNOWN)
        return key + work

    def wait(self, backend: Candidate, now: float) -> float:
        """The same in seconds, for people: one never measured comes first while it is idle, last
        while it is being asked.
        """
        load = self.load(backend)
        if backend.order not in self.keys:
            return inf if load > 0 else 0.0
        return exp(load - now / self._decay)
