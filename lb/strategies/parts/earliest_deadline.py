"""Weighted round robin's other sequence: earliest deadline first.

A backend of weight w is due every 1/w of virtual time; the one due first is picked, and of those
due together the one that has waited longest. Times are whole numbers of a common unit, so ties are
ties: with binary fractions ten tenths are less than one. 5,1,1 gives a a a a b c a.
"""

from __future__ import annotations

from fractions import Fraction
from math import lcm

from lb.strategies.candidate import B
from lb.strategies.parts.deadlines import Deadlines

FINEST = 1000
"""Weights are taken to a thousandth; coarser ones, whole numbers first of all, are exact."""


class EarliestDeadline(Deadlines[B]):
    """Deadlines whose steps are exactly one over the weight."""

    def __init__(self) -> None:
        super().__init__()
        self._weights: dict[int, Fraction] = {}  # by order
        self._unit = 1  # parts of virtual time that one is divided into

    def join(self, backend: B, now: float) -> None:
        self._set_weight(backend)
        super().join(backend, now)

    def leave(self, backend: B, now: float) -> None:
        super().leave(backend, now)
        self._weights.pop(backend.order, None)

    def reweigh(self, backend: B, now: float) -> None:
        if backend.order in self._members:
            self._set_weight(backend)
            super().reweigh(backend, now)

    def _step(self, order: int) -> int:
        return int(self._unit / self._weights[order])

    def _set_weight(self, backend: B) -> None:
        """Take the backend's weight, and a finer unit of time if it needs one."""
        weight = max(Fraction(backend.weight).limit_denominator(FINEST), Fraction(1, FINEST))
        self._weights[backend.order] = weight
        finer = lcm(self._unit, weight.numerator) // self._unit
        if finer > 1:
            self._unit *= finer
            self._now *= finer
            self._kept = {order: left * finer for order, left in self._kept.items()}
            self._entry = {o: (d * finer, turn, o) for o, (d, turn, _) in self._entry.items()}
            self._rebuild()
