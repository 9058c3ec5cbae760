"""Time limits without a timer each.

All waits of one kind last equally long, so the order of starting is the order of ending: a dict
keeps it, and one sweep looks at its front. What every request begins and ends is cheaper still: a
connection notes when it began to wait, and a sweep looks at that when the time it knew of is up.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator
from heapq import heappop, heappush, merge
from operator import itemgetter
from typing import Any, Generic, Protocol, TypeVar

from lb.config import Timeouts

INFINITY = float("inf")
LOOK = 1.0
"""Seconds between two looks at how fast a body comes, or at a client that is not read."""
W = TypeVar("W")


class Deadlines(Generic[W]):
    """Waits of `seconds` each; `sweep` calls `over(waiter)` for those that ended."""

    def __init__(self, seconds: float, over: Callable[[W], None]) -> None:
        self.seconds = seconds
        self._over = over
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

    def since(self) -> Iterator[tuple[float, W]]:
        """Who has waited since when, longest first."""
        seconds = self.seconds
        return ((end - seconds, waiter) for waiter, end in self.waiting.items())

    def sweep(self, now: float) -> None:
        ended = []
        for waiter, end in self.waiting.items():
            if end > now:
                break
            ended.append(waiter)
        for waiter in ended:
            # What happened to one before may have ended the wait of another, and begun the next.
            if self.waiting.get(waiter, INFINITY) <= now:
                del self.waiting[waiter]
                self._over(waiter)


STEP = 0.05
"""Seconds whose ends are kept together."""


class Wait(Generic[W]):
    """What one waiter waits for, again and again. `since` is when it began, or infinity."""

    __slots__ = ("_waits", "at", "since", "waiter")

    def __init__(self, waits: Waits[W], waiter: W) -> None:
        self._waits = waits
        self.waiter: Any = waiter
        self.since = INFINITY
        self.at = -1
        """In which step it will be looked at; -1 for none."""

    def start(self, now: float) -> None:
        """Begin, or begin again."""
        self.since = now
        if self.at < 0:
            self._waits.enlist(self)

    def ensure(self, now: float) -> None:
        """Begin, unless it has begun."""
        if self.since == INFINITY:
            self.start(now)

    def stop(self) -> None:
        self.since = INFINITY

    def forget(self) -> None:
        """It will never begin again."""
        self.since = INFINITY
        self._waits.strike(self)
        self.waiter = None  # who has us: together they would be left to the garbage collector


class Waits(Generic[W]):
    """Waits of `seconds` each; `sweep` calls `over(waiter)` for those that ended."""

    def __init__(self, seconds: float, over: Callable[[W], None]) -> None:
        self.seconds = seconds
        self._over = over
        self._listed: dict[int, dict[Wait[W], None]] = {}  # by step, in order
        self._steps: list[int] = []  # a heap
        self._longest: deque[tuple[float, Wait[W]]] = deque()
        self._known_until = -INFINITY  # who began later is not among the longest

    def of(self, waiter: W) -> Wait[W]:
        """One that has not begun."""
        return Wait(self, waiter)

    def enlist(self, wait: Wait[W]) -> None:
        """Look at it when its time is up."""
        wait.at = int((wait.since + self.seconds) / STEP)
        step = self._listed.get(wait.at)
        if step is None:
            step = self._listed[wait.at] = {}
            heappush(self._steps, wait.at)
        step[wait] = None

    def strike(self, wait: Wait[W]) -> None:
        """Look at it no more."""
        if wait.at >= 0:
            del self._listed[wait.at][wait]
            wait.at = -1

    def sweep(self, now: float) -> None:
        while self._steps and self._steps[0] * STEP <= now:
            step = heappop(self._steps)
            ended = []
            for wait in self._listed.pop(step):
                wait.at = -1
                if wait.since + self.seconds <= now:
                    ended.append(wait)
                elif wait.since != INFINITY:
                    self.enlist(wait)  # it began again meanwhile
            for wait in sorted(ended, key=_began):
                # What happened to one before may have ended the wait of another.
                if wait.since + self.seconds <= now and wait.waiter is not None:
                    wait.since = INFINITY
                    self._over(wait.waiter)
            if step in self._listed:
                return  # the rest of the present step

    def waiters(self) -> list[W]:
        """Who waits, longest first."""
        return [wait.waiter for wait in self._waiting(sys.float_info.max)]

    def _waiting(self, until: float) -> list[Wait[W]]:
        everybody = (wait for step in self._listed.values() for wait in step)
        return sorted((wait for wait in everybody if wait.since <= until), key=_began)

    def since(self, until: float) -> Iterator[tuple[float, W]]:
        """Who has waited since when, up to `until`, longest first."""
        longest = self._longest
        while longest and longest[0][1].since != longest[0][0]:
            longest.popleft()
        if not longest and until >= self._known_until + STEP:
            longest.extend((wait.since, wait) for wait in self._waiting(until))
            self._known_until = until
        return ((since, wait.waiter) for since, wait in [*longest] if wait.since == since)


def _began(wait: Wait[Any]) -> float:
    return wait.since


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

    def __init__(self, timeouts: Timeouts) -> None:
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
        self.total: Deadlines[Waiting] = Deadlines(
            INFINITY if timeouts.total is None else timeouts.total, lambda it: it.timed_out()
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
