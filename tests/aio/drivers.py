"""The embedded balancers in the place of a proxy, for whoever plays a file against one."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from random import Random
from time import monotonic
from typing import Any, cast

import aiohttp
from aiohttp import web

from lb.aio.application import Proxying
from lb.aio.client import Balance
from lb.balancing import Backend, Balancer, Outcome
from lb.config import Scenario
from lb.proxy.context import Context
from lb.proxy.logs.log import Log
from tests.proxy import doubles
from tests.proxy.doubles import NO_HEALTH, Origin, note_ends, note_leases, scenario

Line = tuple[str, str, dict[str, object]]


class OwnCalls:
    """Clients that balance their calls by themselves: every session that is made meanwhile."""

    addresses = ("orders",)

    def __init__(
        self, scenario: Scenario, log: Log, rng: Random, *, now: Callable[[], float]
    ) -> None:
        self._balance = Balance("orders", scenario, rng, log, now)
        self._session = aiohttp.ClientSession

    async def start(self) -> None:
        await self._balance.__aenter__()
        it: Any = aiohttp
        it.ClientSession = partial(self._session, middlewares=[self._balance])

    async def stop(self) -> None:
        it: Any = aiohttp
        it.ClientSession = self._session
        await self._balance.close()

    @property
    def balancer(self) -> Any:
        assert self._balance._driver is not None
        return self._balance._driver.balancer


class Served:
    """The application, on a port of its own."""

    def __init__(
        self,
        scenario: Scenario,
        log: Log,
        rng: Random,
        *,
        now: Callable[[], float] = monotonic,
        prefix: str = "",
    ) -> None:
        self._proxying = Proxying(scenario, prefix, rng, log, now)
        self._runner = web.AppRunner(
            self._proxying.application, access_log=None, shutdown_timeout=0.01
        )

    async def start(self) -> None:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()

    async def stop(self) -> None:
        await self._runner.cleanup()

    @property
    def addresses(self) -> list[str]:
        return [f"127.0.0.1:{address[1]}" for address in self._runner.addresses]

    @property
    def balancer(self) -> Balancer[Any]:
        return self._proxying.driver.balancer

    @property
    def context(self) -> Context:
        return self._proxying.driver.context


@asynccontextmanager
async def served(
    *backends: Origin | socket.socket | str, toml: str = "", prefix: str = "", **rows: str
) -> AsyncIterator[doubles.Proxy]:
    """The application before backends a, b, c ...; no test ends with a lease open."""
    before = asyncio.all_tasks()
    log: list[Line] = []
    driver = Served(
        scenario(*backends, toml=f"{toml}\n{NO_HEALTH}\n[panic]\nthreshold = 0.0\n", **rows),
        lambda level, event, **fields: log.append((level, event, fields)),
        Random(1),
        prefix=prefix,
    )
    await driver.start()
    it = doubles.Proxy(cast(Any, driver), log)
    try:
        yield it
    finally:
        await driver.stop()
    players = {task for task in asyncio.all_tasks() if "origin" in repr(task.get_coro())}
    assert asyncio.all_tasks() - players <= before
    assert all(not lease.open for lease in it.leases)
    assert len(it.outcomes) == len(it.leases)
    assert all(backend.active == 0 for backend in it.backends)


class Calling:
    """A session whose calls for `http://orders/` are balanced, and what the balancer was told."""

    def __init__(self, balance: Balance, session: aiohttp.ClientSession, log: list[Line]) -> None:
        self.balance = balance
        self.session = session
        self.log = log
        self.outcomes: list[tuple[str, Outcome]] = []
        self.ended: asyncio.Queue[tuple[str, Outcome]] = asyncio.Queue()
        self.said: asyncio.Queue[str] = asyncio.Queue()  # lines of the log, as they come
        assert balance._driver is not None
        self.driver = balance._driver
        self.leases = note_leases(self.driver.balancer)
        note_ends(self.driver.balancer, self._ended)

    def _ended(self, backend: Backend, outcome: Outcome, latency: float) -> None:
        self.outcomes.append((backend.name, outcome))
        self.ended.put_nowait((backend.name, outcome))

    async def hears(self, event: str) -> None:
        """Wait until the log says so."""
        while await self.said.get() != event:
            pass

    async def text(self, method: str = "GET", path: str = "/", **options: Any) -> str:
        async with self.session.request(method, f"http://orders{path}", **options) as answer:
            return await answer.text()


@asynccontextmanager
async def calling(
    *backends: Origin | socket.socket | str, toml: str = "", health: str = NO_HEALTH, **rows: str
) -> AsyncIterator[Calling]:
    """Backends a, b, c ...; no test ends with a lease open, or a task that was not there before.

    Unless the text says otherwise it never panics: those who are down get nothing.
    """
    before = asyncio.all_tasks()
    if "[panic]" not in toml:
        health += "\n[panic]\nthreshold = 0.0\n"
    log: list[Line] = []

    def note(level: str, event: str, **fields: object) -> None:
        log.append((level, event, fields))
        if it is not None:
            it.said.put_nowait(event)

    it: Calling | None = None
    file = scenario(*backends, toml=toml + "\n" + health, **rows)
    balance = Balance("orders", file, Random(1), note)
    async with balance, aiohttp.ClientSession(middlewares=[balance]) as session:
        it = Calling(balance, session, log)
        yield it
    players = {task for task in asyncio.all_tasks() if "origin" in repr(task.get_coro())}
    assert asyncio.all_tasks() - players <= before
    assert all(not lease.open for lease in it.leases)
    assert len(it.outcomes) == len(it.leases)
    assert all(backend.active == 0 for backend in it.driver.balancer.pool.backends)
    assert not it.driver.calls
