"""Who may be picked: membership, and the tiers whose strategies index it.

A backend is usable when the operator wants it up and its health is up. Backends whose health is
unknown are usable only while none is known to be up. A balancer that is to use only some of many
backends turns to the others when it can use none of its own.

Nobody else speaks to a strategy, or changes what strategies see: in flight and effective weight.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from lb.balancing.backend import Backend, State
from lb.balancing.health import Health
from lb.balancing.subset import SubsetPolicy, subset
from lb.balancing.tiers import Tier
from lb.strategies import Fed, LoadReport, Outcome, Probing, Strategy

Factory = Callable[[], Strategy[Backend]]


class Pool:
    """All backends in configured order, and one tier of them."""

    def __init__(self, factory: Factory, policy: SubsetPolicy) -> None:
        """`factory` makes the strategy of a tier."""
        self.backends: list[Backend] = []
        self._policy = policy
        self._own: list[Backend] = []
        self._tier = Tier(factory())
        self._use(self._tier.strategy)

    def _use(self, strategy: Strategy[Backend]) -> None:
        # Looked up once, asked for every call.
        self.pick = strategy.pick
        self._started, self._finished = strategy.started, strategy.finished
        self._prober = strategy if isinstance(strategy, Probing) else None
        self._fed = strategy if isinstance(strategy, Fed) else None

    def __repr__(self) -> str:
        up = sum(backend.healthy for backend in self.backends)
        active = sum(backend.active for backend in self.backends)
        return f"<Pool {up} up, {len(self.backends) - up} not, {active} active>"

    # --- attempts

    def take(self, backend: Backend, now: float) -> None:
        """An attempt goes to a backend that was picked."""
        backend.picked += 1
        active = backend.active = backend.active + 1
        self._started(backend, now)
        if active >= backend.limit:
            self._tier.strategy.block(backend, now)

    def give(self, backend: Backend, now: float, outcome: Outcome, latency: float) -> bool:
        """An attempt is over; True when it made room where there was none."""
        active = backend.active = backend.active - 1
        self._finished(backend, now, outcome, latency)
        if active != backend.limit - 1 or not backend.usable:
            return False
        self._tier.strategy.unblock(backend, now)
        return True

    # --- members

    @property
    def empty(self) -> bool:
        """Nobody is usable, not even behind a limit."""
        return not self._tier.usable

    def has_another(self, backend: Backend) -> bool:
        """Whether anybody else is usable."""
        return len(self._tier.usable) > backend.usable

    def add(self, backend: Backend, now: float) -> None:
        """A backend more, last in order."""
        self.backends.append(backend)
        self._share_out(now)

    def remove(self, backend: Backend, now: float) -> None:
        """A backend less; what is in flight there ends as it would."""
        self.backends.remove(backend)
        self._share_out(now)

    def refresh(self, now: float) -> None:
        """Call when anyone's standing may have changed."""
        self._tier.settle(_wanted(self._own) or _wanted(self.backends), now)

    def share_out(self, policy: SubsetPolicy, now: float) -> None:
        """Another policy says which backends are our own."""
        self._policy = policy
        self._share_out(now)

    def _share_out(self, now: float) -> None:
        self._own = subset(self.backends, self._policy)
        self.refresh(now)

    # --- what strategies see

    def reweigh(self, backend: Backend, weight: float, now: float) -> None:
        """Another effective weight."""
        if weight != backend.weight:
            backend.weight = weight
            if backend.usable:
                self._tier.strategy.reweigh(backend, now)

    def limit(self, backend: Backend, most: int | None, now: float) -> None:
        """Another limit of what may be in flight; None is none."""
        was_full = backend.active >= backend.limit
        backend.limit = most or sys.maxsize
        is_full = backend.active >= backend.limit
        if backend.usable and is_full != was_full:
            tell = self._tier.strategy.block if is_full else self._tier.strategy.unblock
            tell(backend, now)

    def swap(self, factory: Factory, now: float) -> None:
        """Exchange the algorithm; the backends keep everything they know."""
        self._tier.swap(factory(), now)
        self._use(self._tier.strategy)

    # --- what backends say of their load

    @property
    def probing(self) -> bool:
        """Whether the algorithm asks backends for their load."""
        return self._prober is not None

    def probes(self, now: float) -> Sequence[Backend]:
        """Whom to ask for their load now."""
        return () if self._prober is None else self._prober.probes(now)

    def reported(self, backend: Backend, now: float, report: LoadReport) -> None:
        """A backend has said how loaded it is."""
        in_flight, latency = report.in_flight, report.latency
        if self._prober is not None and in_flight is not None and latency is not None:
            self._prober.probed(backend, now, in_flight, latency)
        if self._fed is not None:
            self._fed.fed(backend, now, report)


def _wanted(backends: Sequence[Backend]) -> list[Backend]:
    """Those that are up; those that may be, when none is."""
    wanted = [backend for backend in backends if backend.state is State.UP]
    up = [backend for backend in wanted if backend.health.state is Health.UP]
    return up or [backend for backend in wanted if backend.health.state is Health.UNKNOWN]
