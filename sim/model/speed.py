"""A backend that works faster or slower as time goes by: the clock of its station."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from lb.config import Speed
from sim.model.faults import Clock, Span


class Course(Clock):
    """A clock that goes at a speed, and `factor` times slower within `spans`, see `Clock`.

    Its pace is piecewise linear, so what it shows is piecewise quadratic.
    """

    def __init__(self, spans: Sequence[Span], speed: Speed, start: float = 0.0) -> None:
        pieces = list(speed.pieces)
        edges = {piece.since for piece in pieces} | {at for span in spans for at in span[:2]}
        self._outside, self._inside = [], []
        self._paces: list[tuple[float, float]] = []
        """At each edge, and by how much it rises in a second from there on."""
        for edge in sorted(edges):
            piece = next(piece for piece in pieces if piece.since <= edge < piece.until)
            factor = next((it for since, until, it in spans if since <= edge < until), 1.0)
            slope = piece.slope
            self._inside.append(self.inside(start + edge) if self._outside else start)
            self._outside.append(start + edge)
            self._paces.append(
                ((piece.first + slope * (edge - piece.since)) / factor, slope / factor)
            )

    def inside(self, outside: float) -> float:
        at = max(bisect_right(self._outside, outside) - 1, 0)
        pace, slope = self._paces[at]
        seconds = outside - self._outside[at]
        return self._inside[at] + seconds * (pace + slope * seconds / 2)

    def outside(self, inside: float, after: float) -> float:
        at = max(bisect_left(self._inside, inside) - 1, 0)
        pace, slope = self._paces[at]
        work = inside - self._inside[at]
        moment = self._outside[at]
        if work > 0:
            moment += 2 * work / (pace + math.sqrt(max(pace**2 + 2 * slope * work, 0.0)))
        if moment < after:  # within a pause, or by rounding
            moment = self._outside[max(bisect_right(self._inside, inside) - 1, 0)]
        return max(moment, after)
