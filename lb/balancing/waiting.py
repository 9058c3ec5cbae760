"""The line in front of backends that are all at their limits: first come, first served."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Generic, TypeVar

C = TypeVar("C")


@dataclass(frozen=True)
class QueuePolicy:
    """Waiting for a backend. Times in seconds."""

    limit: int = 0
    """Calls that may wait when every backend is at max_in_flight."""
    timeout: float = 1.0


class WaitingLine(Generic[C]):
    """Calls in order of arrival. One timeout for all keeps deadlines sorted by themselves."""

    def __init__(self, policy: QueuePolicy) -> None:
        self.policy = policy
        self._deadlines: OrderedDict[C, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._deadlines)

    def enter(self, call: C, now: float) -> bool:
        """False when the line is full."""
        if len(self._deadlines) >= self.policy.limit:
            return False
        self._deadlines[call] = now + self.policy.timeout
        return True

    def first(self) -> C:
        return next(iter(self._deadlines))

    def leave(self, call: C) -> bool:
        """False when the call was not waiting."""
        return self._deadlines.pop(call, None) is not None

    def expired(self, now: float) -> list[C]:
        """Take out everyone whose time is over."""
        over = []
        while self._deadlines and next(iter(self._deadlines.values())) <= now:
            over.append(self._deadlines.popitem(last=False)[0])
        return over

    @property
    def next_deadline(self) -> float:
        return next(iter(self._deadlines.values()), float("inf"))
