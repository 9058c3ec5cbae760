"""Who is in rotation, looked at again and again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sim.analysis.fates import EVERY
from sim.engine.dispatcher import Dispatcher
from sim.engine.timeline import Alarm, Timeline
from sim.model.laws import Floats


class Rotation:
    """Looks at the backends of every balancer of a world, from its start on."""

    def __init__(self, timeline: Timeline, dispatchers: Sequence[Dispatcher], places: int) -> None:
        """`places` is how many backends there are."""
        self._timeline = timeline
        self._pools = [dispatcher.balancer.pool for dispatcher in dispatchers]
        self._places = places
        self._seen: list[list[float]] = []
        self._alarm = Alarm(self._look)
        self._look(0.0)

    def _look(self, now: float) -> None:
        row = [0.0] * self._places
        for pool in self._pools:
            for backend in pool.backends:
                row[backend.site.place] += backend.usable / len(self._pools)
        self._seen.append(row)
        self._timeline.set(self._alarm, len(self._seen) * EVERY)

    @property
    def seen(self) -> Floats:
        """A row for each look, a column for each backend."""
        return np.array(self._seen)
