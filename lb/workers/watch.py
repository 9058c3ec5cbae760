"""The balancer of a main process that has workers: it serves nobody, and knows what holds for all.

It carries out all health checks and tells the workers what they say; every change is tried on it
first.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from lb.balancing import (
    Apply,
    Backend,
    Balancer,
    Change,
    LoadReport,
    ProbeResult,
    SetState,
    Snapshot,
    State,
)
from lb.balancing.health import Health
from lb.config import Scenario
from lb.proxy.context import Context
from lb.proxy.dispatcher import Dispatcher
from lb.proxy.health.prober import Prober
from lb.proxy.logs.log import Log
from lb.proxy.names import Names
from lb.proxy.telling import Telling
from lb.proxy.tls.credentials import Credentials
from lb.workers.messages import Heard

DRAINED = "backend drained"
"""Only who has requests knows when the last of them has ended."""


class Nowhere:
    """What is kept for a backend to which nothing is ever sent."""

    def close_idle(self, since: float) -> None:
        """There is nothing to close."""

    def adopt(self) -> None:
        """There is nothing to adopt."""

    def retire(self) -> None:
        """There is nothing to end."""

    def close(self) -> None:
        """There is nothing to close."""


class Broadcasting:
    """A prober that tells others what it has found, too."""

    def __init__(self, prober: Prober, tell: Callable[[Heard], None]) -> None:
        self._prober = prober
        self._tell = tell

    async def probe(self, backend: Backend) -> ProbeResult:
        """How the backend is."""
        result = await self._prober.probe(backend)
        self._tell(Heard(backend.name, backend.address, result))
        return result

    async def load(self, backend: Backend) -> LoadReport | None:
        """Nobody picks here."""
        return None


class Watch:
    """`begin`, then `close`."""

    def __init__(
        self,
        scenario: Scenario,
        log: Log,
        tell: Callable[[Heard], None],
        drains: Callable[[str], None],
    ) -> None:
        """Must be made inside a running event loop. Raises ConfigError, UsageError.

        `tell` hears what health checks say, `drains` that a backend of that name begins to drain.
        """
        self._log = log
        self._drains = drains
        self._context = context = Context(scenario, log)
        self.try_hearers(scenario)
        self._prober = Prober(scenario, Names(log), log, context.now, context.ways)
        self.balancer: Balancer[Any] = Balancer(scenario.setup(), Random(), context.now())
        self._dispatcher = Dispatcher(
            context,
            self.balancer,
            prober=Broadcasting(self._prober, tell),
            log=self._say,
            site=lambda *_: Nowhere(),
            swapped=lambda _: None,
            recall=lambda _: None,
        )
        self.answered = self._dispatcher.answered
        """Something is known of every backend."""

    def begin(self) -> None:
        """Ask the backends how they are."""
        self._dispatcher.begin()

    async def close(self) -> None:
        """Ask no more."""
        await self._dispatcher.close()
        await self._prober.close()

    def perform(self, change: Change) -> None:
        """Raises UnknownBackend, UsageError, and changes nothing then."""
        self._dispatcher.perform(change)

    def adopt(self, scenario: Scenario, credentials: Credentials) -> None:
        """Go on by another file. Raises UsageError, and changes nothing then."""
        self._dispatcher.perform(Apply(scenario.setup()))
        self._context.adopt(scenario, credentials)
        self._prober.adopt(scenario, self._context.ways)

    def try_hearers(self, scenario: Scenario) -> None:
        """Whether requests can be told to whom a file says. Raises ConfigError."""
        telling = Telling(self._context, self._log)
        telling.discard(telling.prepared(scenario))

    def learn(self, scenario: Scenario) -> None:
        """Of further backends, which are about to join. Raises ConfigError."""
        self._context.learn(scenario, self._context.credentials.joined_by(scenario))
        self._prober.adopt(scenario, self._context.ways)

    def hasten(self, name: str) -> None:
        """An attempt has failed there: ask at once, if it is not asked often at present anyway."""
        for backend in self.balancer.pool.backends:
            if backend.name == name and not backend.health.deciding:
                checks = self.balancer.fleet.checks
                if backend in checks:
                    checks.hasten(backend, self._context.now())
                    self._dispatcher.drain()

    @property
    def draining(self) -> set[str]:
        """Backends that drain, by name."""
        return {backend.name for backend in self.balancer.pool.backends if backend.drains}

    @property
    def known(self) -> tuple[Heard, ...]:
        """How those backends are of which something is known, as if it had just been said."""
        return tuple(
            Heard(
                backend.name,
                backend.address,
                ProbeResult(
                    backend.health.state is Health.UP,
                    backend.health.change or backend.why,
                    refused=backend.refusing,
                    drain=backend.draining,
                ),
            )
            for backend in self.balancer.pool.backends
            if backend.health.state is not Health.UNKNOWN
        )

    @property
    def wishes(self) -> tuple[SetState, ...]:
        """What operators want of backends, where that is not "up"."""
        return tuple(
            SetState(backend.name, backend.state)
            for backend in self.balancer.pool.backends
            if backend.state is not State.UP
        )

    def snapshot(self) -> Snapshot:
        """What is known at this moment."""
        return self.balancer.snapshot(self._context.now())

    def _say(self, level: str, event: str, **fields: object) -> None:
        if event == DRAINED:  # here nothing is ever in flight
            self._drains(str(fields["backend"]))
        else:
            self._log(level, event, **fields)
