"""A proxy that is one of several, in processes of their own: what it leaves to somebody for all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lb.balancing import Backend, LoadReport, ProbeResult, Setup
from lb.measures import Report
from lb.proxy.health.prober import Prober


@dataclass(frozen=True)
class Part:
    """What makes a proxy one of several that serve together, in processes of their own."""

    setup: Setup
    """Of its balancer."""
    health: Callable[[Backend], ProbeResult | None]
    """A health check falls due: what is known already. The rest comes through `heard`."""
    whole: Callable[[Callable[[Report], None]], None]
    """Tells how all of them are, now or later."""


class Sharing:
    """A prober that leaves health checks to somebody who carries them out for all."""

    def __init__(self, health: Callable[[Backend], ProbeResult | None], prober: Prober) -> None:
        self._health = health
        self._prober = prober

    async def probe(self, backend: Backend) -> ProbeResult | None:
        """What is known already."""
        return self._health(backend)

    async def load(self, backend: Backend) -> LoadReport | None:
        """What the backend says of its load; None when it says nothing."""
        return await self._prober.load(backend)
