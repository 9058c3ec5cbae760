"""Connections to one backend: which are idle, which are being made."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from lb.balancing import Backend, LoadReport, Outcome
from lb.config import host_and_port
from lb.proxy.context import Context
from lb.proxy.exchange.exchange import Exchange
from lb.proxy.http.message import VIA
from lb.proxy.upstream.connection import UpstreamConnection
from lb.strategies.sticky import token


class UpstreamPool:
    """All connections to one backend. The last one used is the first one used again."""

    def __init__(
        self, context: Context, backend: Backend, report: Callable[[Backend, LoadReport], None]
    ) -> None:
        """`report` hears what the backend says of its load."""
        self.context = context
        self.backend = backend
        self.idle: list[UpstreamConnection] = []
        self.open = True
        self._report = report
        server = b"X-Backend-Server: %b\r\n\r\n" % backend.address.encode()
        self.token = token(backend.address)
        self._request_end = server
        self.response_tails = tuple(
            b"\r\nVia: 1.%d %b\r\n%b" % (minor, VIA, server) for minor in (0, 1)
        )
        self._address = host_and_port(backend.address)
        self._connecting: dict[Exchange, asyncio.Task[None]] = {}

    def __repr__(self) -> str:
        return f"<UpstreamPool {self.backend.name} {len(self.idle)} idle>"

    def carry(self, exchange: Exchange, fresh: bool, now: float) -> None:
        """Send `exchange` on an idle connection, or open one (always, when `fresh`)."""
        while self.idle and not fresh:
            connection = self.idle.pop()
            if not connection.transport.is_closing():
                connection.exchange = exchange
                exchange.sent_on(connection, self._request_end, now)
                return
        task = self.context.loop.create_task(self._connect(exchange))
        self._connecting[exchange] = task

    def forget(self, exchange: Exchange) -> None:
        """Stop connecting for `exchange`; it has no use for a connection any more."""
        task = self._connecting.pop(exchange, None)
        if task is not None:
            task.cancel()

    def close_idle(self, since: float) -> None:
        """Close what has been idle since `since`. Last used is last in the list."""
        old = 0
        while old < len(self.idle) and self.idle[old].idle_since <= since:
            self.idle[old].transport.close()
            old += 1
        del self.idle[:old]  # at once: nobody may be handed a connection that is closing

    def reported(self, report: LoadReport) -> None:
        self._report(self.backend, report)

    def retire(self) -> None:
        """Keep no connection from now on; what is in flight ends as it would."""
        self.open = False
        for connection in self.idle:
            connection.transport.close()
        self.idle.clear()

    def close(self) -> None:
        for task in self._connecting.values():
            task.cancel()
        for connection in self.idle:
            connection.transport.close()
        self.idle.clear()

    async def _connect(self, exchange: Exchange) -> None:
        host, port = self._address
        try:
            async with asyncio.timeout(self.context.timeouts.connect):
                _, connection = await self.context.loop.create_connection(
                    lambda: UpstreamConnection(self), host, port
                )
        except TimeoutError:
            self._failed(exchange, Outcome.TIMEOUT)
        except (OSError, UnicodeError):  # a name that cannot be one is a UnicodeError
            self._failed(exchange, Outcome.CONNECT)
        else:
            if connection.transport.is_closing():  # accepted and broken off in one breath
                self._failed(exchange, Outcome.RESET)
            elif self._connecting.pop(exchange, None) is None:
                connection.transport.abort()
            else:
                connection.exchange = exchange
                exchange.sent_on(connection, self._request_end, self.context.now())

    def _failed(self, exchange: Exchange, outcome: Outcome) -> None:
        if self._connecting.pop(exchange, None) is not None:
            exchange.broken(outcome, sent=False)
