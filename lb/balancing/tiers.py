"""One tier of a pool: backends that may be used now, and the strategy that indexes them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from lb.balancing.backend import Backend
from lb.strategies import Strategy


@dataclass(frozen=True)
class TierPolicy:
    """Which backends come first, and how much they are asked to take for those that are missing."""

    local_zone: str = ""
    """The balancer's own: of one priority, backends there come first. None unless given."""
    overprovisioning: float = 1.4
    """A tier of which the share h is usable takes this times h of the traffic, and at most all."""


class Tier:
    """Keeps one strategy told of every backend that may be used."""

    def __init__(self, strategy: Strategy[Backend]) -> None:
        self.strategy = strategy
        self.usable: set[Backend] = set()

    def settle(self, usable: Collection[Backend], now: float) -> None:
        """These may be used now, and no others; the strategy hears the difference."""
        wanted = set(usable)
        for backend in sorted(self.usable - wanted, key=_order):
            backend.usable = False
            self.strategy.leave(backend, now)
        for backend in sorted(wanted - self.usable, key=_order):
            backend.usable = True
            self._join(backend, now)
        self.usable = wanted

    def swap(self, strategy: Strategy[Backend], now: float) -> None:
        """Exchange the algorithm; the backends keep everything they know."""
        self.strategy = strategy
        for backend in sorted(self.usable, key=_order):
            self._join(backend, now)

    def _join(self, backend: Backend, now: float) -> None:
        self.strategy.join(backend, now)
        if backend.active >= backend.limit:
            self.strategy.block(backend, now)


def _order(backend: Backend) -> int:
    return backend.order
