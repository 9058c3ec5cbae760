"""Time limits without a timer each.

All waits of one kind last equally long, so the order of starting is the order of ending: a dict
keeps it, and one sweep looks at its front. Those of every request are cheaper still: see waits.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from heapq import merge
from operator import itemgetter
from typing import Any, Generic, Protocol, TypeVar

from lb.config import Timeouts
from lb.proxy.waits import INFINITY, Waits

LOOK = 1.0
"""Seconds between two looks at how fast a body comes, or at a client that is not read."""
SOON = 0.001
"""Seconds: the least an alarm waits. An event loop may round a timer down, and none is finer."""
LATE = 0.05
"""Seconds that a wait may be late at most: as much as a sweep."""
W = TypeVar("W")


class Deadlines(Generic[W]):
    """Waits of `seconds` each; `sweep` calls `over(waiter)` for those that ended."""

    def __init__(self, seconds: float, over: Callable[[W], None]) -> None:
        self.seconds = seconds
        self._over = over
        self._mixed_until = -INFINITY
        self.waiting: dict[W, float] = {}

    def __len__(self) -> int:
        return len(self.waiting)

    def start(self, waiter: W, now: float) -> None:
        """Begin, or begin again."""
        self.waiting.pop(waiter, None)
        self.waiting[waiter] = now + self.seconds

    def ensure(self, waiter: W, now: float) -> None:
        """Begin, unless it has begun."""
        self.waiting.setdefault(waiter, now + self.seconds)

    def stop(self, waiter: W) -> None:
        self.waiting.pop(waiter, None)

    def adopt(self, seconds: float, now: float) -> None:
        """Last so long from now on; who waits already waits as long as it would have."""
        if self.seconds == INFINITY:
            self.waiting.clear()  # they never end
        elif seconds < self.seconds and self.waiting:
            self._mixed_until = max(self._mixed_until, now + self.seconds)
        self.seconds = seconds

    def since(self) -> Iterator[tuple[float, W]]:
        """Who has waited since when, longest first."""
        seconds = self.seconds
        return ((end - seconds, waiter) for waiter, end in self.waiting.items())

    def sweep(self, now: float) -> None:
        ended = []
        for waiter, end in self.waiting.items():
            if end <= now:
                ended.append(waiter)
            elif now >= self._mixed_until:  # else those behind may end before
                break
        for waiter in ended:
            # What happened to one before may have ended the wait of another, and begun the next.
            if self.waiting.get(waiter, INFINITY) <= now:
                del self.waiting[waiter]
                self._over(waiter)


class Punctual(Deadlines[W]):
    """Waits that end on time: one alarm, for whoever began first.

    A look every now and then is late by as much, which of a short wait is a large share. The alarm
    finds that the first has long ended, as a rule, and is set for the next, which may be late by a
    hundredth of its wait: some hundred alarms a wait at most, however many begin.
    """

    def __init__(
        self,
        seconds: float,
        over: Callable[[W], None],
        loop: asyncio.AbstractEventLoop,
        now: Callable[[], float],
    ) -> None:
        super().__init__(seconds, over)
        self._loop = loop
        self._now = now
        self._alarm: asyncio.TimerHandle | None = None
        self._rings = INFINITY

    def start(self, waiter: W, now: float) -> None:
        super().start(waiter, now)
        if self._alarm is None:
            self._set_alarm(now)
        elif now + self.seconds < self._rings:  # waits are shorter than they were
            self._alarm.cancel()
            self._set_alarm(now)

    def _set_alarm(self, now: float) -> None:
        ends = self.waiting.values()
        first = min(ends) if now < self._mixed_until else next(iter(ends))
        wait = max(first - now, min(self.seconds / 100, LATE), SOON)
        self._rings = now + wait
        self._alarm = self._loop.call_at(self._loop.time() + wait, self._look)

    def _look(self) -> None:
        self._alarm = None
        self.sweep(self._now())
        if self.waiting and self._alarm is None:
            self._set_alarm(self._now())


class Sender(Protocol):
    """A client's connection."""

    @property
    def current(self) -> Any:
        """The exchange that is under way."""

    def backend_silent(self) -> None:
        """The backend that owes it an answer is silent."""

    def too_slow(self) -> None:
        """A whole request did not come in time, or the answers are not read."""

    def judge(self) -> None:
        """It is time to look at how fast a body comes."""

    def look(self) -> None:
        """It is time to look whether the client is there, which is not read at present."""

    def spare(self) -> bool:
        """Close if nothing is under way; whether that was so."""


class Waiting(Protocol):
    """An exchange."""

    def stalled(self) -> None:
        """Its client does not read."""

    def timed_out(self) -> None:
        """It takes longer than any may."""


class Closing(Protocol):
    """A tunnel."""

    def close(self) -> None:
        """Nothing has moved."""


class Timers:
    """The proxy's time limits, which all connections share."""

    def __init__(
        self, timeouts: Timeouts, loop: asyncio.AbstractEventLoop, now: Callable[[], float]
    ) -> None:
        self.header: Deadlines[Sender] = Deadlines(timeouts.header, lambda it: it.too_slow())
        """A request head has to arrive."""
        self.client_idle: Waits[Sender] = Waits(timeouts.client_idle, lambda it: it.too_slow())
        """A client has to send something, or to read the last of what it is sent."""
        self.pace: Deadlines[Sender] = Deadlines(LOOK, lambda it: it.judge())
        """A body has to keep coming fast. Only where limits.body_rate is given."""
        self.unread: Deadlines[Sender] = Deadlines(LOOK, lambda it: it.look())
        """A client that is not read may have gone."""
        self.response: Waits[Sender] = Waits(timeouts.response, lambda it: it.backend_silent())
        """A backend owes (more of) an answer."""
        self.stalled: Deadlines[Waiting] = Deadlines(timeouts.client_idle, lambda it: it.stalled())
        """A client has to read on."""
        self.total: Deadlines[Waiting] = Punctual(
            INFINITY if timeouts.total is None else timeouts.total,
            lambda it: it.timed_out(),
            loop,
            now,
        )
        """An answer has to be complete. Only exchanges with a deadline are here."""
        self.tunnel: Deadlines[Closing] = Deadlines(timeouts.tunnel, lambda it: it.close())
        """Something has to move in a tunnel."""
        self._all: tuple[Deadlines[Any] | Waits[Any], ...] = (
            self.header,
            self.client_idle,
            self.pace,
            self.unread,
            self.response,
            self.stalled,
            self.total,
            self.tunnel,
        )

    def adopt(self, timeouts: Timeouts, now: float) -> None:
        """Other limits from now on; who waits already waits as long as it would have."""
        self.header.adopt(timeouts.header, now)
        self.client_idle.adopt(timeouts.client_idle)
        self.response.adopt(timeouts.response)
        self.stalled.adopt(timeouts.client_idle, now)
        self.total.adopt(INFINITY if timeouts.total is None else timeouts.total, now)
        self.tunnel.adopt(timeouts.tunnel, now)

    def spare_one(self, since: float) -> bool:
        """Close the client that has been idle longest, if there is one that was so at `since`."""
        for began, client in merge(
            self.header.since(), self.client_idle.since(since), key=itemgetter(0)
        ):
            if began > since:
                return False
            if client.spare():
                return True
        return False

    def sweep(self, now: float) -> None:
        """End what has waited long enough."""
        for deadlines in self._all:
            deadlines.sweep(now)
