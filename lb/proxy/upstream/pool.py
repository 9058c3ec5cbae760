"""Connections to one backend: which are idle, which are being made."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from lb.balancing import Backend, LoadReport, Outcome
from lb.config import host_and_port
from lb.proxy.context import Context
from lb.proxy.exchange.attempt import Attempt
from lb.proxy.exchange.exchange import Exchange
from lb.proxy.exchange.sides import ClientSide
from lb.proxy.http.message import VIA
from lb.proxy.names import Names, Unresolved
from lb.proxy.reaching import Way, reach
from lb.proxy.tls.failures import HandshakeFailed
from lb.proxy.upstream.connection import UpstreamConnection
from lb.proxy.upstream.share import Shares, close_idle
from lb.proxy.waits import INFINITY
from lb.strategies.sticky import token
from lb.system import ours, scarce

APART = 10.0
"""Seconds between two lines of the log about a backend that cannot be spoken to in private."""
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
        """Where durations go, see `Requests`; nowhere once it is retired."""
        self._report = report
        self._shares = Shares(self)
        self.way: Way = context.ways.to(backend.name, backend.address)
        """How it is reached now."""
        self.token = token(backend.address)
        self._server = b"X-Backend-Server: %b\r\n" % backend.address.encode()
        self.request_end = self._server + b"\r\n"
        """What ends a head for it."""
        self.adopt()
        host, self._port = host_and_port(backend.address)
        self._name = names.name(host)
        self._why = ""  # no connection could be made, when that was tried last
        self._quiet_until = -INFINITY
        self._connecting: dict[Attempt, asyncio.Task[None]] = {}

    def __repr__(self) -> str:
        return f"<UpstreamPool {self.backend.name} {len(self.idle)} idle>"

    def adopt(self) -> None:
        """See what the context says now."""
        way = self.context.ways.to(self.backend.name, self.backend.address)
        if way != self.way:
            self.way = way
            self.close_idle(INFINITY)  # those in use are not kept
        said = self._server if self.context.backend_header else b""
        self.response_tails: tuple[bytes, ...] = tuple(
            b"\r\nVia: 1.%d %b\r\n%b\r\n" % (minor, VIA, said) for minor in (0, 1)
        )

    @property
    def secure(self) -> bool:
        """Whether it is reached by TLS."""
        return self.way.secure is not None

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
        """Open a connection for it, or use one that is for its client alone."""
        if self.way.proxy_protocol is not None and not attempt.fresh:
            connection = self._shares.take_idle(attempt.exchange.client)
            if connection is not None:
                connection.attempt = attempt
                now = self.context.now()
                attempt.exchange.sent_on(attempt, connection, self.request_end, now)
                return
        self._connecting[attempt] = self.context.loop.create_task(self._connect(attempt))

    @property
    def unused(self) -> int:
        """Idle connections, those included that are for one client alone."""
        return len(self.idle) + len(self._shares)

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
        """Close what has been idle since `since`."""
        close_idle(self.idle, since)
        self._shares.close_idle(since)

    def reported(self, report: LoadReport) -> None:
        self._report(self.backend, report)

    def retire(self) -> None:
        """Keep no connection from now on; what is in flight ends as it would."""
        self.context.measured.left(self.backend.name, self.context.now())
        self.whole = {}
        self.open = False
        self.close_idle(INFINITY)

    def close(self) -> None:
        for task in self._connecting.values():
            task.cancel()
        self.close_idle(INFINITY)

    async def _connect(self, attempt: Attempt) -> None:
        client = attempt.exchange.client
        try:
            connection = await self._name.each(
                lambda address: self._open(address, client), self.context.timeouts.connect
            )
        except TimeoutError:
            self._failed(attempt, Outcome.TIMEOUT)
        except Unresolved:
            self._failed(attempt, Outcome.CANCELLED)
        except OSError as error:
            if isinstance(error, HandshakeFailed):
                self._tell(str(error))
            self._failed(attempt, Outcome.CANCELLED if ours(error) else Outcome.CONNECT)
        else:
            self._why = ""
            if connection.transport.is_closing():  # accepted and broken off in one breath
                self._failed(attempt, Outcome.RESET)
            elif self._connecting.pop(attempt, None) is None:
                connection.transport.abort()
            else:
                connection.attempt = attempt
                attempt.exchange.sent_on(attempt, connection, self.request_end, self.context.now())

    async def _open(self, address: str, client: ClientSide) -> UpstreamConnection:
        try:
            return await self._open_once(address, client)
        except OSError as error:
            if not scarce(error):
                raise
        self.context.make_room()
        for _ in range(ROUNDS):
            await asyncio.sleep(0)
        return await self._open_once(address, client)

    async def _open_once(self, address: str, client: ClientSide) -> UpstreamConnection:
        way, loop = self.way, self.context.loop
        if way.proxy_protocol is None:
            connection = UpstreamConnection(self)
            await reach(loop, connection, address, self._port, way)
        else:
            share = self._shares.of(client)
            connection = UpstreamConnection(share)
            await reach(loop, connection, address, self._port, way, share.ends)
        return connection

    def _tell(self, why: str) -> None:
        """Say why there is no connection, once until there is one again, and not too often."""
        now = self.context.now()
        if why != self._why and now >= self._quiet_until:
            self._why, self._quiet_until = why, now + APART
            self.context.log("warning", "no connection", backend=self.backend.name, reason=why)

    def _failed(self, attempt: Attempt, outcome: Outcome) -> None:
        if self._connecting.pop(attempt, None) is not None:
            attempt.exchange.broken(attempt, outcome)
