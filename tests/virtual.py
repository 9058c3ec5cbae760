"""An event loop whose time is its own: sockets are real, and waiting takes no time.

The clock stands still while anything can be read or written, and then jumps to the next timer. So
a minute of proxy, backends and clients in one process takes as long as their work, whatever the
machine does beside it, and comes out the same every time.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
LONGEST = 20.0
"""Real seconds that a loop may wait for a thread while nothing is due."""


class _Selector(selectors.DefaultSelector):
    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if events or timeout == 0:
            return events
        if timeout is None:
            events = super().select(LONGEST)
            assert events, "nothing is due, and nothing comes"
            return events
        self.loop.clock += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """`clock` is its time in seconds."""

    def __init__(self) -> None:
        selector = _Selector()
        super().__init__(selector)
        selector.loop = self
        self.clock = 0.0

    def time(self) -> float:
        return self.clock


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
