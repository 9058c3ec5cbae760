"""Who is in rotation, looked at again and again."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np

from lb.balancing.subset import subset
from sim.analysis.fates import EVERY
from sim.engine.alarms import Alarm
from sim.engine.dispatcher import Dispatcher
from sim.engine.timeline import Timeline
from sim.model.laws import Floats


class Rotation:
    """Looks at the backends of every balancer of a world, from its start on."""

    def __init__(self, timeline: Timeline, dispatchers: Sequence[Dispatcher], places: int) -> None:
        """`places` is how many backends there are."""
        self._timeline = timeline
        self._pools = [dispatcher.balancer.pool for dispatcher in dispatchers]
        self._used = [0] * places  # by how many balancers
        for dispatcher in dispatchers:
            balancer = dispatcher.balancer
            for backend in subset(balancer.pool.backends, balancer.setup.subset):
                self._used[backend.site.place] += 1
        self._seen = array("d")
        self._looks = 0
        self._alarm = Alarm(self._look)
        self._look(0.0)

    def _look(self, now: float) -> None:
        usable = [0] * len(self._used)
        for pool in self._pools:
            for backend in pool.backends:
                usable[backend.site.place] += backend.usable
        # In panic a balancer uses others than its own, too.
        row = [min(n / (used or 1), 1.0) for n, used in zip(usable, self._used, strict=True)]
        self._seen.extend(row)
        self._looks += 1
        self._timeline.set(self._alarm, self._looks * EVERY)

    @property
    def seen(self) -> Floats:
        """A row for each look, a column for each backend."""
        return np.array(self._seen).reshape(self._looks, -1)
