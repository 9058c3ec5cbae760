"""Where requests come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from heapq import heappush
from typing import Protocol

from sim.engine.alarms import NORMAL, Alarm
from sim.engine.dispatcher import Dispatcher
from sim.engine.journal import Journal
from sim.engine.request import Request
from sim.engine.timeline import Timeline
from sim.model.arrivals import Schedule
from sim.model.flow import Flow


class Source(Protocol):
    """Brings requests to the dispatchers of a world, numbered from zero."""

    @property
    def sizes(self) -> Mapping[str, Sequence[float]]:
        """Every request's work by its index, for each shape of law; see `sim.model.laws.shape`."""

    def __len__(self) -> int:
        """How many requests there will be."""

    def start(
        self,
        timeline: Timeline,
        journal: Journal,
        dispatchers: Sequence[Dispatcher],
        routes: Sequence[int],
    ) -> None:
        """Announce all requests in the journal and set the alarm of the first.

        A source that does not know beforehand when one comes writes that down when it does.

        `routes` names the dispatcher of each request; it is empty when there is one only. A source
        whose requests depend on the ends of others asks the journal to be told of them.
        """


class OpenLoop:
    """The requests of a schedule at its times, whatever becomes of them."""

    def __init__(self, drawn: Schedule | Flow) -> None:
        self.sizes: Mapping[str, Sequence[float]]
        self.times: Sequence[float]
        self.keys: Sequence[bytes]
        self.patience: list[float] = []
        if isinstance(drawn, Flow):
            self.sizes, self.times, self.keys = drawn.sizes, drawn.times, drawn.keys
        else:
            rows = zip(drawn.shapes, drawn.sizes, strict=True)
            self.sizes = {name: row.tolist() for name, row in rows}
            self.times = drawn.times.tolist()
            self.keys = drawn.all_keys()
            self.patience = [] if drawn.patience is None else drawn.patience.tolist()
        self._next = 0
        self._alarm = Alarm(self._arrive)

    def __len__(self) -> int:
        return len(self.times)

    def start(
        self,
        timeline: Timeline,
        journal: Journal,
        dispatchers: Sequence[Dispatcher],
        routes: Sequence[int],
    ) -> None:
        """See `Source`."""
        self._timeline, self._dispatchers, self._routes = timeline, dispatchers, routes
        journal.expect(self.times)
        if len(self):
            timeline.set(self._alarm, self.times[0])

    def _arrive(self, now: float) -> None:
        """One arrival, and those that follow before anything else happens."""
        times, timeline = self.times, self._timeline
        queue = timeline.queue
        dispatcher = self._dispatchers[0]
        index = self._next
        while True:
            if self._routes:
                dispatcher = self._dispatchers[self._routes[index]]
            request = Request()
            request.index = index
            request.home = dispatcher
            if self.keys:
                request.key = self.keys[index]
            dispatcher.arrive(request, now)
            self._next = index = index + 1
            if index == len(times):
                return
            now = times[index]
            if queue and queue[0][0] <= now:
                heappush(queue, (now, NORMAL, next(timeline.numbers), self._alarm))
                return
