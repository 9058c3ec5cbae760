"""A client's connection: requests taken in order, answers written in order."""

from __future__ import annotations

import asyncio
from functools import partial

from lb.proxy.exchange.exchange import Exchange
from lb.proxy.exchange.peer import has_ended, has_spoken, reset, untaken
from lb.proxy.exchange.taking import BAD, ENDING, LAST, LINGERING, OPEN, Taking
from lb.proxy.http.framing import NO_BODY
from lb.proxy.http.keys import peer_alone
from lb.proxy.http.message import LOOP, error
from lb.proxy.http.request import RequestReader
from lb.proxy.http.rules import Rejected
from lb.proxy.waits import INFINITY as NEVER

GRACE = 0.2
"""Seconds that a connection gets which has just come, when the proxy stops, to say something."""
LINGER = 1.0
"""Seconds that a client gets to read why it was refused, when the proxy stops."""


class ClientConnection(Taking, asyncio.Protocol):
    """Requests are answered in the order they came, one at a time."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<ClientConnection {self._peer.decode()} {len(self._queue)} queued>"

    # --- the exchange's side

    def finished(self, exchange: Exchange, keep_alive: bool, now: float) -> None:
        """The response to `exchange` has been written."""
        self._current = None
        if not keep_alive or (self.phase and self.closing):
            if not self.transport.is_closing():
                self._close(linger=not exchange.complete)
        elif self._queue or self._paused:
            # From the loop, so a long pipeline does not become a deep stack.
            self._context.loop.call_soon(self._next)
        elif not self.phase and not self._reader.rest:
            silence = self.silence
            silence.since = now
            if silence.at < 0:
                silence.start(now)
        else:
            self._rest(now)

    def cut_off(self) -> None:
        """The response cannot be completed; the client must not take it for whole.

        So it gets a reset: where closing ends the body, a clean close would look like the end.
        """
        reset(self.transport)

    def into_tunnel(self) -> tuple[asyncio.Transport, bytes]:
        """The transport, which others take over, and what came behind the request."""
        if self._paused:
            self._paused = False
            self._timers.unread.stop(self)
            self.transport.resume_reading()
        return self.transport, self._reader.rest

    # --- the proxy's side

    def drain(self, gently: bool) -> None:
        """Finish what is under way, then close; `gently`, not before an answer has said so."""
        if not self.idle:
            now = self._current
            may_stay = gently and now is not None and now.status and not self._queue
            self.phase = max(self.phase, LAST if may_stay else ENDING)
        elif gently and self.phase == OPEN:
            self.phase = LAST
        elif self.phase == OPEN and self in self._timers.header.waiting:
            self.phase = LAST  # its request is on its way, or half of it is here
            self._context.loop.call_later(GRACE, self.fade)
        elif self.phase == OPEN:
            self.phase = ENDING
            self.transport.close()
        elif self.phase == LINGERING:
            self._part_soon()

    def _part_soon(self) -> None:
        """Let what lingers not hold up a stop for as long as a head may take."""
        self._context.loop.call_later(LINGER, self.transport.abort)

    def fade(self) -> None:
        """Close, if it is for a last request that has not begun to come.

        What is under way is the last one from now on: an answer that is long, or a tunnel.
        """
        if self.phase != LAST or self._reader.begun:
            return
        if self.idle:
            self.transport.close()
        else:
            self.phase = ENDING

    def too_slow(self) -> None:
        """A whole request did not come in time, or nothing did, or the last answer is not read."""
        if self.phase == LINGERING or self.transport.is_closing():
            self.transport.abort()
        elif self.full:
            if self.takes():
                self.silence.start(self._context.now())
            else:
                self.cut_off()
        elif self._current is not None and self._reading is None:
            pass  # it is the backend's turn, whose time is limited elsewhere
        elif self.idle and not self._reader.begun:
            self.transport.close()
        else:
            self._reject(408, "the request did not arrive in time")

    def spare(self) -> bool:
        """Close, for the sake of others, if nothing is under way; whether that was so."""
        transport = self.transport
        if (
            self.phase != OPEN
            or not self.idle
            or self._reader.begun
            or transport.is_closing()
            or transport.get_write_buffer_size()
            or has_spoken(transport)  # we are late
        ):
            return False
        self._timers.header.stop(self)
        self.silence.stop()
        self.phase = ENDING
        transport.close()
        return True

    def look(self) -> None:
        """Notice that the client has closed its side, though what it has sent is not read."""
        if self._context.half_close or self.transport.is_closing():
            return
        if has_ended(self.transport):
            self._let_go()
        else:
            self._timers.unread.start(self, self._context.now())

    # --- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._meet(transport)
        self.write = self.transport.write
        context = self._context
        self._reader = RequestReader(
            self._peer,
            context.intermediary,
            trusted=self._among(context.trusted),
            secure=transport.get_extra_info("ssl_object") is not None,
        )
        self._timers.header.start(self, context.now())
        self._clients.joined(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._timers.header.stop(self)
        self.silence.forget()
        self.owed.forget()
        self._timers.unread.stop(self)
        self.phase = max(self.phase, ENDING)
        self._rejection = None
        self._abandon()
        self._clients.left(self)
        farewells, self._farewells = self._farewells, ()
        for farewell in farewells:
            farewell()

    def lost(self) -> None:
        self.connection_lost(None)

    def eof_received(self) -> bool:
        """The client has closed its side: it has gone, or still waits for its answers."""
        self.half_closed = True
        if self._reading is not None and self._context.half_close:
            self._reject(400, "the request ended before its body did")
        self.phase = max(self.phase, ENDING)
        if self.idle:
            return False
        if not self._context.half_close:
            self._let_go()
        return True

    def pause_writing(self) -> None:
        self.full = True
        self._untaken = untaken(self.transport)
        if self._current is not None:
            self._current.client_full()

    def resume_writing(self) -> None:
        self.full = False
        if self._current is not None:
            self._current.client_drains()
        else:
            self._next()

    def data_received(self, data: bytes) -> None:
        if (
            self._current is None
            and not (self.phase or self._queue or self._paused or self.full or self._reader.rest)
            and self._context.brisk
            and self._came(data)
        ):
            return
        if self.phase == LINGERING:
            return
        self._reader.receive(data)
        self._take()
        if self._queue and self._current is None and not self.full:
            self._begin()
        if self._reading is not None:
            if self._reading.pending:
                self.pause_reading()
        elif self._paused:
            self.resume_reading()  # a whole request waits, and we want to hear if its client goes

    # --- requests

    def _came(self, data: bytes) -> bool:
        """Begin a request at once, if that is what `data` is, and nothing else is to be done."""
        try:
            request = self._reader.whole(data)
        except Rejected as rejected:
            self._reject(rejected.status, str(rejected))
            return True
        if request is None:
            return False
        context, timers = self._context, self._timers
        if (
            request.framing is not NO_BODY
            or request.hop.answer is not None
            or request.target in context.endpoints
            or context.total is not None
        ):
            self._enter(request)
            self._begin()
            return True
        if timers.header.waiting:
            timers.header.stop(self)
        self.silence.since = NEVER
        exchange = context.exchange(context, timers, self._dispatcher, self, request)
        self._current = exchange
        if context.key_of is peer_alone:  # as most have it
            exchange.key = self._peer
        elif context.key_of is not None:
            exchange.key = context.key_of(self._peer, request.target, request.host, request.lines)
        if context.marks is not None:
            exchange.trace = context.marks.mark(request)
        exchange.go()
        return True

    def _next(self) -> None:
        """Begin the next request in order, once the client reads the answers it has."""
        if self._current is not None or self.full or self.transport.is_closing():
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
        if self._reading is None:
            self.silence.stop()
        if header.waiting:
            header.stop(self)
        if self._paused:
            self.resume_reading()
        request = exchange.request
        endpoint = self._context.endpoints.get(request.target)
        if endpoint is not None and request.method in (b"GET", b"HEAD"):
            endpoint(partial(self.told, exchange))
        elif request.hop.answer is not None:
            self._dispatcher.refused["loop"] += request.hop.answer is LOOP
            exchange.local(request.hop.answer)
        else:
            exchange.begin()

    def _rest(self, now: float) -> None:
        """Nothing is left to answer: wait for more, or end."""
        if self._rejection is not None:
            self._send_rejection()
        elif self.phase == LINGERING:
            pass  # closing already
        elif self.phase == ENDING:
            self._close(linger=False)
        else:
            if self._reader.begun:
                self._timers.header.start(self, now)
            else:
                self.silence.start(now)

    # --- the end

    def _let_go(self) -> None:
        """The client has gone, in the middle of something."""
        begun = self._current is not None and self._current.status
        self._abandon()
        if begun:
            self.cut_off()
        else:
            self._close(linger=False)

    def _reject(self, status: int, why: str) -> None:
        """Refuse what cannot be understood, after the answers to what came before it."""
        self.phase = LINGERING  # whatever follows cannot be told apart
        self._rejection = error(status, BAD, why).written(keep_alive=False)
        broken = self._reading
        self._read_no_more()
        self._tell_rejected(broken, status)
        if broken is None:
            pass
        elif broken is not self._current:
            self._queue.remove(broken)
            broken.client_gone()
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
        self._forget_queue()
        if linger:
            self.phase = LINGERING
            self.transport.write_eof()
            self._timers.header.start(self, self._context.now())
            self.resume_reading()
            if self._clients.draining:
                self._part_soon()
        else:
            self.phase = max(self.phase, ENDING)
            self.transport.close()
            self.silence.start(self._context.now())  # to read what is left
