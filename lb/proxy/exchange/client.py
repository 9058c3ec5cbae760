"""A client's connection: requests taken in order, answers written in order."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from ipaddress import ip_address
from socket import SO_LINGER, SOL_SOCKET
from struct import pack
from typing import cast

from lb.proxy.context import Context
from lb.proxy.dispatcher import Dispatcher
from lb.proxy.exchange.clients import Clients
from lb.proxy.exchange.exchange import Exchange
from lb.proxy.http.framing import NO_BODY
from lb.proxy.http.message import error_body, local_response
from lb.proxy.http.request import Request, RequestReader
from lb.proxy.http.rules import Rejected
from lb.proxy.timers import Timers

MAX_PIPELINED = 16
"""Requests taken ahead of their turn; what comes behind them stays unread."""
_NO_LINGER = pack("ii", 1, 0)  # struct linger: on, for zero seconds


class ClientConnection(asyncio.Protocol):
    """Requests are answered in the order they came, one at a time."""

    __slots__ = (
        "_clients",
        "_context",
        "_current",
        "_dispatcher",
        "_ending",
        "_eof",
        "_full",
        "_lingering",
        "_paused",
        "_peer",
        "_queue",
        "_reader",
        "_reading",
        "_rejection",
        "_timers",
        "closing",
        "transport",
        "write",
    )

    def __init__(
        self,
        context: Context,
        timers: Timers,
        dispatcher: Dispatcher[Exchange],
        clients: Clients,
    ) -> None:
        self._context = context
        self._timers = timers
        self._dispatcher = dispatcher
        self._clients = clients
        self.transport: asyncio.Transport
        self.closing = False  # nothing is answered after the current exchange
        self._ending = False  # no further request is taken
        self._eof = False  # the client has closed its side
        self._current: Exchange | None = None  # being answered
        self._reading: Exchange | None = None  # its body is arriving
        self._queue: list[Exchange] = []
        self._paused = False  # we do not read
        self._full = False  # the client does not read
        self._lingering = False  # read on, but only to throw away
        self._rejection: bytes | None = None  # owed once earlier requests are answered

    def __repr__(self) -> str:
        return f"<ClientConnection {self._peer.decode()} {len(self._queue)} queued>"

    @property
    def idle(self) -> bool:
        """Nothing is under way, though part of a head may have come."""
        return self._current is None and not self._queue

    # --- the exchange's side

    def finished(self, exchange: Exchange, keep_alive: bool, now: float) -> None:
        """The response to `exchange` has been written."""
        access_log = self._context.access_log
        if access_log is not None:
            access_log(exchange, self._peer)
        self._current = None
        if not keep_alive or self.closing:
            if not self.transport.is_closing():
                self._close(linger=not exchange.complete)
        elif self._queue or self._paused:
            # From the loop, so a long pipeline does not become a deep stack.
            self._context.loop.call_soon(self._next)
        elif self._rejection is None and not self._reader.rest and not self._eof:
            self._timers.client_idle.start(self, now)
        else:
            self._rest(now)

    def cut_off(self) -> None:
        """The response cannot be completed; the client must not take it for whole.

        So it gets a reset: where closing ends the body, a clean close would look like the end.
        """
        with suppress(OSError):  # gone already
            self.transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, _NO_LINGER)
        self.transport.abort()

    def pause_reading(self) -> None:
        if not self._paused and not self.transport.is_closing():
            self._paused = True
            self.transport.pause_reading()
            self._timers.client_idle.stop(self)  # it is not the client who is slow

    def resume_reading(self) -> None:
        """Read again, unless there is another reason not to."""
        if not self._paused or self._held() or self.transport.is_closing():
            return
        if not self._lingering:
            self._take()  # what came before we paused
            if self._held():
                return
        self._paused = False
        self.transport.resume_reading()
        if self._reading is not None:
            self._timers.client_idle.start(self, self._context.now())

    def into_tunnel(self) -> tuple[asyncio.Transport, bytes]:
        """The transport, which others take over, and what came behind the request."""
        if self._paused:
            self._paused = False
            self.transport.resume_reading()
        return self.transport, self._reader.rest

    # --- the proxy's side

    @property
    def half_closed(self) -> bool:
        return self._eof

    def drain(self) -> None:
        """Finish what is under way, then close."""
        self._take_no_more()
        if self.idle and not self._lingering:
            self.transport.close()

    def too_slow(self) -> None:
        """A whole request did not come in time, or nothing did, or the last answer is not read."""
        if self._lingering or self._full or self.transport.is_closing():
            self.transport.abort()
        elif self._current is not None and self._reading is None:
            pass  # it is the backend's turn, whose time is limited elsewhere
        elif self.idle and not self._reader.begun:
            self.transport.close()
        else:
            self._reject(408, "the request did not arrive in time")

    # --- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop has its own class
        self.write = self.transport.write
        context = self._context
        peer = transport.get_extra_info("peername")  # None when it is gone already
        self._peer = peer[0].encode() if peer else b"unknown"
        trusted = bool(context.trusted and peer) and any(
            ip_address(peer[0]) in network for network in context.trusted
        )
        self._reader = RequestReader(self._peer, context.limits, trusted=trusted)
        self._timers.header.start(self, context.now())
        self._clients.joined(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._timers.header.stop(self)
        self._timers.client_idle.stop(self)
        self._ending = self.closing = True
        self._queue.clear()
        self._reading = None
        exchange, self._current = self._current, None
        if exchange is not None:
            if self._context.access_log is not None:
                self._context.access_log(exchange, self._peer)
            exchange.client_gone()
        self._clients.left(self)

    def lost(self) -> None:
        self.connection_lost(None)

    def eof_received(self) -> bool:
        """A client may close its side and still wait for its answers."""
        self._eof = True
        if not self._held():
            self._no_more_comes()
        return not self.idle

    def pause_writing(self) -> None:
        self._full = True
        exchange = self._current
        if exchange is not None and exchange.upstream is not None:
            exchange.upstream.pause_reading()
            exchange.held_back()

    def resume_writing(self) -> None:
        self._full = False
        exchange = self._current
        if exchange is None:
            self._next()
        elif exchange.upstream is not None:
            exchange.upstream.resume_reading()
            exchange.owed(self._context.now())

    def data_received(self, data: bytes) -> None:
        if self._lingering:
            return
        self._reader.receive(data)
        self._take()
        if self._queue and self._current is None and not self._full:
            self._begin()

    # --- requests

    def _held(self) -> bool:
        """What comes next must wait, unread."""
        if self._lingering:
            return False
        reading = self._reading
        if reading is not None:
            return reading.pending
        if len(self._queue) >= MAX_PIPELINED:
            return True
        last = self._queue[-1] if self._queue else self._current
        return last is not None and last.request.hop.upgrade != b""  # it may not be HTTP

    def _take(self) -> None:
        """Take what has come, as far as there is room for it."""
        timers, reader = self._timers, self._reader
        try:
            while True:
                exchange = self._reading
                if exchange is not None and not self._take_body(exchange):
                    if not self._paused:
                        timers.client_idle.start(self, self._context.now())
                    break
                if self._ending:
                    return
                if (self._queue or self._current is not None) and self._held():
                    if reader.rest:
                        self.pause_reading()
                    return
                request = reader.next()
                if request is None:
                    break
                self._enter(request)
                if not reader.rest:
                    break
        except Rejected as rejected:
            self._reject(rejected.status, str(rejected))
            return
        if self._eof:
            self._no_more_comes()
        elif reader.rest and reader.ended and self.idle:
            timers.client_idle.stop(self)
            timers.header.ensure(self, self._context.now())

    def _enter(self, request: Request) -> None:
        context = self._context
        exchange = Exchange(context, self._timers, self._dispatcher, self, request)
        if context.key_of is not None:
            exchange.key = context.key_of(self._peer, request.target, request.host, request.lines)
        self._queue.append(exchange)
        if request.framing is not NO_BODY:
            self._reading = exchange

    def _take_body(self, exchange: Exchange) -> bool:
        """Pass on what has come of a body; whether it has ended."""
        reader = self._reader
        if not reader.rest:
            return False
        content = reader.body()
        if content:
            exchange.request_body(content)
        if not reader.ended:
            return False
        self._reading = None
        self._timers.client_idle.stop(self)
        exchange.request_end(reader.trailers(exchange.request.hop.named))
        return True

    def _next(self) -> None:
        """Begin the next request in order, once the client reads the answers it has."""
        if self._current is not None or self._full or self.transport.is_closing():
            return
        if not self._queue:
            self.resume_reading()
        if self._queue:
            self._begin()
        else:
            self._rest(self._context.now())

    def _begin(self) -> None:
        header = self._timers.header
        exchange = self._current = self._queue.pop(0)
        if self._ending:
            self._take_no_more()
        if header.waiting:
            header.stop(self)
        if self._paused:
            self.resume_reading()
        request = exchange.request
        answer = self._context.endpoints.get(request.target)
        if answer is not None and request.method in (b"GET", b"HEAD"):
            exchange.local(*answer())
        else:
            exchange.begin()

    def _rest(self, now: float) -> None:
        """Nothing is left to answer: wait for more, or end."""
        if self._rejection is not None:
            self._send_rejection()
        elif self._lingering:
            pass  # closing already
        elif self._ending or self._eof:
            self._close(linger=False)
        else:
            waits = self._timers.header if self._reader.begun else self._timers.client_idle
            waits.start(self, now)

    # --- the end

    def _no_more_comes(self) -> None:
        """The client has closed its side."""
        if self._reading is not None:
            self._reject(400, "the request ended before its body did")
        self._take_no_more()

    def _take_no_more(self) -> None:
        """What has come is still answered; what comes from now on is not."""
        self._ending = True
        self.closing = not self._queue and self._rejection is None

    def _reject(self, status: int, why: str) -> None:
        """Refuse what cannot be understood, after the answers to what came before it."""
        self._lingering = True  # whatever follows cannot be told apart
        self._rejection = local_response(status, error_body("bad_request", why), keep_alive=False)
        self._take_no_more()
        broken, self._reading = self._reading, None
        if broken is None:
            pass
        elif broken is not self._current:
            self._queue.remove(broken)
        elif broken.status:
            self.cut_off()  # its answer has begun
            return
        else:
            self._current = None
            broken.client_gone()
        if self.idle:
            self._send_rejection()

    def _send_rejection(self) -> None:
        rejection, self._rejection = self._rejection, None
        assert rejection is not None
        self.write(rejection)
        self._close(linger=True)

    def _close(self, *, linger: bool) -> None:
        """Close, after the client has had a chance to read (RFC 9112, 9.6)."""
        self._queue.clear()
        self._reading = None
        self._take_no_more()
        if linger:
            self._lingering = True
            self.transport.write_eof()
            self._timers.header.start(self, self._context.now())
            self.resume_reading()
        else:
            self.transport.close()
            self._timers.client_idle.start(self, self._context.now())  # to read what is left
