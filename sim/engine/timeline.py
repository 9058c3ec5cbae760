"""SimPy's environment with alarms in its event queue.

Nobody waits for an alarm, so it has no state and costs a third of an event. One that is set again
and again stands for both a request's arrival and its departure, instead of an event object each.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any, cast

import simpy

DEPARTURES_FIRST, NORMAL = 0, 1
"""Of what happens at one instant, what makes room comes before what takes it."""


class Alarm:
    """Calls `action(now)` at every time it is set to; setting it again does not unset it."""

    __slots__ = ("action",)

    def __init__(self, action: Callable[[float], object]) -> None:
        self.action = action


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

    def set(self, alarm: Alarm, at: float, priority: int = NORMAL) -> None:
        """Let `alarm` ring at `at`, which is not in the past."""
        heappush(self.queue, (at, priority, next(self.numbers), alarm))

    def step(self) -> None:
        """Process the next event, and every alarm before it."""
        queue = self.queue
        while queue and queue[0][3].__class__ is Alarm:
            self._now, _, _, alarm = heappop(queue)
            alarm.action(self._now)
        super().step()

    def succeed(self, event: simpy.Event, now: float) -> None:
        """Let `event` happen at `now`, which may be ahead of the last alarm that rang."""
        self._now = now
        event.succeed()
