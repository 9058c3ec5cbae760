"""Backends that a file's `[[discovery]]` finds join and leave the balancer of an application."""

from __future__ import annotations

from typing import Any

from lb.balancing import Settings
from lb.config import UNIX, BackendTable, Scenario
from lb.discovery import Discovery, changes
from lb.errors import ConfigError
from lb.proxy.context import Context
from lb.proxy.dispatcher import Dispatcher
from lb.proxy.health.prober import Prober
from lb.proxy.logs.log import Log
from lb.proxy.reaching import Ways
from lb.proxy.tls.credentials import Credentials

FIRST = 5.0
"""Seconds that the first requests wait for sources to say something."""


class Finding:
    """`begin`, then `close`."""

    def __init__(
        self,
        scenario: Scenario,
        context: Context,
        dispatcher: Dispatcher[Any],
        prober: Prober,
        log: Log,
    ) -> None:
        self._scenario = scenario
        self._context = context
        self._dispatcher = dispatcher
        self._prober = prober
        self._log = log
        self._known: tuple[Settings, ...] = ()
        self._discovery = Discovery(log, self._changed)

    async def begin(self) -> None:
        """Those that are known within a while."""
        scenario = self._scenario
        plan = await self._discovery.plan(scenario.discovery, scenario.backends, FIRST)
        self._discovery.adopt(plan)
        self._changed("")

    async def close(self) -> None:
        await self._discovery.close()

    def _changed(self, source: str) -> None:
        scenario = self._scenario
        rows = [row for row in self._discovery.rows if self._usable(row)]
        whole = scenario.model_copy(update={"backends": (*scenario.backends, *rows)})
        try:
            self._context.ways = Ways(whole, Credentials.read(whole))
        except ConfigError as error:
            self._log("error", "backends not taken", of=source, reason=error.problems[0])
            return
        self._prober.adopt(whole, self._context.ways)
        before, self._known = self._known, tuple(map(scenario.settings, rows))
        balancer = self._dispatcher.balancer
        for change in changes(balancer.setup, before, self._known):
            self._dispatcher.perform(change)

    def _usable(self, row: BackendTable) -> bool:
        why = unreachable(row)
        if why is not None:
            self._log("warning", "backend not taken", backend=row.label, reason=why)
        return why is None


def unreachable(row: BackendTable) -> str | None:
    """Why aiohttp's client cannot reach a backend as its row says, if it cannot."""
    if row.address.startswith(UNIX):
        return "lb.aio reaches backends by host:port alone"
    if row.proxy_protocol is not None:
        return "lb.aio sends no PROXY header"
    return None


def judged(scenario: Scenario) -> Scenario:
    """The same, if all its backends can be reached. Raises ConfigError."""
    problems = [
        f"{scenario.place('backend', number, key)}: {why}"
        for number, row in enumerate(scenario.backends)
        if (why := unreachable(row)) is not None
        for key in ("address" if row.address.startswith(UNIX) else "proxy_protocol",)
    ]
    if problems:
        raise ConfigError(problems)
    return scenario
