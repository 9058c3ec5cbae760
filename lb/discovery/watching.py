"""One source, looked at again and again; it hears nothing new while it cannot be asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf
from typing import NamedTuple, Protocol

from lb.aside import aside
from lb.config import BackendTable
from lb.config.discovery import DiscoveryTable

Rows = tuple[BackendTable, ...]

AT_MOST_EVERY = 1.0
"""Seconds between two looks where records say that they hold no longer, or there is trouble."""
GRACE = 0.5
"""Seconds that an answer may take longer than its limit: mostly it says more than that itself."""


MOST_SAID = 20
"""Different troubles, one after the other, before the rest is left unsaid until there is none."""


class Log(Protocol):
    """Takes an event and what belongs to it."""

    def __call__(self, level: str, event: str, **fields: object) -> None: ...


class Sighting(NamedTuple):
    """What one look gave."""

    rows: Rows | None = None
    """None where there is nothing new."""
    trouble: str = ""
    """Why some of it, or all, is what was known before."""
    holds: float = inf
    """Seconds after which it should be looked at again at the latest."""


class Source(Protocol):
    """Something to look at. One look is over before the next one begins."""

    def look(self) -> Sighting:
        """On a thread of its own; may take for ever."""


class Watch:
    """Keeps `rows`, what a source said last, and calls `told` when it has said something."""

    def __init__(self, table: DiscoveryTable, source: Source, log: Log, known: Rows = ()) -> None:
        """Must be made inside a running event loop. `known`: what the source said before."""
        self.table = table
        self.rows = known
        self.told: Callable[[Watch], None] = lambda _: None
        self.looked = asyncio.Event()
        """The first look is over, or takes too long."""
        self._source = source
        self._log = log
        self._said: set[str] = set()  # of the trouble that there is
        self._task = asyncio.get_running_loop().create_task(self._run())

    def end(self) -> None:
        """Look no more. A look that is under way is forgotten."""
        self._task.cancel()

    async def _run(self) -> None:
        while True:
            sighting = await self._look()
            news = sighting.rows is not None and sighting.rows != self.rows
            if sighting.rows is not None:
                self.rows = sighting.rows
            self._say(sighting.trouble)
            self.looked.set()
            if news:
                self.told(self)
            soon = 0.0 if sighting.trouble else sighting.holds
            await asyncio.sleep(min(self.table.every, max(soon, AT_MOST_EVERY)))

    async def _look(self) -> Sighting:
        loop = asyncio.get_running_loop()
        seen: asyncio.Future[Sighting] = loop.create_future()

        def tell(sighting: Sighting) -> None:
            if not seen.done():  # nobody waits any more
                seen.set_result(sighting)

        try:
            aside(loop, f"look at {self.table.source}", self._sighting, tell)
        except RuntimeError as error:  # no thread can be had
            return Sighting(trouble=str(error))
        await asyncio.wait([seen], timeout=self.table.timeout + GRACE)
        if not seen.done():
            self._say(f"no answer within {self.table.timeout:g} s")
            self.looked.set()
        return await seen

    def _sighting(self) -> Sighting:
        try:
            return self._source.look()
        except Exception as error:  # a defect; the others go on
            return Sighting(trouble=f"{type(error).__name__}: {error}")

    def _say(self, trouble: str) -> None:
        """Each trouble once, and its end."""
        if trouble and trouble not in self._said and len(self._said) < MOST_SAID:
            self._said.add(trouble)
            self._log(
                "warning",
                "discovery failed",
                source=self.table.source,
                reason=trouble,
                kept=len(self.rows),
            )
        elif self._said and not trouble:
            self._said.clear()
            self._log(
                "info", "discovery works again", source=self.table.source, backends=len(self.rows)
            )
