"""An event loop that wakes when it is due: within a tenth of a millisecond, not at the next one.

`epoll_wait` takes whole milliseconds, so asyncio's own loop rounds up: most of a millisecond late
on average, at every sleep of a generator and at every answer of a modelled backend. `select` takes
microseconds, and an epoll's own descriptor is one that it can wait for.
"""

from __future__ import annotations

import asyncio
import select
import selectors
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

WAITABLE = 1024
"""Descriptors that `select` can wait for are below this (FD_SETSIZE)."""
T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """As `asyncio.run`, punctually where the system can."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(main)


if sys.platform == "linux":

    class PunctualSelector(selectors.EpollSelector):
        """Epoll, whose waits end to the microsecond."""

        def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            """Wait for the first event, at most `timeout` seconds."""
            mine = self.fileno()
            if timeout is None or timeout <= 0 or mine >= WAITABLE:
                return super().select(timeout)
            ready, _, _ = select.select((mine,), (), (), timeout)
            return super().select(0) if ready else []

    def new_event_loop() -> asyncio.AbstractEventLoop:
        """A loop on such a selector."""
        return asyncio.SelectorEventLoop(PunctualSelector())

else:

    def new_event_loop() -> asyncio.AbstractEventLoop:
        """The system's own."""
        return asyncio.new_event_loop()
