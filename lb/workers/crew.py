"""Those who serve: one proxy in this process, or several in processes of their own."""

from __future__ import annotations

import asyncio
from typing import Protocol

from lb.balancing import Change, Setup
from lb.config import Scenario
from lb.measures import Report
from lb.proxy.lifecycle import Proxy
from lb.proxy.listening import Bound
from lb.proxy.tls.credentials import Credentials


class Crew(Protocol):
    """What the main process needs of those who serve. `start`, then `stop`."""

    @property
    def algorithm(self) -> str:
        """The one that picks."""

    @property
    def backends(self) -> int:
        """How many there are."""

    @property
    def workers(self) -> int:
        """How many processes serve, or shall."""

    @property
    def clients(self) -> int:
        """How many are connected."""

    @property
    def states(self) -> dict[str, str]:
        """By name of a backend: what an operator wants of it, where that is not "up"."""

    @property
    def setup(self) -> Setup:
        """What would make the balancer that there is now, with all that was changed."""

    async def start(self, bound: Bound) -> None:
        """Know something of every backend, then take clients from these sockets."""

    async def report(self) -> Report:
        """How everything is now."""

    async def perform(self, change: Change) -> None:
        """Change one thing. Raises UnknownBackend, UsageError; nothing changes then."""

    async def adopt(self, scenario: Scenario) -> None:
        """Go on by another file, but for where to listen; may come before `start`, too.

        Raises UsageError, ConfigError.
        """

    async def learn(self, scenario: Scenario) -> None:
        """Further backends, which are about to join, are in this file. Raises ConfigError."""

    def explain(self) -> None:
        """Report why picks fall as they do, for a while."""

    def reopen(self) -> None:
        """Open log files again."""

    async def stop(self, patience: float) -> bool:
        """Take no more clients, finish what is in flight. False if time ran out.

        With `patience`, somebody else takes clients from the same sockets; idle ones have so many
        seconds to ask once more, and are told to go with the answer.
        """

    def hurry(self) -> None:
        """Let `stop` wait no longer."""


class Alone:
    """A crew of one: the proxy runs in this process."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy

    @property
    def algorithm(self) -> str:
        return self._proxy.balancer.algorithm

    @property
    def backends(self) -> int:
        return len(self._proxy.balancer.pool.backends)

    @property
    def workers(self) -> int:
        return 1

    @property
    def clients(self) -> int:
        return len(self._proxy.clients)

    @property
    def states(self) -> dict[str, str]:
        backends = self._proxy.balancer.pool.backends
        return {it.name: it.state.value for it in backends if it.state.value != "up"}

    @property
    def setup(self) -> Setup:
        return self._proxy.balancer.setup

    async def start(self, bound: Bound) -> None:
        await self._proxy.start(bound)

    async def report(self) -> Report:
        return self._proxy.report()

    async def perform(self, change: Change) -> None:
        self._proxy.dispatcher.perform(change)

    async def adopt(self, scenario: Scenario) -> None:
        self._proxy.adopt(scenario, await asyncio.to_thread(Credentials.read, scenario))

    async def learn(self, scenario: Scenario) -> None:
        self._proxy.learn(scenario)

    def explain(self) -> None:
        self._proxy.explaining.begin()

    def reopen(self) -> None:
        self._proxy.reopen()

    async def stop(self, patience: float) -> bool:
        return await self._proxy.stop(patience)

    def hurry(self) -> None:
        self._proxy.hurry()
