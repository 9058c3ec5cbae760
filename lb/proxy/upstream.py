"""Connections to one backend: the pool of idle ones, and the parsing of responses."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import httptools

from lb.balancing import Backend, Outcome
from lb.config import host_and_port
from lb.proxy.exchange import CHUNKED, CLOSE, LENGTH, Exchange
from lb.proxy.message import (
    MAX_FIELDS,
    MAX_HEAD,
    RESPONSE_FIELDS,
    Field,
    FieldTable,
    has_body,
    load_report,
    named,
    tokens,
    without,
)
from lb.strategies.sticky import token

if TYPE_CHECKING:
    from lb.proxy.driver import Driver

FIELDS = FieldTable(RESPONSE_FIELDS)
IS_LENGTH, IS_CODING, IS_CONNECTION, IS_LOAD = map(
    int, (Field.LENGTH, Field.CODING, Field.CONNECTION, Field.LOAD)
)


class UpstreamPool:
    """All connections to one backend. The last one used is the first one used again."""

    def __init__(self, driver: Driver, backend: Backend) -> None:
        self.driver = driver
        self.backend = backend
        self.idle: list[UpstreamConnection] = []
        self.server_field = b"X-Backend-Server: %b\r\n" % backend.address.encode()
        self.token = token(backend.address)
        self._request_end = self.server_field + b"\r\n"
        self._address = host_and_port(backend.address)
        self._connecting: dict[Exchange, asyncio.Task[None]] = {}

    def __repr__(self) -> str:
        return f"<UpstreamPool {self.backend.name} {len(self.idle)} idle>"

    def carry(self, exchange: Exchange, fresh: bool) -> None:
        """Send `exchange` on an idle connection, or open one (always, when `fresh`)."""
        while self.idle and not fresh:
            connection = self.idle.pop()
            if not connection.transport.is_closing():
                connection.exchange = exchange
                exchange.sent_on(connection, self._request_end)
                return
        task = self.driver.loop.create_task(self._connect(exchange))
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

    def close(self) -> None:
        for task in self._connecting.values():
            task.cancel()
        for connection in self.idle:
            connection.transport.close()
        self.idle.clear()

    async def _connect(self, exchange: Exchange) -> None:
        host, port = self._address
        try:
            async with asyncio.timeout(self.driver.timeouts.connect):
                _, connection = await self.driver.loop.create_connection(
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
                exchange.sent_on(connection, self._request_end)

    def _failed(self, exchange: Exchange, outcome: Outcome) -> None:
        if self._connecting.pop(exchange, None) is not None:
            exchange.broken(outcome, sent=False)


class UpstreamConnection(asyncio.Protocol):
    """One connection to a backend; carries one exchange at a time."""

    __slots__ = (
        "_coding",
        "_connection",
        "_done",
        "_fields",
        "_framing",
        "_in_body",
        "_keep",
        "_out",
        "_overhead",
        "_parser",
        "_paused",
        "_pool",
        "_reason",
        "exchange",
        "idle_since",
        "reused",
        "transport",
    )

    def __init__(self, pool: UpstreamPool) -> None:
        self._pool = pool
        self.exchange: Exchange | None = None
        self.reused = False
        self.transport: asyncio.Transport
        self._paused = False  # we do not read, because the client does not
        self._overhead = 0  # bytes read since a head was complete or a body went on
        self._out: list[bytes] = []  # for the client, collected over one read
        self._parser = httptools.HttpResponseParser(self)
        self._begin()

    def __repr__(self) -> str:
        return f"<UpstreamConnection {self._pool.backend.name} {self.exchange!r}>"

    def _begin(self) -> None:
        self._reason = b""
        self._fields: list[bytes] = []
        self._framing = CLOSE
        self._coding = b""
        self._connection = b""
        self._in_body = False  # the final head has been seen
        self._done = False
        self._keep = False
        self._overhead = 0

    # --- the exchange's side

    def write(self, data: bytes) -> None:
        self.transport.write(data)

    def release(self, keep: bool) -> None:
        """The exchange is over: back to the pool, or away."""
        self.exchange = None
        if keep and not self.transport.is_closing():
            self.resume_reading()
            self.reused = True
            pool = self._pool
            pool.idle.append(self)
            self.idle_since = pool.driver.now()
        else:
            self.transport.abort()

    def pause_reading(self) -> None:
        if not self._paused and not self.transport.is_closing():
            self._paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if self._paused and not self.transport.is_closing():
            self._paused = False
            self.transport.resume_reading()

    # --- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop has its own class

    def pause_writing(self) -> None:
        """The backend does not take the request's body: it owes us that."""
        if self.exchange is not None:
            self.exchange.client.pause_reading()
            self._pool.driver.owed(self.exchange)

    def resume_writing(self) -> None:
        exchange = self.exchange
        if exchange is not None:
            if not exchange.complete and not exchange.status:
                self._pool.driver.settled(exchange)  # now it is the client's turn
            exchange.client.resume_reading()

    def data_received(self, data: bytes) -> None:
        exchange = self.exchange
        if exchange is None:
            self.transport.abort()  # bytes that nobody asked for
            return
        if exchange.first_byte_at is None:
            exchange.first_byte_at = self._pool.driver.now()
            self.reused = False
        self._overhead += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if not self._done:
                self._malformed(exchange)
                return
            self._keep = False
        if self._overhead > MAX_HEAD and not self._done:
            self._malformed(exchange)
            return
        if self._out:
            exchange.client.write(self._out[0] if len(self._out) == 1 else b"".join(self._out))
            self._out.clear()
        if self._done:
            keep = self._keep
            self._begin()
            exchange.answered(keep)
        elif not self._paused:
            self._pool.driver.owed(exchange)

    def connection_lost(self, exc: Exception | None) -> None:
        exchange, self.exchange = self.exchange, None
        del self._parser
        if exchange is None:
            pool = self._pool
            if self in pool.idle:
                pool.idle.remove(self)
        elif self._in_body and self._framing is CLOSE and exc is None:
            end = exchange.response_end()
            if end:
                exchange.client.write(end)
            exchange.answered(keep_upstream=False)
        else:
            exchange.broken(Outcome.RESET)

    # --- the parser's side

    def on_message_begin(self) -> None:
        if self._done:
            self._keep = False  # bytes behind a response: never use this connection again

    def on_status(self, reason: bytes) -> None:
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_body:
            return  # a trailer
        kind = FIELDS[name]
        if not kind:
            self._fields += (name, b": ", value, b"\r\n")
        elif kind == IS_LENGTH:
            self._framing = LENGTH
            self._fields += (name, b": ", value, b"\r\n")
        elif kind == IS_CODING:
            self._coding += b"," + value
        elif kind == IS_CONNECTION:
            self._connection += b"," + value
        elif kind == IS_LOAD and (report := load_report(value)):
            self._pool.driver.reported(self._pool.backend, report)

    def on_headers_complete(self) -> None:
        exchange = self.exchange
        if exchange is None or self._done or len(self._fields) > 4 * MAX_FIELDS:
            raise _Malformed
        status = self._parser.get_status_code()
        if status == 101 or status < 100:
            raise _Malformed  # nobody asked to switch: Upgrade is not forwarded
        if self._coding:
            if tokens(self._coding) != [b"chunked"]:
                raise _Malformed  # nobody asked for another: TE is not forwarded
            self._framing = CHUNKED
        fields = self._fields
        if self._connection and (unwanted := named(self._connection)):
            fields = without(fields, unwanted)
        head = exchange.response_head(status, self._reason, fields, self._framing)
        if len(head) > MAX_HEAD:
            raise _Malformed
        self._out.append(head)
        self._overhead = 0
        if status >= 200:
            self._in_body = True
            if exchange.first_byte_at is None:  # an interim response came first
                exchange.first_byte_at = self._pool.driver.now()
            if exchange.method == b"HEAD" and has_body(b"GET", status):
                # llhttp cannot know that no body follows: this parser has done its work.
                self._done = True
                self._keep = self._parser.should_keep_alive()
                self._parser = httptools.HttpResponseParser(self)

    def on_body(self, data: bytes) -> None:
        exchange = self.exchange
        if exchange is None or self._done:
            raise _Malformed
        self._overhead = 0
        self._out.append(exchange.response_body(data))

    def on_message_complete(self) -> None:
        exchange = self.exchange
        if exchange is None or self._done:
            return
        if self._in_body:
            self._done = True
            self._keep = self._parser.should_keep_alive()
            end = exchange.response_end()
            if end:
                self._out.append(end)
        else:
            self._begin()  # an interim response; the final one follows
            exchange.first_byte_at = None

    def _malformed(self, exchange: Exchange) -> None:
        self.exchange = None
        self._out.clear()
        self.transport.abort()
        exchange.broken(Outcome.SERVER_ERROR)


class _Malformed(Exception):
    """Not an answer that can be passed on."""
