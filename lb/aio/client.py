"""A client middleware for aiohttp: an application's own calls, balanced."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from random import Random
from time import monotonic
from types import TracebackType
from typing import Any, Self

from aiohttp import ClientHandlerType, ClientRequest, ClientResponse, hdrs

from lb.aio.call import Call
from lb.aio.driver import Driver, scenario_of, to_logging
from lb.balancing import Snapshot
from lb.config import Scenario
from lb.errors import UsageError
from lb.proxy.logs.log import Log


def balance(name: str, scenario: Scenario | str | Path | None = None, **tables: Any) -> Balance:
    """A middleware that sends requests for `http://NAME/` to one of several backends.

    `tables` are those of the file (`backends`, `algorithm`, `health`, `retries`, ...), see
    `lb.config.Scenario`; or give a whole `scenario`, or the path of a file. Of the
    file's time limits `connect`, `attempt`, `response` and `total` count; the session has its own
    beside them. Raises ConfigError, UsageError.

    >>> orders = balance("orders", backends=["10.0.0.1:80", "10.0.0.2:80"], algorithm="p2c")
    >>> orders
    <Balance orders p2c 2 backends>

    It is used as a context, which ends its health checks, with the session inside:

        async with orders, ClientSession(middlewares=[orders]) as session:
            answer = await session.get("http://orders/path")

    Without `async with` it begins with the first request, and ends with the event loop.
    """
    return Balance(name, scenario_of(scenario, tables))


class Balance:
    """What `balance` returns. Requests for other hosts pass untouched."""

    def __init__(
        self,
        name: str,
        scenario: Scenario,
        rng: Random | None = None,
        log: Log = to_logging,
        now: Callable[[], float] = monotonic,
    ) -> None:
        """`rng`, `log` and `now` (seconds) are what the balancer draws, says and goes by."""
        if not name or any(mark in name for mark in "/?#@ "):
            raise UsageError(f"{name!r} is no host; requests for http://NAME/ are balanced")
        self._name = name.lower()
        self._scenario = scenario
        self._rng = rng
        self._log = log
        self._now = now
        self._driver: Driver | None = None
        self._beginning: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        count = len(self._scenario.backends)
        return f"<Balance {self._name} {self._scenario.algorithm.name} {count} backends>"

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        """Raises Refused where no backend answers."""
        if request.url.host_port_subcomponent != self._name:
            return await handler(request)
        driver = await self._begun()
        return await Call(driver, request, handler, key_of(driver, request)).answer()

    async def __aenter__(self) -> Self:
        await self._begun()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End health checks, and what is under way."""
        driver, self._driver = self._driver, None
        beginning, self._beginning = self._beginning, None
        if beginning is not None:
            beginning.cancel()
            await asyncio.gather(beginning, return_exceptions=True)
        if driver is not None:
            await driver.close()

    def snapshot(self) -> Snapshot | None:
        """What is known of the backends; None before the first request."""
        return None if self._driver is None else self._driver.snapshot()

    async def _begun(self) -> Driver:
        """The driver of this event loop, once its backends have been asked."""
        driver, beginning = self._driver, self._beginning
        loop = asyncio.get_running_loop()
        if driver is None or beginning is None or driver.context.loop is not loop:
            driver = self._driver = Driver(self._scenario, self._rng, self._log, self._now)
            beginning = self._beginning = loop.create_task(driver.begin())
        if not beginning.done():
            await asyncio.shield(beginning)  # others may wait for it
        return driver


def key_of(driver: Driver, request: ClientRequest) -> bytes:
    """What a strategy that hashes sees of a request that this application makes."""
    if driver.context.key_of is None:
        return b""
    lines = "".join(f"\r\n{name}: {value}" for name, value in request.headers.items())
    return driver.context.key_of(
        b"",
        request.url.raw_path_qs.encode(),
        request.headers.get(hdrs.HOST, "").encode(),
        lines.encode("utf-8", "surrogateescape"),
    )
