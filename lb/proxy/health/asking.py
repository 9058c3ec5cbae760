"""Probes that the balancer asks for, started a few at a time.

A thousand backends may fall due together: when a proxy starts, or while none of them is usable.
What is started in one turn of the event loop holds up everybody else, so it is only some of them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from lb.balancing import Backend, LoadReport, Probe, ProbeKind, ProbeResult

AT_ONCE = 16
"""Probes that begin in one turn of the event loop: about half a millisecond's work."""


class Prober(Protocol):
    """Carries out probes."""

    async def probe(self, backend: Backend) -> ProbeResult: ...

    async def load(self, backend: Backend) -> LoadReport | None: ...


class Asking:
    """Starts probes, and hands on what they bring."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        prober: Prober,
        heard: Callable[[Backend, ProbeResult | LoadReport], None],
    ) -> None:
        self._loop = loop
        self._prober = prober
        self._heard = heard
        self._due: deque[Probe] = deque()
        self._turn: asyncio.Handle | None = None
        self._running: set[asyncio.Task[None]] = set()

    def ask(self, probe: Probe) -> None:
        """Begin this one as soon as there is room for it."""
        self._due.append(probe)
        if self._turn is None:
            self._turn = self._loop.call_soon(self._begin)

    async def close(self) -> None:
        """Ask no more."""
        self._due.clear()
        if self._turn is not None:
            self._turn.cancel()
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def _begin(self) -> None:
        due = self._due
        for _ in range(min(len(due), AT_ONCE)):
            probe = due.popleft()
            ask = self._ask if probe.kind is ProbeKind.HEALTH else self._ask_for_load
            self._start(ask(probe.backend))
        self._turn = self._loop.call_soon(self._begin) if due else None

    def _start(self, asking: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(asking)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _ask(self, backend: Backend) -> None:
        self._heard(backend, await self._prober.probe(backend))

    async def _ask_for_load(self, backend: Backend) -> None:
        report = await self._prober.load(backend)
        if report is not None:
            self._heard(backend, report)
