"""Connections to one backend: which are idle, which are being made."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable

from lb.balancing import Backend, LoadReport, Outcome
from lb.config import host_and_port
from lb.proxy.context import Context
from lb.proxy.exchange.attempt import Attempt
from lb.proxy.exchange.exchange import Exchange
from lb.proxy.http.message import VIA
from lb.proxy.upstream.connection import UpstreamConnection
from lb.strategies.sticky import token

OUR_TROUBLE = {
    errno.EMFILE,
    errno.ENFILE,  # no descriptors
    errno.EADDRNOTAVAIL,  # no ports
    errno.ENOMEM,
    errno.ENOBUFS,
}


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
        self._connecting: dict[Attempt[Exchange], asyncio.Task[None]] = {}

    def __repr__(self) -> str:
        return f"<UpstreamPool {self.backend.name} {len(self.idle)} idle>"

    def carry(self, attempt: Attempt[Exchange], now: float) -> None:
        """Send it on an idle connection, or open one (always, when it is to be `fresh`)."""
        while self.idle and not attempt.fresh:
            connection = self.idle.pop()
            if not connection.transport.is_closing():
                connection.attempt = attempt
                attempt.exchange.sent_on(attempt, connection, self._request_end, now)
                return
        self._connecting[attempt] = self.context.loop.create_task(self._connect(attempt))

    def forget(self, attempt: Attempt[Exchange]) -> None:
        """Stop connecting for an attempt; it has no use for a connection any more."""
        task = self._connecting.pop(attempt, None)
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

    async def _connect(self, attempt: Attempt[Exchange]) -> None:
        host, port = self._address
        try:
            async with asyncio.timeout(self.context.timeouts.connect):
                _, connection = await self.context.loop.create_connection(
                    lambda: UpstreamConnection(self), host, port
                )
        except TimeoutError:
            self._failed(attempt, Outcome.TIMEOUT)
        except (OSError, UnicodeError) as error:
            self._failed(attempt, Outcome.CANCELLED if ours(error) else Outcome.CONNECT)
        else:
            if connection.transport.is_closing():  # accepted and broken off in one breath
                self._failed(attempt, Outcome.RESET)
            elif self._connecting.pop(attempt, None) is None:
                connection.transport.abort()
            else:
                connection.attempt = attempt
                attempt.exchange.sent_on(attempt, connection, self._request_end, self.context.now())

    def _failed(self, attempt: Attempt[Exchange], outcome: Outcome) -> None:
        if self._connecting.pop(attempt, None) is not None:
            attempt.exchange.broken(attempt, outcome)


def ours(error: OSError | UnicodeError) -> bool:
    """Whether a connection failed through trouble of this machine: no backend is to blame."""
    if isinstance(error, UnicodeError | socket.gaierror):  # a name that is none, or is not known
        return True
    return error.errno in OUR_TROUBLE
