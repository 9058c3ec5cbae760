"""Picks that avoid some backends, for strategies with an index that knows of limits only."""

from __future__ import annotations

from collections.abc import Container, Sequence

from lb.strategies.base import Strategy
from lb.strategies.candidate import B


def pick_avoiding(
    strategy: Strategy[B], usable: Container[int], now: float, key: bytes, avoid: Sequence[B]
) -> B | None:
    """A pick as if those to avoid were at their limits; one of them when no other is left.

    `usable` holds the orders of those that may be picked now.
    """
    hidden = {backend.order: backend for backend in avoid if backend.order in usable}
    for backend in hidden.values():
        strategy.block(backend, now)
    best = strategy.pick(now, key)
    for backend in hidden.values():
        strategy.unblock(backend, now)
    return best or strategy.pick(now, key)
