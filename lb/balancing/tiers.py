"""One tier of a pool: backends of one rank, and the strategy that indexes those of them in use."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

from lb.balancing.backend import Backend
from lb.strategies import Fed, LoadReport, Probing, Sticking, Strategy
from lb.strategies.parts.foreign import as_index
from lb.strategies.parts.heedless import Index
from lb.strategies.spec import settings


@settings
class TierPolicy:
    """Which backends come first, and how much they are asked to take for those that are missing."""

    local_zone: str = ""
    """The balancer's own: of one priority, backends there come first. None unless given."""
    overprovisioning: float = 1.4
    """A tier of which the share h is usable takes this times h of the traffic, and at most all."""

    def rank(self, backend: Backend) -> Rank:
        """Of two tiers the one of the lower rank comes first."""
        return backend.priority, bool(self.local_zone) and backend.zone != self.local_zone


Rank = tuple[int, bool]
"""Priority, and whether the zone is another one."""


class Tier:
    """Keeps one strategy told of every backend that may be used.

    Where clients stick to their backends, those that drain are `lingering`: there for them only.
    """

    strategy: Index[Backend]
    lingering: set[Backend]

    def __init__(self, strategy: Strategy[Backend]) -> None:
        self.usable: set[Backend] = set()
        self.desperate: Sequence[Backend] = ()
        """Those that are usable for want of others only: panic."""
        self.share = 1.0
        """Of the traffic."""
        self.swap(strategy, 0.0)

    def dismiss(self, usable: set[Backend], lingering: set[Backend], now: float) -> None:
        """Nobody else stays; the strategy hears who leaves."""
        for backend in self.desperate:
            backend.desperate = False
        self.desperate = ()
        for backend in by_order((self.usable - usable) | (self.lingering - lingering)):
            backend.usable = False
            self.strategy.leave(backend, now)
        self.usable &= usable
        self.lingering &= lingering

    def admit(
        self,
        usable: set[Backend],
        lingering: set[Backend],
        desperate: Sequence[Backend],
        now: float,
    ) -> None:
        """These are here, after `dismiss` of all others; the strategy hears who joins."""
        self.desperate = desperate
        for backend in desperate:
            backend.desperate = True
        joining, self.usable = usable - self.usable, usable
        for backend in by_order(joining):
            self._join(backend, now)
        sticking = self._sticking
        if sticking is not None:
            joining, self.lingering = lingering - self.lingering, lingering
            for backend in by_order(joining):
                self._drain(sticking, backend, now)

    def swap(self, strategy: Strategy[Backend], now: float) -> None:
        """Exchange the algorithm; the backends keep everything they know."""
        self.strategy = as_index(strategy)
        kind, index = cast(Any, type(strategy)), cast(Any, Index)
        self.hears_starts = kind.started is not index.started
        self.hears_ends = kind.finished is not index.finished
        self._sticking = strategy if isinstance(strategy, Sticking) else None
        self.prober = strategy if isinstance(strategy, Probing) else None
        self.fed = strategy if isinstance(strategy, Fed) else None
        self.lingering = set()  # `admit` says who
        for backend in by_order(self.usable):
            self._join(backend, now)

    def reported(self, backend: Backend, now: float, report: LoadReport) -> None:
        """One of this tier has said how loaded it is."""
        in_flight, latency = report.in_flight, report.latency
        if self.prober is not None and in_flight is not None and latency is not None:
            self.prober.probed(backend, now, in_flight, latency)
        if self.fed is not None:
            self.fed.fed(backend, now, report)

    def has_room(self, avoid: Sequence[Backend]) -> bool:
        """Whether anybody may be picked now who is not to be avoided."""
        return any(it.active < it.limit and it not in avoid for it in self.usable)

    def _join(self, backend: Backend, now: float) -> None:
        backend.usable = True
        self.strategy.join(backend, now)
        self._limit(backend, now)

    def _drain(self, sticking: Sticking[Backend], backend: Backend, now: float) -> None:
        sticking.drain(backend, now)
        self._limit(backend, now)

    def _limit(self, backend: Backend, now: float) -> None:
        if backend.active >= backend.limit:
            self.strategy.block(backend, now)


def by_order(backends: Iterable[Backend]) -> list[Backend]:
    """In configured order."""
    return sorted(backends, key=_order)


def _order(backend: Backend) -> int:
    return backend.order
