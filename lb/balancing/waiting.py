"""The line in front of backends that are all at their limits: bounded, with a deadline for each.

`fifo`: first come, first served. Under lasting overload that serves whoever has waited longest, and
so is about to leave. `adaptive` is first come, first served as long as the line empties again and
again. Once it has not been empty for an interval it is crowded: the newest are served first, who
comes may wait no longer than that interval, and where the line is full the oldest makes room.

Source: adaptive LIFO and controlled delay, in Ben Maurer, "Fail at Scale", ACM Queue 13(8), 2015;
the interval is that of CoDel (RFC 8289).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from lb.balancing.actions import Why
from lb.balancing.agenda import INFINITY, Agenda

C = TypeVar("C")

DISCIPLINES = ("fifo", "adaptive")
INTERVAL = 0.1
"""As a share of the timeout: a tenth of a second for one of a second, as in CoDel."""


@dataclass(frozen=True)
class QueuePolicy:
    """Waiting for a backend. Times in seconds."""

    limit: int = 0
    """Calls that may wait when every backend is at max_in_flight."""
    timeout: float = 1.0
    hold: bool = False
    """Calls in line wait on when the last usable backend goes; else they are refused at once."""
    discipline: str = "fifo"
    """One of DISCIPLINES."""
    interval: float | None = None
    """For `adaptive`; a tenth of the timeout unless given. At least the time between two answers,
    or places stay free in between."""

    max_lag: float = 0.2
    """How late the event loop may be, smoothed; beyond it new calls are refused, see shedding.py.
    """

    @property
    def patience(self) -> float:
        """The interval."""
        return INTERVAL * self.timeout if self.interval is None else self.interval


class WaitingLine(Generic[C]):
    """Calls in order of arrival; two kinds of deadlines, each sorted by itself."""

    order = -1  # on the agenda: before every backend's check

    def __init__(
        self, policy: QueuePolicy, agenda: Agenda, turn_away: Callable[[C, Why], None]
    ) -> None:
        """`turn_away` hears of everyone who has to leave, and why."""
        self.policy = policy
        self.due_at = INFINITY
        self._agenda = agenda
        self._turn_away = turn_away
        self._since = 0.0  # when it was empty last, while somebody waits
        self._usual: OrderedDict[C, float] = OrderedDict()
        self._hasty: OrderedDict[C, float] = OrderedDict()  # of those who met a crowd
        self._calls: OrderedDict[C, OrderedDict[C, float]] = OrderedDict()  # and their deadlines

    def __len__(self) -> int:
        return len(self._calls)

    def crowded(self, now: float) -> bool:
        """The line has not been empty for an interval, and minds it."""
        policy = self.policy
        return (
            policy.discipline == "adaptive"
            and bool(self._calls)
            and now - self._since >= policy.patience
        )

    def enter(self, call: C, now: float) -> bool:
        """False when the line is full. In a crowd the oldest leaves instead."""
        calls, policy = self._calls, self.policy
        deadlines, patience = self._usual, policy.timeout
        if self.crowded(now):
            deadlines, patience = self._hasty, min(policy.patience, patience)
            while len(calls) >= policy.limit > 0:
                self._send_away(next(iter(calls)), Why.QUEUE_FULL)
        if len(calls) >= policy.limit:
            return False
        if not calls:
            self._since = now
        calls[call] = deadlines
        deadlines[call] = at = now + patience
        # The first may leave before its time is over; then the line is woken early, and looks.
        if at < self.due_at:
            self._agenda.set(self, at)
        return True

    def next(self, now: float) -> C:
        """Whose turn it is. Raises StopIteration when nobody waits."""
        return next(reversed(self._calls) if self.crowded(now) else iter(self._calls))

    def leave(self, call: C) -> bool:
        """False when the call was not waiting."""
        deadlines = self._calls.pop(call, None)
        if deadlines is None:
            return False
        del deadlines[call]
        return True

    def disband(self) -> list[C]:
        """Take everybody out, in order of arrival."""
        calls = list(self._calls)
        for kept in (self._calls, self._usual, self._hasty):
            kept.clear()
        return calls

    def fall_due(self, now: float) -> None:
        """Take out everyone whose time is over."""
        due_at = INFINITY
        for deadlines in (self._usual, self._hasty):
            while deadlines:
                call, at = next(iter(deadlines.items()))
                if at > now:
                    due_at = min(due_at, at)
                    break
                self._send_away(call, Why.QUEUE_TIMEOUT)
        self._agenda.set(self, due_at)

    def _send_away(self, call: C, why: Why) -> None:
        self.leave(call)
        self._turn_away(call, why)
