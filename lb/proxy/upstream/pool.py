"""Connections to one backend: which are idle, which are being made."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from lb.balancing import Backend, LoadReport, Outcome
from lb.config import host_and_port
from lb.proxy.context import Context
from lb.proxy.exchange.attempt import Attempt
from lb.proxy.exchange.exchange import Exchange
from lb.proxy.http.message import VIA
from lb.proxy.names import Names, Unresolved, connect
from lb.proxy.upstream.connection import UpstreamConnection
from lb.strategies.sticky import token
from lb.system import ours, scarce

ROUNDS = 3
"""Of the event loop, after which transports that were closed have given up their descriptors."""


class UpstreamPool:
    """All connections to one backend. The last one used is the first one used again."""

    def __init__(
        self,
        context: Context,
        names: Names,
        backend: Backend,
        report: Callable[[Backend, LoadReport], None],
    ) -> None:
        """`report` hears what the backend says of its load."""
        self.context = context
        self.backend = backend
        self.idle: list[UpstreamConnection] = []
        self.open = True
        self.whole = context.measured.whole(backend.name)
        """Where durations go, see `Requests`."""
        self._report = report
        self.token = token(backend.address)
        self._server = b"X-Backend-Server: %b\r\n" % backend.address.encode()
        self.request_end = self._server + b"\r\n"
        """What ends a head for it."""
        self.adopt()
        host, self._port = host_and_port(backend.address)
        self._name = names.name(host)
        self._connecting: dict[Attempt, asyncio.Task[None]] = {}

    def __repr__(self) -> str:
        return f"<UpstreamPool {self.backend.name} {len(self.idle)} idle>"

    def adopt(self) -> None:
        """See what the context says now."""
        said = self._server if self.context.backend_header else b""
        self.response_tails: tuple[bytes, ...] = tuple(
            b"\r\nVia: 1.%d %b\r\n%b\r\n" % (minor, VIA, said) for minor in (0, 1)
        )

    def carry(self, attempt: Attempt, now: float) -> None:
        """Send it on an idle connection, or open one (always, when it is to be `fresh`)."""
        connection = None if attempt.fresh else self.take_idle()
        if connection is None:
            self.connect(attempt)
        else:
            connection.attempt = attempt
            attempt.exchange.sent_on(attempt, connection, self.request_end, now)

    def take_idle(self) -> UpstreamConnection | None:
        """An idle connection, which is so no more."""
        while self.idle:
            connection = self.idle.pop()
            if not connection.transport.is_closing():
                return connection
        return None

    def connect(self, attempt: Attempt) -> None:
        """Open a connection for it."""
        self._connecting[attempt] = self.context.loop.create_task(self._connect(attempt))

    @property
    def connecting(self) -> list[Exchange]:
        """Those for whom a connection is being made."""
        return [attempt.exchange for attempt in self._connecting]

    def forget(self, attempt: Attempt) -> None:
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

    async def _connect(self, attempt: Attempt) -> None:
        try:
            connection = await self._name.each(self._open, self.context.timeouts.connect)
        except TimeoutError:
            self._failed(attempt, Outcome.TIMEOUT)
        except Unresolved:
            self._failed(attempt, Outcome.CANCELLED)
        except OSError as error:
            self._failed(attempt, Outcome.CANCELLED if ours(error) else Outcome.CONNECT)
        else:
            if connection.transport.is_closing():  # accepted and broken off in one breath
                self._failed(attempt, Outcome.RESET)
            elif self._connecting.pop(attempt, None) is None:
                connection.transport.abort()
            else:
                connection.attempt = attempt
                attempt.exchange.sent_on(attempt, connection, self.request_end, self.context.now())

    async def _open(self, address: str) -> UpstreamConnection:
        try:
            return await self._open_once(address)
        except OSError as error:
            if not scarce(error):
                raise
        self.context.make_room()
        for _ in range(ROUNDS):
            await asyncio.sleep(0)
        return await self._open_once(address)

    async def _open_once(self, address: str) -> UpstreamConnection:
        connection = UpstreamConnection(self)
        await connect(self.context.loop, connection, address, self._port)
        return connection

    def _failed(self, attempt: Attempt, outcome: Outcome) -> None:
        if self._connecting.pop(attempt, None) is not None:
            attempt.exchange.broken(attempt, outcome)
