"""How a backend that comes back is given its share by and by.

Its effective weight rises in steps, which algorithms hear of as of any other change of weight.
Those that do not know weights give it its whole share at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lb.balancing.agenda import INFINITY, Agenda
from lb.balancing.backend import Backend

STEPS = 20
"""Changes of weight in one ramp at most: for some algorithms each one costs a new table."""


@dataclass(frozen=True)
class SlowStartPolicy:
    """A ramp of the effective weight. Times in seconds."""

    duration: float = 0.0
    """From a twentieth, or what follows, to the whole weight; zero is off."""
    aggression: float = 1.0
    """After a part p of the time the weight is p ** (1 / aggression) of the whole."""


class Ramp:
    """One backend's: an item of the agenda."""

    __slots__ = ("_rise", "backend", "due_at", "order", "since", "step")

    def __init__(self, backend: Backend, now: float, rise: Callable[[Ramp, float], None]) -> None:
        self.backend = backend
        self.order = backend.order
        self.due_at = INFINITY
        self.since = now
        self.step = 0
        self._rise = rise

    def fall_due(self, now: float) -> None:
        self._rise(self, now)


class SlowStart:
    """The ramps of all backends that are on one.

    The weight of a backend is set through `reweigh(backend, weight, now)`, here and nowhere else.
    """

    def __init__(
        self,
        policy: SlowStartPolicy,
        agenda: Agenda,
        reweigh: Callable[[Backend, float, float], None],
    ) -> None:
        self.policy = policy
        self._agenda = agenda
        self._reweigh = reweigh
        self._ramps: dict[Backend, Ramp] = {}

    def __contains__(self, backend: Backend) -> bool:
        return backend in self._ramps

    def begin(self, backend: Backend, now: float) -> None:
        """`backend` is given traffic again, from the bottom; call before it is."""
        self._drop(backend)
        if self.policy.duration > 0:
            self._ramps[backend] = ramp = Ramp(backend, now, self._rise)
            self._set(ramp)
        self.settle(backend, now)

    def stop(self, backend: Backend, now: float) -> None:
        """`backend` is given nothing any more, or all that its weight says."""
        if self._drop(backend):
            self.settle(backend, now)

    def settle(self, backend: Backend, now: float) -> None:
        """Its effective weight from its configured one, which may have changed."""
        self._reweigh(backend, backend.configured_weight * self._share(backend), now)

    def adopt(self, policy: SlowStartPolicy, now: float) -> None:
        """Another policy; who is on a ramp goes on by it, from the time that has passed."""
        self.policy = policy
        for ramp in list(self._ramps.values()):
            self._climb(ramp, now, 0)

    # --- inside

    def _share(self, backend: Backend) -> float:
        """Of the configured weight."""
        ramp = self._ramps.get(backend)
        if ramp is None:
            return 1.0
        return max(1 / STEPS, float((ramp.step / STEPS) ** (1 / self.policy.aggression)))

    def _rise(self, ramp: Ramp, now: float) -> None:
        """A step at least, whatever rounding makes of the time."""
        self._climb(ramp, now, ramp.step + 1)

    def _climb(self, ramp: Ramp, now: float, least: int) -> None:
        """As far as its time says, which may be several steps when somebody woke late."""
        duration = self.policy.duration
        passed = (now - ramp.since) / duration if duration > 0 else 1.0
        ramp.step = max(least, int(passed * STEPS))
        if ramp.step >= STEPS:
            self.stop(ramp.backend, now)
        else:
            self._set(ramp)
            self.settle(ramp.backend, now)

    def _set(self, ramp: Ramp) -> None:
        due = ramp.since + (ramp.step + 1) * self.policy.duration / STEPS
        self._agenda.set(ramp, due)

    def _drop(self, backend: Backend) -> bool:
        ramp = self._ramps.pop(backend, None)
        if ramp is None:
            return False
        self._agenda.set(ramp, INFINITY)
        return True
