"""The backends' side of a balancer: who there is, how each one stands, and what is learnt of it.

Its counterpart are the calls, which the balancer keeps: it hears through `settled` that those who
may be picked have changed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from lb.balancing.actions import (
    Changed,
    Drained,
    Ejected,
    Joined,
    Left,
    Panicked,
    Probe,
    Recall,
    Returned,
    Swapped,
    Withheld,
)
from lb.balancing.agenda import Agenda
from lb.balancing.backend import Backend
from lb.balancing.departures import Departures
from lb.balancing.health import ProbeResult
from lb.balancing.limits import Limits
from lb.balancing.outliers import Outliers
from lb.balancing.pool import Pool
from lb.balancing.probing import Checks
from lb.balancing.settings import Settings, State
from lb.balancing.setup import Setup
from lb.balancing.slow_start import SlowStart
from lb.strategies import LoadReport, Outcome, Random, spec

TROUBLE = (Outcome.CONNECT, Outcome.RESET, Outcome.TIMEOUT)
"""Ends of an attempt that make its backend suspect."""


class Fleet:
    """All backends, their checks, and what else takes them out and brings them back."""

    def __init__(
        self,
        setup: Setup,
        rng: Random,
        out: deque[Any],
        agenda: Agenda,
        settled: Callable[[float], None],
        now: float,
    ) -> None:
        """`out` takes the actions; `settled` is told when who may be picked may have changed.

        Raises UsageError for an unknown algorithm or parameter.
        """
        self.setup = setup
        self.rng = rng
        self._out = out
        self._settled = settled
        self._next_order = 0
        self.checks = Checks(agenda, rng, self._ask)
        self.pool = Pool(setup, rng, self._drained)
        self._panic = False
        self.limits = Limits(self.pool)
        self.outliers = Outliers(setup.outliers, agenda, self.pool.backends, self, now)
        self.slow_start = SlowStart(setup.slow_start, agenda, self.pool.reweigh)
        self.departures = Departures()
        self._sound: set[Backend] = set()  # those with nothing against them
        self._first: set[Backend] = set()  # those of the beginning that were not sound yet

    def begin(self, now: float) -> None:
        """All backends of the setup join, at once: one after the other would cost their square."""
        backends = [self._make(row, now) for row in self.setup.backends]
        self._first.update(backends)
        self._join(backends, now)

    @property
    def needs(self) -> frozenset[str]:
        """What the algorithm needs of the driver, see `Spec.needs`."""
        return spec(self.setup.algorithm).needs

    # --- what is learnt of a backend

    def observed(self, backend: Backend, now: float, result: ProbeResult | LoadReport) -> None:
        """The answer of a probe; a load report may also come without having been asked for."""
        if isinstance(result, LoadReport):
            self.pool.reported(backend, now, result)
            return
        if backend not in self.checks:
            return
        if result.ours:
            backend.health.lost += 1
            self.checks.answered(backend, now, changed=False, urgent=True)
            return
        backend.checked_at = now
        if result.latency is not None and not backend.succeeded:
            backend.measured(result.latency)  # until real requests say better
        told = self._heard(backend, now, result)
        changed = self._judge(backend, now, result.ok, result.why, True, told=told)
        self.checks.answered(backend, now, changed=changed, urgent=self.pool.all_down)

    def suffered(self, backend: Backend, now: float, outcome: Outcome, latency: float) -> None:
        """An attempt at `backend` was no success; it is counted already, and strategies know.

        A refused connection says as much as a failed check. It does not take out the last backend
        that is usable, though: its checks say whether it is back.
        """
        self.outliers.failed(backend, now, outcome, latency)
        if (
            outcome not in TROUBLE
            or not backend.health.policy.attempts
            or backend not in self.checks
        ):
            return
        if outcome is Outcome.CONNECT and not backend.refusing:
            backend.refusing = True
            if backend.desperate:  # there is nothing to hope for
                self._refresh(now, backend)
                self._settle(now)
        if outcome is Outcome.CONNECT and backend.usable and self.pool.has_another(backend):
            self._judge(backend, now, False, "connection refused", False)
        self.checks.hasten(backend, now)

    # --- rulings about outliers

    def ejected(self, backend: Backend, now: float, why: str, span: float, silent: bool) -> None:
        """Out of rotation; what waits at a silent backend may be tried elsewhere at once."""
        self._refresh(now, backend)
        self._out.append(Ejected(backend, why, span))
        if silent:
            self._out.append(Recall(backend))
        self._settle(now)

    def returned(self, backend: Backend, now: float) -> None:
        """An ejection is over."""
        self._refresh(now, backend)
        self._out.append(Returned(backend))
        self._settle(now)

    def withheld(self, backend: Backend, why: str) -> None:
        """As many are ejected as may be."""
        self._out.append(Withheld(backend, why))

    # --- control

    def add(self, settings: Settings, now: float) -> Backend:
        """A new backend, last in order; unknown until its first probe answers."""
        self.setup = replace(self.setup, backends=(*self.setup.backends, settings))
        return self._add(settings, now)

    def remove(self, backend: Backend, now: float) -> None:
        """No new calls; those in flight end as they would."""
        rows = tuple(row for row in self.setup.backends if row.label != backend.name)
        self.setup = replace(self.setup, backends=rows)
        self.checks.end(backend)
        self.limits.forget(backend)
        self.outliers.forget(backend)
        self.slow_start.stop(backend, now)
        self._sound.discard(backend)
        self._first.discard(backend)
        self.pool.remove(backend, now)
        self.departures.add(backend, self.pool.backends, now)
        self._out.append(Left(backend))
        self._settle(now)

    def set_state(self, backend: Backend, state: State, now: float) -> None:
        """What the operator wants of a backend."""
        backend.state = state
        self._refresh(now, backend)
        self._settle(now)

    def set_weight(self, backend: Backend, weight: float, now: float) -> None:
        """Another configured weight."""
        backend.configured_weight = weight
        rows = (
            replace(row, weight=weight) if row.label == backend.name else row
            for row in self.setup.backends
        )
        self.setup = replace(self.setup, backends=tuple(rows))
        self.slow_start.settle(backend, now)

    def swap(self, algorithm: str, settings: Mapping[str, object], now: float) -> None:
        """Another algorithm from the next pick on; backends forget nothing.

        Raises UsageError for an unknown algorithm or parameter, and changes nothing then.
        """
        self.pool.swap(algorithm, settings, now)
        self.setup = replace(self.setup, algorithm=algorithm, settings=settings)
        self._out.append(Swapped(self.needs))
        self._settled(now)

    def apply(self, setup: Setup, now: float) -> None:
        """Move to another setup of the same algorithm; see `swap`.

        Backends are the same when name and address are. Others join before those leave that are
        not there any more, so that whoever waits has somebody to wait for.
        """
        self.pool.adopt(setup, now)
        wanted = {(row.label, row.address): row for row in setup.backends}
        kept, gone = {}, []
        for backend in self.pool.backends:
            row = wanted.get((backend.name, backend.address))
            if row is None:
                gone.append(backend)
            else:
                kept[row] = backend
                if row.weight != backend.configured_weight:
                    self.set_weight(backend, row.weight, now)
                self.pool.rank(backend, row.priority, row.zone, now)
                self.limits.set(backend, row.max_in_flight, now)
                policy = row.health or setup.health
                if policy != backend.health.policy:
                    self.checks.adopt(backend, policy, now)
                    self._refresh(now, backend)
        if setup.outliers != self.outliers.policy:
            self.outliers.adopt(setup.outliers, now)
        if setup.slow_start != self.slow_start.policy:
            self.slow_start.adopt(setup.slow_start, now)
        self.setup = setup
        if joining := [self._make(row, now) for row in setup.backends if row not in kept]:
            self._join(joining, now)
        for backend in gone:
            self.remove(backend, now)
        self.setup = setup
        self._settle(now)

    # --- inside

    def _add(self, settings: Settings, now: float) -> Backend:
        backend = self._make(settings, now)
        self._join([backend], now)
        return backend

    def _make(self, settings: Settings, now: float) -> Backend:
        policy = settings.health or self.setup.health
        backend = Backend(settings, self._next_order, policy)
        self._next_order += 1
        self._out.append(Joined(backend))
        self.limits.set(backend, settings.max_in_flight, now)
        self.checks.begin(backend, now)
        return backend

    def _join(self, backends: Sequence[Backend], now: float) -> None:
        for backend in backends:
            self._look_at(backend, now)
        self.pool.add(backends, now)
        self._tell(now)

    def _ask(self, backend: Backend) -> None:
        self._out.append(Probe(backend))

    def _judge(
        self, backend: Backend, now: float, ok: bool, why: str, checked: bool, told: bool = False
    ) -> bool:
        """Take one answer about a backend; True when it went up or down."""
        backend.why = why
        changed = backend.health.observe(ok, now, why, checked=checked)
        if changed:
            self._refresh(now, backend)
            if not told:
                self._out.append(Changed(backend, why))
            self._settle(now)
        return changed

    def _heard(self, backend: Backend, now: float, result: ProbeResult) -> bool:
        """What a check says beside how the backend is: that nobody listens, or that it drains.

        True when there was news of the latter.
        """
        before = backend.refusing, backend.draining
        backend.refusing = result.refused
        if result.ok or result.drain:  # a silent one has not changed its mind
            backend.draining = result.drain
        if before == (backend.refusing, backend.draining):
            return False
        told = before[1] != backend.draining
        if told:  # before what comes of it
            self._out.append(Changed(backend, result.why))
        self._refresh(now, backend)
        self._settle(now)
        return told

    def _drained(self, backend: Backend) -> None:
        self._out.append(Drained(backend))

    def _refresh(self, now: float, *backends: Backend) -> None:
        """The standing of these may have changed."""
        for backend in backends:
            self._look_at(backend, now)
        self.pool.refresh(now)

    def _look_at(self, backend: Backend, now: float) -> None:
        """Who comes back begins anew and slowly, but for the first time of those here first."""
        sound = backend.healthy and not (backend.ejected or backend.draining)
        if sound == (backend in self._sound):
            return
        if not sound:
            self._sound.discard(backend)
            self.outliers.left(backend, now)
            self.slow_start.stop(backend, now)
            return
        self._sound.add(backend)
        self.outliers.begun(backend, now)
        if backend in self._first:
            self._first.discard(backend)
        else:
            self.slow_start.begin(backend, now)

    def _settle(self, now: float) -> None:
        """Who is usable may have changed; while nobody is, whoever comes back is found fast."""
        if self.pool.all_down:
            self.checks.hurry(now)
        self._tell(now)

    def _tell(self, now: float) -> None:
        if self.pool.panic is not self._panic:
            self._panic = self.pool.panic
            self._out.append(Panicked(self._panic))
        self._settled(now)
