"""A time limit for others that does not count what this process was late by itself.

After a pause of the event loop a timer may ring before the answer is read that has lain there for
long. So a limit that rings late is set again, by as much: nobody is blamed for it.
"""

from __future__ import annotations

import asyncio
from types import TracebackType

LATE = 0.05
"""Seconds that a timer is late in a busy process; beyond them the process stood still."""


class Patience:
    """An asynchronous context. Raises TimeoutError when what is inside takes longer.

    At most twice as long is waited.
    """

    __slots__ = ("_limit", "_loop", "_seconds", "_timer")

    def __init__(self, seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._seconds = seconds
        self._limit = asyncio.timeout(None)
        self._timer: asyncio.TimerHandle

    async def __aenter__(self) -> None:
        self._set(self._seconds, self._seconds)
        await self._limit.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        await self._limit.__aexit__(kind, error, trace)

    def lift(self) -> None:
        """What it was for is here: the rest may take as long as it likes."""
        self._timer.cancel()

    def _set(self, seconds: float, grace: float) -> None:
        due = self._loop.time() + seconds
        self._timer = self._loop.call_at(due, self._ring, due, grace)

    def _ring(self, due: float, grace: float) -> None:
        late = self._loop.time() - due
        if late > LATE and grace > 0:
            more = min(late, grace)
            self._set(more, grace - more)
        else:
            self._limit.reschedule(self._loop.time())
