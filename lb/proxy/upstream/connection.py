"""One connection to a backend, and the attempt it carries."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol, cast

from lb import wire
from lb.balancing import Backend, LoadReport, Outcome
from lb.proxy.context import Context
from lb.proxy.exchange.attempt import Attempt
from lb.proxy.http.framing import CHUNKED
from lb.proxy.http.response import Response, ResponseReader
from lb.proxy.http.rules import Malformed, tokens
from lb.proxy.reaching import Way


class Home(Protocol):
    """What a connection needs of the pool that it belongs to."""

    context: Context
    backend: Backend

    @property
    def idle(self) -> list[UpstreamConnection]:
        """Whoever is here may be handed an attempt."""

    @property
    def open(self) -> bool:
        """More attempts may come."""

    @property
    def way(self) -> Way:
        """How the backend is reached now; who came another way is not kept."""

    def reported(self, report: LoadReport) -> None:
        """The backend has said how loaded it is."""


class UpstreamConnection(asyncio.Protocol):
    """Carries one attempt at a time."""

    __slots__ = (
        "_brisk",
        "_home",
        "_now",
        "_paused",
        "_reader",
        "_response",
        "_way",
        "attempt",
        "idle_since",
        "reused",
        "transport",
        "write",
    )

    def __init__(self, home: Home) -> None:
        self._home = home
        self._way = home.way
        self._now = home.context.now
        self._brisk = home.context.brisk
        self.attempt: Attempt | None = None
        self.reused = False
        self.idle_since = 0.0
        self.transport: asyncio.Transport
        self._paused = False  # we do not read, because the client does not
        limits = home.context.limits
        self._reader = ResponseReader(limits.header_bytes, limits.header_count)
        self._response: Response | None = None  # whose body is arriving

    def __repr__(self) -> str:
        return f"<UpstreamConnection {self._home.backend.name} {self.attempt!r}>"

    # --- the exchange's side

    def release(self, keep: bool, now: float) -> None:
        """The attempt is over: back to the pool, or away."""
        self.attempt = None
        home = self._home
        if keep and home.open and home.way is self._way:  # should it be closing, nobody will use it
            if self._paused:
                self.resume_reading()
            self.reused = True
            home.idle.append(self)
            self.idle_since = now
        else:
            self.transport.abort()

    def write_parts(self, parts: list[bytes]) -> None:
        self.transport.writelines(parts)

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
        self.attempt = None
        return self.transport, self._reader.rest

    # --- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop has its own class
        self.write = self.transport.write

    def pause_writing(self) -> None:
        if self.attempt is not None:
            self.attempt.exchange.backend_full()

    def resume_writing(self) -> None:
        if self.attempt is not None:
            self.attempt.exchange.backend_drains()

    def data_received(self, data: bytes) -> None:
        attempt = self.attempt
        if attempt is None:
            self.transport.abort()  # bytes that nobody asked for
            return
        exchange, reader = attempt.exchange, self._reader
        now = self._now()
        if attempt.first_byte_at is None:
            attempt.first_byte_at = now
            self.reused = False
        response = self._response
        begins = response is None
        if begins and not reader.rest and self._brisk and self._came(attempt, data, now):
            return
        reader.receive(data)
        content = b""
        try:
            if begins:
                response = self._heads(attempt, now)
            if response is not None and not reader.ended:
                content = reader.body()
        except Malformed:
            self._malformed(attempt)  # of an answer that begins here nothing has gone out
            return
        if response is None:
            if self.attempt is not None:  # else it is a tunnel
                exchange.more(now)
            return
        if begins:
            self._response = response
            exchange.head(attempt, response, content)
        elif content:
            exchange.body(content)
        if not reader.ended:
            exchange.more(now)
            return
        self._response = None
        trailers = reader.trailers(response.aside.named) if response.framing is CHUNKED else b""
        # Bytes behind a response: never use this connection again.
        exchange.end(trailers, response.keep_alive and not reader.rest, now)

    def connection_lost(self, exc: Exception | None) -> None:
        attempt, self.attempt = self.attempt, None
        if attempt is None:
            idle = self._home.idle
            if self in idle:
                idle.remove(self)
        elif exc is None and self._reader.eof():
            attempt.exchange.end(b"", False, self._now())
        else:
            attempt.exchange.broken(attempt, Outcome.RESET)

    # --- responses

    def _came(self, attempt: Attempt, data: bytes, now: float) -> bool:
        """Pass an answer on at once, if that is what `data` is."""
        exchange = attempt.exchange
        try:
            response = self._reader.whole(data, exchange.request.method)
        except Malformed:
            self._malformed(attempt)
            return True
        return response is not None and exchange.come(attempt, response, data[response.size :], now)

    def _heads(self, attempt: Attempt, now: float) -> Response | None:
        """Take heads up to the final one, and return that."""
        exchange = attempt.exchange
        while (response := self._reader.next(exchange.request.method)) is not None:
            if (load := response.aside.load) and (said := wire.read_load(load.decode("latin-1"))):
                self._home.reported(LoadReport(*said))
            if attempt.first_byte_at is None:  # an interim response came first
                attempt.first_byte_at = now
            if response.status >= 200:
                return response
            if response.status == 101:
                self._check_switch(exchange, response)
                exchange.switch(attempt, response)
                return None
            exchange.interim(response)
            attempt.first_byte_at = None
        return None

    @staticmethod
    def _check_switch(exchange: Any, response: Response) -> None:
        """A server may switch only to what it was asked for (RFC 9110, 7.8)."""
        protocols = tokens(response.aside.upgrade)
        asked = tokens(exchange.request.hop.upgrade)
        if not protocols or not exchange.complete or any(one not in asked for one in protocols):
            raise Malformed("the backend switched to a protocol that nobody asked for")

    def _malformed(self, attempt: Attempt) -> None:
        self.attempt = None
        self.transport.abort()
        attempt.exchange.broken(attempt, Outcome.SERVER_ERROR)
