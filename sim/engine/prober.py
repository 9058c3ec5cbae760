"""Probes in the simulated world: they travel like requests, take no worker, and come back.

What takes no time is told at once, and so is a health check of a backend without faults: nothing
can be learnt of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Protocol

from lb.balancing import Backend, LoadReport, ProbeResult
from sim.engine.alarms import Alarm
from sim.engine.site import Site
from sim.engine.timeline import Timeline
from sim.model.stations import INFINITY

FINE = ProbeResult(ok=True)
SILENT = ProbeResult(ok=False, why="no answer in time")
REFUSED = ProbeResult(ok=False, why="connection refused", refused=True)


class Observed(Protocol):
    """Told what came of a probe."""

    def __call__(self, backend: Backend, now: float, result: ProbeResult | LoadReport) -> None: ...


class Prober:
    """Carries out the probes of one balancer; `observed` is told what came of each."""

    def __init__(
        self,
        timeline: Timeline,
        way: float,
        observed: Observed,
    ) -> None:
        """`way` is how long a probe travels, seconds one way."""
        self._timeline = timeline
        self._way = self._usual_way = way
        self._observed = observed

    @contextmanager
    def before_the_start(self) -> Iterator[None]:
        """These probes travel no time: whoever starts a system waits for its health answers."""
        self._way = 0.0
        yield
        self._way = self._usual_way

    def check(self, backend: Backend, now: float, timeout: float) -> ProbeResult | None:
        """How the backend is; None when that takes time, `timeout` seconds at most."""
        site: Site = backend.site
        if site.door is None:
            return FINE
        if self._way:
            self._at(now + self._way, partial(self._checked, backend, now + timeout))
            return None
        return self._checked(backend, now + timeout, now)

    def load(self, backend: Backend, now: float) -> LoadReport | None:
        """How loaded the backend is; None when that takes time, or is never told."""
        site: Site = backend.site
        if site.door is None and not self._way:
            return site.report(now)
        self._at(now + self._way, partial(self._looked, backend))
        return None

    def _checked(self, backend: Backend, until: float, now: float) -> ProbeResult | None:
        """It is there; what takes no time is told at once, as of a backend without faults."""
        door = backend.site.door
        listens = door.listens(now)
        back = (door.answers_at(now) if listens else now) + self._way
        result = FINE if listens else REFUSED
        if back > until:
            back, result = until, SILENT
        if back <= now and not self._way:
            return result
        self._at(max(back, now), partial(self._observed, backend, result=result))
        return None

    def _looked(self, backend: Backend, now: float) -> None:
        site: Site = backend.site
        answered = now
        if site.door is not None:
            answered = site.door.answers_at(now) if site.door.listens(now) else INFINITY
        if answered == now:
            self._at(now + self._way, partial(self._observed, backend, result=site.report(now)))
        elif answered < INFINITY:
            self._at(answered, partial(self._looked, backend))

    def _at(self, at: float, action: Callable[[float], object]) -> None:
        self._timeline.set(Alarm(action), at)
