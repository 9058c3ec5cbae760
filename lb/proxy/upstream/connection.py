"""One connection to a backend, and the exchange it carries."""

from __future__ import annotations

import asyncio
from typing import Protocol, cast

from lb import wire
from lb.balancing import Backend, LoadReport, Outcome
from lb.proxy.context import Context
from lb.proxy.exchange.exchange import Exchange
from lb.proxy.http.framing import CHUNKED
from lb.proxy.http.response import Response, ResponseReader
from lb.proxy.http.rules import Malformed, tokens


class Home(Protocol):
    """What a connection needs of the pool that it belongs to."""

    context: Context
    backend: Backend
    idle: list[UpstreamConnection]
    """Whoever is here may be handed an exchange."""
    open: bool
    """New exchanges may come."""

    def reported(self, report: LoadReport) -> None:
        """The backend has said how loaded it is."""


class UpstreamConnection(asyncio.Protocol):
    """Carries one exchange at a time."""

    __slots__ = (
        "_home",
        "_now",
        "_paused",
        "_reader",
        "_response",
        "exchange",
        "idle_since",
        "reused",
        "transport",
        "write",
    )

    def __init__(self, home: Home) -> None:
        self._home = home
        self._now = home.context.now
        self.exchange: Exchange | None = None
        self.reused = False
        self.idle_since = 0.0
        self.transport: asyncio.Transport
        self._paused = False  # we do not read, because the client does not
        limits = home.context.limits
        self._reader = ResponseReader(limits.header_bytes, limits.header_count)
        self._response: Response | None = None  # whose body is arriving

    def __repr__(self) -> str:
        return f"<UpstreamConnection {self._home.backend.name} {self.exchange!r}>"

    # --- the exchange's side

    def release(self, keep: bool, now: float) -> None:
        """The exchange is over: back to the pool, or away."""
        self.exchange = None
        if keep and self._home.open:  # should it be closing, nobody will use it
            if self._paused:
                self.resume_reading()
            self.reused = True
            self._home.idle.append(self)
            self.idle_since = now
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

    def into_tunnel(self) -> tuple[asyncio.Transport, bytes]:
        """The transport, which others take over, and what came behind the 101."""
        self.exchange = None
        return self.transport, self._reader.rest

    # --- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop has its own class
        self.write = self.transport.write

    def pause_writing(self) -> None:
        """The backend does not take the request's body: it owes us that."""
        if self.exchange is not None:
            self.exchange.client.pause_reading()
            self.exchange.owed(self._now())

    def resume_writing(self) -> None:
        exchange = self.exchange
        if exchange is not None:
            if not exchange.complete and not exchange.status:
                exchange.settled()  # now it is the client's turn
            exchange.client.resume_reading()

    def data_received(self, data: bytes) -> None:
        exchange = self.exchange
        if exchange is None:
            self.transport.abort()  # bytes that nobody asked for
            return
        reader = self._reader
        now = self._now()
        if exchange.first_byte_at is None:
            exchange.first_byte_at = now
            self.reused = False
        reader.receive(data)
        out = content = b""
        response = self._response
        begins = response is None
        try:
            if begins:
                response, out = self._heads(exchange, now)
            if response is not None and not reader.ended:
                content = reader.body()
        except Malformed:
            self._malformed(exchange)  # of an answer that begins here nothing has gone out
            return
        if response is not None:
            if begins:
                self._response = response
                out += exchange.head(response)
            if content:
                out += exchange.body(content)
        if response is None or not reader.ended:
            if out:
                exchange.client.write(out)
            if self.exchange is not None and not self._paused:
                exchange.owed(now)
            return
        if response.framing is CHUNKED:
            out += exchange.closing(reader.trailers(response.aside.named))
        if out:
            exchange.client.write(out)
        self._response = None
        # Bytes behind a response: never use this connection again.
        exchange.end(response.keep_alive and not reader.rest, now)

    def connection_lost(self, exc: Exception | None) -> None:
        exchange, self.exchange = self.exchange, None
        if exchange is None:
            idle = self._home.idle
            if self in idle:
                idle.remove(self)
        elif exc is None and self._reader.eof():
            if end := exchange.closing(b""):
                exchange.client.write(end)
            exchange.end(keep_upstream=False, now=self._now())
        else:
            exchange.broken(Outcome.RESET)

    # --- responses

    def _heads(self, exchange: Exchange, now: float) -> tuple[Response | None, bytes]:
        """Take heads up to the final one. Returns it, and what the client gets of those before."""
        out = b""
        while (response := self._reader.next(exchange.request.method)) is not None:
            if (load := response.aside.load) and (said := wire.read_load(load.decode("latin-1"))):
                self._home.reported(LoadReport(*said))
            if exchange.first_byte_at is None:  # an interim response came first
                exchange.first_byte_at = now
            if response.status >= 200:
                return response, out
            if response.status == 101:
                self._check_switch(exchange, response)
                if out:
                    exchange.client.write(out)
                exchange.switch(response)
                return None, b""
            out += exchange.interim(response)
            exchange.first_byte_at = None
        return None, out

    @staticmethod
    def _check_switch(exchange: Exchange, response: Response) -> None:
        """A server may switch only to what it was asked for (RFC 9110, 7.8)."""
        protocols = tokens(response.aside.upgrade)
        asked = tokens(exchange.request.hop.upgrade)
        if not protocols or not exchange.complete or any(one not in asked for one in protocols):
            raise Malformed("the backend switched to a protocol that nobody asked for")

    def _malformed(self, exchange: Exchange) -> None:
        self.exchange = None
        self.transport.abort()
        exchange.broken(Outcome.SERVER_ERROR)
