"""The line in front of backends that are all at their limits: first come, first served."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from lb.balancing.agenda import INFINITY, Agenda

C = TypeVar("C")


@dataclass(frozen=True)
class QueuePolicy:
    """Waiting for a backend. Times in seconds."""

    limit: int = 0
    """Calls that may wait when every backend is at max_in_flight."""
    timeout: float = 1.0
    hold: bool = False
    """Calls in line wait on when the last usable backend goes; else they are refused at once."""


class WaitingLine(Generic[C]):
    """Calls in order of arrival. One timeout for all keeps deadlines sorted by themselves."""

    order = -1  # on the agenda: before every backend's check

    def __init__(self, policy: QueuePolicy, agenda: Agenda, expired: Callable[[C], None]) -> None:
        """`expired` hears of everyone whose time in the line is over."""
        self.policy = policy
        self.due_at = INFINITY
        self._agenda = agenda
        self._expired = expired
        self._deadlines: OrderedDict[C, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._deadlines)

    def enter(self, call: C, now: float) -> bool:
        """False when the line is full."""
        if len(self._deadlines) >= self.policy.limit:
            return False
        self._deadlines[call] = at = now + self.policy.timeout
        # The first may leave before its time is over; then the line is woken early, and looks.
        if self.due_at == INFINITY:
            self._agenda.set(self, at)
        return True

    def first(self) -> C:
        """Whose turn it is. Raises StopIteration when nobody waits."""
        return next(iter(self._deadlines))

    def leave(self, call: C) -> bool:
        """False when the call was not waiting."""
        return self._deadlines.pop(call, None) is not None

    def disband(self) -> list[C]:
        """Take everybody out, in order."""
        calls = list(self._deadlines)
        self._deadlines.clear()
        return calls

    def fall_due(self, now: float) -> None:
        """Take out everyone whose time is over."""
        deadlines = self._deadlines
        while deadlines and next(iter(deadlines.values())) <= now:
            self._expired(deadlines.popitem(last=False)[0])
        self._agenda.set(self, next(iter(deadlines.values()), INFINITY))
