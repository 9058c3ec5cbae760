"""What the workers say of themselves: asked for together, and kept of those that are no more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from lb import BUILD
from lb.balancing import Snapshot
from lb.measures import Report
from lb.workers.hand import Hand
from lb.workers.messages import Tell
from lb.workers.totals import left, together

PATIENCE = 1.0
"""Seconds for a worker to say how it is; else what it has said last is told."""


class Reports:
    """Of all workers."""

    def __init__(
        self,
        seen: Callable[[], Snapshot],
        present: Callable[[], Sequence[Hand]],
        shadow: Callable[[], Mapping[str, Any]] | None = None,
    ) -> None:
        """`seen` is what the main process knows, `present` those who serve."""
        self._seen = seen
        self._present = present
        self._shadow = shadow
        self._former: Report | None = None
        """What those have counted that are no more."""
        self._coming: asyncio.Task[Report] | None = None
        self._one = asyncio.Lock()

    async def whole(self) -> Report:
        """How everything is. Those who ask while others are being answered share the next one."""
        if self._coming is None:
            self._coming = asyncio.get_running_loop().create_task(self._next())
        return await asyncio.shield(self._coming)

    def keep(self, report: Report) -> None:
        """The last one of a worker that has ended."""
        self._former = left(self._former, report, self._seen())

    async def _next(self) -> Report:
        async with self._one:
            self._coming = None
            await asyncio.gather(*(hand.ask(Tell, PATIENCE) for hand in self._present()))
            reports = [hand.report for hand in self._present() if hand.report is not None]
            whole = together(self._seen(), BUILD.name, reports, self._former)
            return whole if self._shadow is None else replace(whole, shadow=self._shadow())
