"""The control plane's life: over sockets that listen, until the process ends."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Sequence
from typing import cast

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from lb.admin.access import Access, token_of
from lb.admin.app import application
from lb.admin.operations import Operations
from lb.admin.unreadable import Handler
from lb.config import UNIX, Scenario, host_and_port

LAST_WORDS = 1.0
"""Seconds that requests under way may delay the end."""
MOST = 200
"""Connections at a time, streams of events among them: the rest of the descriptors is for those
who are balanced."""
_LOG = logging.getLogger(__name__)


def _is_ours(record: logging.LogRecord) -> bool:
    """Whether it is worth a line: what others say that is no HTTP is not."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError)


_LOG.addFilter(_is_ours)


class Admin:
    """One application on its sockets. `start`, then `stop`."""

    def __init__(self, operations: Operations, scenario: Scenario) -> None:
        """Raises ConfigError when the token cannot be had."""
        self._access = access_of(scenario)
        self._runner = web.AppRunner(
            application(operations, self._access),
            handle_signals=False,
            shutdown_timeout=LAST_WORDS,
        )
        self._listening: list[asyncio.Server] = []

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        """Answer at these, which listen already; they belong to this from now on."""
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        for one in sockets:
            self._listening.append(await loop.create_server(self._enter, sock=one))

    def adopt(self, token: str | None) -> None:
        """Another token from now on, or none; see `token_of`."""
        self._access.token = token

    async def stop(self) -> None:
        """Listen no more, end all streams, close."""
        for one in self._listening:
            one.close()
        await self._runner.cleanup()

    def _enter(self) -> asyncio.Protocol:
        server = self._runner.server
        if server is None or len(server.connections) >= MOST:
            return _Full()
        loop = asyncio.get_running_loop()
        return Handler(server, loop=loop, logger=_LOG)


class _Full(asyncio.Protocol):
    """There is no room."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).abort()


def access_of(scenario: Scenario) -> Access:
    """Who may ask there. Raises ConfigError."""
    address = scenario.server.admin
    token = token_of(scenario)
    if address is None or address.startswith(UNIX):
        return Access(token)  # no page reaches a file
    return Access(token, [host_and_port(address)[0]])
