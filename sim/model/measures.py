"""What a backend knows of its own load: how long requests take, and how busy it has been."""

from __future__ import annotations

from typing import Generic

from lb.config import Model
from sim.model.gauge import Figures, Gauge
from sim.model.stations import J, LoadMeter

UNKNOWN = (None, None, None)
"""Figures before the first window is over, or that are not taken."""


class Measures(Generic[J]):
    """Told of every job at one backend; of those that came before it was made it knows nothing.

    How busy it is costs a fifth of a simulated request, and whoever only asks never hears of it.
    """

    def __init__(self, model: Model, *, figures: bool = True) -> None:
        self._model = model
        self.meter = LoadMeter()
        self._gauge: Gauge | None = None
        self._found: dict[J, tuple[int, float]] = {}
        if figures:
            self.take_figures()

    def take_figures(self) -> None:
        """From here on, at the latest."""
        if self._gauge is None:
            model = self._model
            self._gauge = Gauge(model.workers, model.report_every, model.report_delay)

    def came(self, job: J, found: int, now: float) -> None:
        """`job` is taken in beside `found` others."""
        self._found[job] = (found, now)
        if self._gauge is not None:
            self._gauge.holds(found + 1, now)

    def left(self, job: J, held: int, now: float, *, error: bool = False) -> None:
        """`job` is answered; `held` others stay."""
        came = self._found.pop(job, None)
        if came is not None:
            self.meter.left(came[0], now - came[1])
        if self._gauge is not None:
            self._gauge.left(held, now, error)

    def passed(self, held: int, now: float) -> None:
        """Somebody goes on elsewhere, to be answered later; `held` others stay."""
        if self._gauge is not None:
            self._gauge.holds(held, now)

    def gone(self, job: J, held: int, now: float) -> None:
        """`job` leaves without an answer."""
        self._found.pop(job, None)
        self.passed(held, now)

    def lost(self, now: float) -> None:
        """All that were here are gone."""
        self._found.clear()
        self.passed(0, now)

    def turned_away(self, now: float) -> None:
        """Somebody was answered with an error at once."""
        if self._gauge is not None:
            self._gauge.answered(now, error=True)

    def figures(self, now: float) -> Figures | tuple[None, None, None]:
        """Utilisation, answers and errors per second as it would say them now."""
        return UNKNOWN if self._gauge is None else self._gauge.figures(now) or UNKNOWN
