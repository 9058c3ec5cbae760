"""Time limits without a timer each.

All waits of one kind last equally long, so the order of starting is the order of ending: a dict
keeps it, and one sweep looks at its front.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

W = TypeVar("W", bound=Hashable)


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

    def sweep(self, now: float) -> None:
        ended = []
        for waiter, end in self.waiting.items():
            if end > now:
                break
            ended.append(waiter)
        for waiter in ended:
            if self.waiting.pop(waiter, None) is not None:
                self._over(waiter)
