"""The control plane in the main process: its sockets, its token, and the forecasts it shows."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping, Sequence
from typing import Any

from lb.admin.access import token_of
from lb.admin.operations import Operations
from lb.admin.serving import Admin
from lb.config import UNIX, Listener, Scenario
from lb.config.serving import near
from lb.errors import ConfigError
from lb.measures import Report
from lb.proxy.listening import Bound, forget, place_of
from lb.proxy.logs.log import Log
from lb.workers.forecasts import Forecasts

OWNER_ALONE = 0o600
MARK = "admin "
"""Before the address of a socket that is handed over, for the same may be that of a listener."""
Passed = list[tuple[str, socket.socket]]
"""Sockets, each with the address that the file gives for it."""


class Plane:
    """There may be nobody who listens; then nothing is done. `start`, then `stop`."""

    def __init__(self, operations: Operations, scenario: Scenario, log: Log) -> None:
        """Raises ConfigError where the token cannot be had."""
        address = scenario.server.admin
        self.listeners: Sequence[Listener] = ()
        """Where it listens."""
        self.bound: Bound = []
        """Its sockets, which whoever starts it puts here."""
        self._admin: Admin | None = None
        self._forecasts = Forecasts(log)
        if address is not None:
            mode = OWNER_ALONE if address.startswith(UNIX) else None
            self.listeners = (Listener(address, mode=mode),)
            self._admin = Admin(operations, scenario)

    @property
    def addresses(self) -> Sequence[str]:
        """As host:port or unix:/path."""
        return [place_of(one) for _, one in self.bound]

    def claim(self, passed: Passed, others: Sequence[str]) -> tuple[Passed, Passed]:
        """Of sockets that were passed to this process: those for it, and those at `others`."""
        ours = {it.address for it in self.listeners} - set(others)
        mine = [
            (address.removeprefix(MARK), one)
            for address, one in passed
            if address in ours or address.startswith(MARK)
        ]
        taken = [one for _, one in mine]
        return mine, [row for row in passed if row[1] not in taken]

    @property
    def estate(self) -> Passed:
        """What a successor claims."""
        return [(MARK + it.address, one) for it, one in self.bound]

    async def start(self) -> None:
        """Answer at the sockets in `bound`."""
        if self._admin is not None:
            await self._admin.start([one for _, one in self.bound])

    async def token(self, scenario: Scenario) -> str | None:
        """What is to be asked for by a new file. Raises ConfigError.

        So it does where a file that listens elsewhere has none: this one stays where it is.
        """
        token = await asyncio.to_thread(token_of, scenario)
        for it in self.listeners:
            if token is None and not near(it.address):
                place = scenario.place("server", "admin_token_file")
                why = f"missing; the control plane stays at {it.address}, which others can reach"
                raise ConfigError([f"{place}: {why}; lb serve --replace changes both"])
        return token

    def ask_for(self, token: str | None) -> None:
        """Another token from now on."""
        if self._admin is not None:
            self._admin.adopt(token)

    async def forecast(self, scenario: Scenario, report: Report) -> Mapping[str, Any]:
        """What the simulator says that it should look like."""
        balancers = max(len(report.workers), 1)
        return await self._forecasts.told(scenario, report.snapshot, balancers)

    async def stop(self, gently: bool) -> None:
        """Close; `gently`: somebody else listens there already."""
        if not gently:
            for _, one in self.bound:
                forget(one)
        self.bound = []
        admin, self._admin = self._admin, None
        if admin is not None:
            await admin.stop()
        await self._forecasts.close()
