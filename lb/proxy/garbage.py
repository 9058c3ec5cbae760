"""The garbage collector, kept from holding the event loop.

Left alone it looks through whatever has grown old whenever there is a quarter more of it: 10 ms for
10,000 connections. But a request leaves nothing that only a collector could find, and neither does
a connection. So what has just come is looked through often, what is left of it once more a moment
later, and what is left then, most likely in use, never again (`gc.freeze`), unless memory grows by
far more than it should.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

PAUSE = 0.25
"""Seconds between two looks at what is new. Counting does not do: while connections come as fast as
others leave, the collector's own counter stands still, and all of them are new."""
LOOKS = 4
"""Of these, after which all that has come since is looked through again, and kept."""
THRESHOLDS = (700, 6, 1_000_000)
"""When very much comes at once the collector does not wait for us: it looks at up to 700 new
objects, or at 5,000 again, which takes 1 ms; and never by itself at what is old."""
ROOM = 500_000
"""Blocks of memory that may be added before everything is looked through: those of 20,000
connections. It takes 0.1 s, and happens only where something leaves garbage after all."""


@contextmanager
def in_small_portions() -> Iterator[None]:
    """Collect so while the running event loop is in here."""
    before = gc.get_threshold()
    gc.set_threshold(*THRESHOLDS)
    collecting = _Collecting(asyncio.get_running_loop())
    try:
        yield
    finally:
        collecting.end()
        gc.set_threshold(*before)
        gc.unfreeze()


class _Collecting:
    """A timer that collects."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._looks = 0  # since something was kept
        self._most = 0  # blocks of memory
        self._look_through_all()
        self._timer = loop.call_later(PAUSE, self._look)

    def end(self) -> None:
        self._timer.cancel()

    def _look(self) -> None:
        self._timer = self._loop.call_later(PAUSE, self._look)
        self._looks += 1
        if self._looks < LOOKS:
            gc.collect(0)
        elif sys.getallocatedblocks() > self._most:
            self._look_through_all()
        else:
            gc.collect(1)
            self._keep()

    def _look_through_all(self) -> None:
        gc.unfreeze()
        gc.collect()
        self._keep()
        blocks = sys.getallocatedblocks()
        self._most = blocks + max(blocks, ROOM)

    def _keep(self) -> None:
        gc.freeze()
        self._looks = 0
