"""Probes that the balancer asks for, started a few at a time, and heard of a few at a time.

A thousand backends may fall due together, when a proxy starts, and go down together, when a network
breaks: then each answer is news that costs some work for every other backend. What is done in one
turn of the event loop holds up everybody else, so it is only some of it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Protocol

from lb.balancing import Backend, LoadReport, Probe, ProbeKind, ProbeResult

Result = ProbeResult | LoadReport
AT_ONCE = 8
"""Probes that begin in one turn of the event loop: less than a millisecond's work."""
SLICE = 0.001
"""Seconds of a turn after which no more of what probes have brought is handed on."""


class Prober(Protocol):
    """Carries out probes."""

    async def probe(self, backend: Backend) -> ProbeResult | None:
        """None where the answer comes in another way."""

    async def load(self, backend: Backend) -> LoadReport | None: ...


class Asking:
    """Starts probes, and hands on what they bring."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        prober: Prober,
        heard: Callable[[Backend, Result], None],
        now: Callable[[], float],
    ) -> None:
        """`now` only tells how long a turn has taken."""
        self._loop = loop
        self._prober = prober
        self._heard = heard
        self._now = now
        self._due: deque[Probe] = deque()
        self._brought: deque[tuple[Backend, Result]] = deque()
        self._turn: asyncio.Handle | None = None
        self._running: set[asyncio.Task[None]] = set()

    def ask(self, probe: Probe) -> None:
        """Begin this one as soon as there is room for it."""
        self._due.append(probe)
        self._go_on()

    async def close(self) -> None:
        """Ask no more."""
        self._heard = lambda *_: None  # what is on its way comes too late
        self._due.clear()
        self._brought.clear()
        if self._turn is not None:
            self._turn.cancel()
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def _go_on(self) -> None:
        if self._turn is None:
            self._turn = self._loop.call_soon(self._work)

    def _work(self) -> None:
        brought, due = self._brought, self._due
        if brought:
            until = self._now() + SLICE
            while brought:
                self._heard(*brought.popleft())
                if self._now() >= until:
                    break
        for _ in range(min(len(due), AT_ONCE)):
            probe = due.popleft()
            ask = self._prober.probe if probe.kind is ProbeKind.HEALTH else self._prober.load
            task = self._loop.create_task(self._ask(probe.backend, ask))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        self._turn = None
        if brought or due:
            self._go_on()

    async def _ask(
        self, backend: Backend, ask: Callable[[Backend], Awaitable[Result | None]]
    ) -> None:
        result = await ask(backend)
        if result is not None:
            self._brought.append((backend, result))
            self._go_on()
