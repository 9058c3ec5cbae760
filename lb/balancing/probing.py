"""When each backend is asked how it is: at its interval, and at once when an attempt has failed."""

from __future__ import annotations

from collections.abc import Callable

from lb.balancing.agenda import INFINITY, Agenda
from lb.balancing.backend import Backend
from lb.balancing.health import Health, HealthPolicy
from lb.balancing.settings import State
from lb.strategies import Random


class Check:
    """The schedule of one backend: an item of the agenda."""

    __slots__ = ("_checks", "asked", "backend", "due_at", "extra", "hastened_at", "order")

    def __init__(self, checks: Checks, backend: Backend) -> None:
        self._checks = checks
        self.backend = backend
        self.order = backend.order
        self.due_at = INFINITY
        self.asked = False  # an answer is awaited
        self.extra = False  # what was asked stands beside the schedule
        self.hastened_at = -INFINITY

    def fall_due(self, now: float) -> None:
        self._checks.fall_due(self, now)


class Checks:
    """The schedules of all backends; `ask` is told whom to ask.

    Each goes by the policy of its backend's health, which may be its own.
    """

    def __init__(self, agenda: Agenda, rng: Random, ask: Callable[[Backend], None]) -> None:
        self._agenda = agenda
        self._draw = rng.random
        self._ask = ask
        self._checks: dict[Backend, Check] = {}

    def __contains__(self, backend: Backend) -> bool:
        return backend in self._checks

    def begin(self, backend: Backend, now: float) -> None:
        """The first check of a backend is due at once; without checks it is simply up."""
        if not backend.health.policy.enabled:
            backend.health.state = Health.UP
            return
        check = self._checks[backend] = Check(self, backend)
        self._agenda.set(check, now)

    def end(self, backend: Backend) -> None:
        """Ask it no more."""
        check = self._checks.pop(backend, None)
        if check is not None:
            self._agenda.set(check, INFINITY)

    def fall_due(self, check: Check, now: float) -> None:
        """Ask, unless an answer is awaited that will set the next time anyway."""
        if check.asked:
            check.extra = False
        elif check.backend.state is State.MAINT:
            self._agenda.set(check, now + check.backend.health.policy.interval)
        else:
            check.asked = True
            self._ask(check.backend)

    def answered(self, backend: Backend, now: float, *, changed: bool, urgent: bool) -> None:
        """Set the next check: sooner while it is being decided, or when it is `urgent`.

        A check that was asked beside the schedule leaves it as it is, unless it brought news.
        """
        check = self._checks[backend]
        check.asked = False
        extra, check.extra = check.extra, False
        if extra and not changed and not backend.health.deciding and check.due_at < INFINITY:
            return
        health = backend.health
        spread = 1 + health.policy.jitter * (2 * self._draw() - 1)
        pause = health.policy.fast_interval if urgent else health.pause
        self._agenda.set(check, now + pause * spread)

    def hasten(self, backend: Backend, now: float) -> None:
        """An attempt has failed: ask at once, though not more often than while deciding."""
        check = self._checks[backend]
        if check.asked or backend.state is State.MAINT:
            return
        fast = backend.health.policy.fast_interval
        if now - check.hastened_at >= fast:
            check.hastened_at = now
            check.asked = check.extra = True
            self._ask(backend)
        elif backend.health.deciding:
            self._agenda.set(check, min(check.due_at, now + fast))

    def hurry(self, now: float) -> None:
        """Nobody is usable: whoever comes back is to be found fast."""
        for check in self._checks.values():
            if not check.asked:
                soon = now + check.backend.health.policy.fast_interval
                self._agenda.set(check, min(check.due_at, soon))

    def adopt(self, backend: Backend, policy: HealthPolicy, now: float) -> None:
        """Another policy for one backend; what is known of it stays."""
        had, backend.health.policy = backend.health.policy, policy
        if had.enabled != policy.enabled:
            self.end(backend)
            self.begin(backend, now)
        elif (check := self._checks.get(backend)) is not None and not check.asked:
            self._agenda.set(check, min(check.due_at, now + backend.health.pause))
