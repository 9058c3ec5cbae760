"""A strategy that begins with nothing of ours, as one that does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from lb.strategies.base import Outcome, Strategy
from lb.strategies.candidate import B
from lb.strategies.parts.heedless import Index
from lb.strategies.reasons import Reasons


class Foreign(Index[B]):
    """Hands everything on."""

    def __init__(self, strategy: Strategy[B]) -> None:
        self._strategy = strategy

    def join(self, backend: B, now: float) -> None:
        self._strategy.join(backend, now)

    def leave(self, backend: B, now: float) -> None:
        self._strategy.leave(backend, now)

    def block(self, backend: B, now: float) -> None:
        self._strategy.block(backend, now)

    def unblock(self, backend: B, now: float) -> None:
        self._strategy.unblock(backend, now)

    def reweigh(self, backend: B, now: float) -> None:
        self._strategy.reweigh(backend, now)

    def pick(self, now: float, key: bytes = b"", avoid: Sequence[B] = ()) -> B | None:
        return self._strategy.pick(now, key, avoid)

    def explain(self, now: float, key: bytes = b"", avoid: Sequence[B] = ()) -> Reasons | None:
        asked = cast(Any, self._strategy)  # it need not know the word
        return asked.explain(now, key, avoid) if hasattr(asked, "explain") else None

    def started(self, backend: B, now: float) -> None:
        self._strategy.started(backend, now)

    def finished(self, backend: B, now: float, outcome: Outcome, latency: float) -> None:
        self._strategy.finished(backend, now, outcome, latency)


def as_index(strategy: Strategy[B]) -> Index[B]:
    """The strategy itself, where it is one."""
    return strategy if isinstance(strategy, Index) else Foreign(strategy)
