"""The one balancer of an application: its clock, its alarm, its checks, its beginning and end.

What `lb.proxy` does for connections this does for tasks; the dispatcher, which carries out what the
balancer wants, is the same.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from time import monotonic
from typing import Any, Protocol
from weakref import WeakSet

from lb import BUILD
from lb.aio.finding import Finding, judged
from lb.balancing import Backend, Balancer, LoadReport, Snapshot
from lb.config import Scenario, host_and_port
from lb.errors import UsageError
from lb.measures import Report
from lb.proxy.context import Context
from lb.proxy.dispatcher import Dispatched, Dispatcher
from lb.proxy.health.prober import Prober
from lb.proxy.http.keys import key_of
from lb.proxy.logs.log import Log
from lb.proxy.names import Names
from lb.proxy.timers import Deadlines, Punctual
from lb.proxy.waits import INFINITY

TICK = 0.05
"""Seconds between two looks at time limits, while anything is under way."""
_LOGGER = logging.getLogger("lb")


def to_logging(level: str, event: str, **fields: object) -> None:
    """A `Log` for a process whose own log is `logging`."""
    said = "".join(f" {name}={value}" for name, value in fields.items())
    _LOGGER.log(logging.getLevelNamesMapping()[level.upper()], "%s%s", event, said)


class UnderWay(Dispatched, Protocol):
    """A call, as the driver knows it."""

    def look(self) -> None:
        """It is time to look whether anybody still waits for the answer."""

    def timed_out(self) -> None:
        """It takes longer than any may."""

    def close(self) -> None:
        """End it at once."""


class Site:
    """What is kept for a backend: who is there. Its connections are the client session's."""

    def __init__(self, backend: Backend, report: Callable[[Backend, LoadReport], None]) -> None:
        self.reported = partial(report, backend)
        self.attempts: set[Any] = set()
        self.host, self.port = host_and_port(backend.address)

    def close_idle(self, since: float) -> None:
        """A session does so by itself."""

    def adopt(self) -> None:
        """Nothing of what the context says is remembered here."""

    def retire(self) -> None:
        """What is in flight there ends as it would."""

    def close(self) -> None:
        """Who closes the driver ends what is under way."""


class Driver:
    """Made inside a running event loop; `begin`, then `close`."""

    def __init__(
        self,
        scenario: Scenario,
        rng: Random | None = None,
        log: Log = to_logging,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self.context = context = Context(scenario, log, now)
        self.known: WeakSet[Any] = WeakSet()
        """Connections that have carried a request."""
        self.calls: set[UnderWay] = set()
        """Until the last byte of each answer."""
        total = scenario.timeouts.total
        self.total: Deadlines[UnderWay] = Punctual(
            INFINITY if total is None else total,
            lambda call: call.timed_out(),
            context.loop,
            context.now,
        )
        self._key = scenario.key
        self._prober = Prober(scenario, Names(log), log, now, context.ways)
        self.balancer: Balancer[Any] = Balancer(scenario.setup(), rng or Random(), now())
        self.dispatcher: Dispatcher[Any] = Dispatcher(
            context,
            self.balancer,
            prober=self._prober,
            log=log,
            site=Site,
            swapped=self._identify,
            recall=self._recall,
            attempt=scenario.timeouts.attempt,
        )
        self._finding = (
            Finding(scenario, context, self.dispatcher, self._prober, log)
            if scenario.discovery
            else None
        )
        self._identify(self.balancer.needs)
        self._timer: asyncio.TimerHandle | None = None
        self._look_at = 0.0  # when the next tick is due

    async def begin(self) -> None:
        """Find backends, and ask each once; returns when all have answered, or none will soon."""
        if self._finding is not None:
            await self._finding.begin()
        self.dispatcher.begin()
        await self.dispatcher.answered.wait()

    async def close(self) -> None:
        """Ask and decide no more, and end what is under way."""
        for call in [*self.calls]:
            call.close()
        if self._timer is not None:
            self._timer.cancel()
        if self._finding is not None:
            await self._finding.close()
        await self.dispatcher.close()
        await self._prober.close()
        await asyncio.sleep(0)  # so do the transports close

    def snapshot(self) -> Snapshot:
        """What the balancer knows at this moment."""
        return self.balancer.snapshot(self.context.now())

    def report(self) -> Report:
        """What is counted."""
        return Report(BUILD.name, self.snapshot(), refused=dict(self.dispatcher.refused))

    def entered(self, call: UnderWay, now: float) -> None:
        """A call is under way."""
        self.calls.add(call)
        if self.context.total is not None:
            self.total.start(call, now)
        if self._timer is None:
            self._look_again(now)

    def left(self, call: UnderWay) -> None:
        """It is over."""
        self.calls.discard(call)
        self.total.stop(call)

    # --- inside

    def _identify(self, needs: frozenset[str]) -> None:
        """See to it that calls have the keys and cookies that the algorithm needs."""
        context = self.context
        kind, _, name = self._key.partition(":")
        sets_cookie = "sets_cookie" in needs and kind == "cookie"
        context.cookie = name.encode() if sets_cookie else None
        context.key_of = (
            key_of(self._key, context.trusted, newcomers_apart=sets_cookie)
            if "key" in needs
            else None
        )

    def _recall(self, backend: Backend) -> None:
        """Let go on elsewhere what waits at a backend that is silent."""
        for attempt in [*backend.site.attempts]:
            attempt.call.recall(attempt)

    def _look_again(self, now: float) -> None:
        self._look_at = now + TICK
        self._timer = self.context.loop.call_later(TICK, self._tick)

    def _tick(self) -> None:
        now = self.context.now()
        self.dispatcher.lagged(max(now - self._look_at, 0.0))
        self.dispatcher.sweep(now)
        self.total.sweep(now)
        for call in [*self.calls]:
            call.look()
        self._timer = None
        if self.calls:
            self._look_again(now)


def scenario_of(given: Scenario | str | Path | None, tables: dict[str, Any]) -> Scenario:
    """A whole file, or one built of its tables. Raises ConfigError, UsageError."""
    if isinstance(given, str | Path):
        given = Scenario.load(given)
    if given is not None and tables:
        raise UsageError(f"give a scenario, or its tables ({', '.join(tables)}); not both")
    return judged(given or Scenario(**tables))
