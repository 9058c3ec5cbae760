"""SimPy's environment with alarms in its event queue.

Nobody waits for an alarm, so it has no state and costs a third of an event. One that is set again
and again stands for both a request's arrival and its departure, instead of an event object each.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Any, Protocol, cast

import simpy

from sim.engine.alarms import NORMAL, Alarm


class Lane(Protocol):
    """Takes care of what is its own in the queue; it may stand there as something else than events
    and alarms.
    """

    def run(self) -> None:
        """Do all that comes before anything in the queue that is not the lane's."""

    def answer(self, number: int, place: int, now: float) -> None:
        """The backend at `place` has answered the request of this number."""

    def count(self) -> None:
        """Tell stations how many jobs the lane keeps for them."""


class Timeline(simpy.Environment):
    """An environment that alarms can be set in; SimPy's own processes and events may join them.

    Times of alarms are absolute, because now + (at - now) need not be `at`. Hot code pushes on
    `queue` what `set` would, numbered from `numbers`.
    """

    def __init__(self) -> None:
        super().__init__()
        # SimPy's own queue and numbers, under the types of what stands in them here.
        self.queue = cast(list[tuple[float, int, int, Any]], self._queue)
        self.numbers = self._eid
        self.lane: Lane | None = None

    def set(self, alarm: Alarm, at: float, priority: int = NORMAL) -> None:
        """Let `alarm` ring at `at`, which is not in the past."""
        heappush(self.queue, (at, priority, next(self.numbers), alarm))

    def step(self) -> None:
        """Process the next event, and every alarm before it."""
        queue, lane = self.queue, self.lane
        while True:
            if lane is not None:
                lane.run()
            if not (queue and isinstance(queue[0][3], Alarm)):
                break
            self._now, _, _, alarm = heappop(queue)
            alarm.action(self._now)
        super().step()

    def succeed(self, event: simpy.Event, now: float) -> None:
        """Let `event` happen at `now`, which may be ahead of the last alarm that rang."""
        self._now = now
        event.succeed()
