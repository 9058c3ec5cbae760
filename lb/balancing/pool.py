"""Who may be picked: membership, and the strategy that indexes it.

A backend is usable when the operator wants it up and its health is up. Backends whose health is
unknown are usable only while none is known to be up. A balancer that is to use only some of many
backends turns to the others when it can use none of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

from lb.balancing.backend import Backend, State
from lb.balancing.health import Health
from lb.balancing.subset import SubsetPolicy, subset
from lb.strategies import Strategy


class Pool:
    """Keeps one strategy told of every backend that may be used now."""

    def __init__(self, strategy: Strategy[Backend], policy: SubsetPolicy | None = None) -> None:
        self.backends: list[Backend] = []
        self._policy = policy or SubsetPolicy()
        self._own: list[Backend] = []
        self.strategy = strategy
        self._joined: set[Backend] = set()

    def __repr__(self) -> str:
        up = sum(backend.healthy for backend in self.backends)
        active = sum(backend.active for backend in self.backends)
        return f"<Pool {up} up, {len(self.backends) - up} not, {active} active>"

    def add(self, backend: Backend, now: float) -> None:
        self.backends.append(backend)
        self._own = subset(self.backends, self._policy)
        self.refresh(now)

    def remove(self, backend: Backend, now: float) -> None:
        self.backends.remove(backend)
        self._own = subset(self.backends, self._policy)
        self.refresh(now)

    def refresh(self, now: float) -> None:
        """Call when anyone's standing may have changed; the strategy hears the difference."""
        usable = self._usable()
        for backend in sorted(self._joined - usable, key=_order):
            self.strategy.leave(backend, now)
        for backend in sorted(usable - self._joined, key=_order):
            self._join(backend, now)
        self._joined = usable

    def swap(self, strategy: Strategy[Backend], now: float) -> None:
        """Exchange the algorithm; the backends keep everything they know."""
        self.strategy = strategy
        for backend in sorted(self._joined, key=_order):
            self._join(backend, now)

    def __contains__(self, backend: Backend) -> bool:
        """Whether the strategy knows the backend now."""
        return backend in self._joined

    @property
    def empty(self) -> bool:
        """Nobody is usable, not even behind a limit."""
        return not self._joined

    def _join(self, backend: Backend, now: float) -> None:
        self.strategy.join(backend, now)
        if backend.active >= backend.limit:
            self.strategy.block(backend, now)

    def _usable(self) -> set[Backend]:
        return _up_or_unknown(self._own) or _up_or_unknown(self.backends)


def _up_or_unknown(backends: Sequence[Backend]) -> set[Backend]:
    wanted = [backend for backend in backends if backend.state is State.UP]
    up = {backend for backend in wanted if backend.health.state is Health.UP}
    return up or {backend for backend in wanted if backend.health.state is Health.UNKNOWN}


def _order(backend: Backend) -> int:
    return backend.order
