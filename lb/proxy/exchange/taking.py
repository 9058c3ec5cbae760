"""What a client's connection takes: requests out of its bytes, as far as there is room for them."""

from __future__ import annotations

import re
from abc import abstractmethod
from enum import IntEnum
from typing import Any

from lb.balancing import Outcome
from lb.proxy.context import Context
from lb.proxy.dispatcher import Dispatcher
from lb.proxy.exchange.account import CLIENT, PROXY
from lb.proxy.exchange.caller import Caller
from lb.proxy.exchange.clients import Clients
from lb.proxy.exchange.exchange import Exchange
from lb.proxy.exchange.pace import Pace
from lb.proxy.exchange.peer import untaken
from lb.proxy.http.framing import NO_BODY
from lb.proxy.http.message import Answer
from lb.proxy.http.request import Request, RequestReader
from lb.proxy.http.rules import Rejected
from lb.proxy.timers import Timers
from lb.proxy.waits import Wait

MAX_PIPELINED = 16
"""Requests taken ahead of their turn; what comes behind them stays unread."""

BAD = "bad_request"
"""The code of what is refused before a backend is asked."""
TIMED_OUT = 408

EXPECTS = re.compile(rb"\r\nexpect:", re.IGNORECASE)
"""A field by which a client says that it will wait before it sends a body."""


class Phase(IntEnum):
    """What a connection still takes. It only ever moves on."""

    OPEN = 0
    """Requests, as they come."""
    LAST = 1
    """One more, which has begun to come or may be on its way: the proxy stops."""
    ENDING = 2
    """Nothing but the body of a request that has come; what has come is answered."""
    LINGERING = 3
    """Whatever it is, to throw it away, while the client reads what it was told last."""


OPEN, LAST, ENDING, LINGERING = map(int, Phase)


class Taking(Caller):
    """The part of a client's connection that reads."""

    __slots__ = (
        "_clients",
        "_context",
        "_current",
        "_dispatcher",
        "_head_at",
        "_pace",
        "_paused",
        "_queue",
        "_reader",
        "_reading",
        "_rejection",
        "_timers",
        "_untaken",
        "full",
        "half_closed",
        "owed",
        "phase",
        "silence",
        "write",
    )

    def __init__(
        self,
        context: Context,
        timers: Timers,
        dispatcher: Dispatcher[Exchange],
        clients: Clients,
    ) -> None:
        super().__init__()
        self._context = context
        self._timers = timers
        self._dispatcher = dispatcher
        self._clients = clients
        self.silence: Wait[Any] = timers.client_idle.of(self)
        """Runs while it has to send something, or to read the last of what it is sent."""
        self.owed: Wait[Any] = timers.response.of(self)
        self._reader: RequestReader
        self._head_at = 0.0  # when a head began to come that is unfinished; else zero
        self.phase = OPEN
        self._current: Exchange | None = None  # being answered
        self._reading: Exchange | None = None  # its body is arriving
        self._pace: Pace | None = None  # of that body, when there is a least one
        self._queue: list[Exchange] = []
        self._rejection: bytes | None = None  # owed once earlier requests are answered
        self._paused = False  # we do not read
        self.full = False
        self._untaken = 0  # bytes of what it was sent, when that was looked at
        self.half_closed = False

    @property
    def peer(self) -> bytes:
        """The client's address."""
        return self._peer

    @property
    def current(self) -> Exchange | None:
        """What is being answered."""
        return self._current

    @property
    def idle(self) -> bool:
        """Nothing is under way, though part of a head may have come."""
        return self._current is None and not self._queue

    @property
    def closing(self) -> bool:
        return self.phase >= ENDING and not self._queue and self._rejection is None

    @abstractmethod
    def too_slow(self) -> None:
        """Time is up for what has to come."""

    def takes(self) -> bool:
        """Whether it has taken anything of what it is sent since that was looked at last."""
        before, self._untaken = self._untaken, untaken(self.transport)
        return self._untaken < before

    def backend_silent(self) -> None:
        """Time is up for what the backend owes."""
        if self._current is not None:
            self._current.silent()

    @abstractmethod
    def look(self) -> None:
        """See whether somebody is there."""

    @abstractmethod
    def spare(self) -> bool:
        """Close if nothing is under way; whether that was so."""

    @abstractmethod
    def _reject(self, status: int, why: str) -> None:
        """What has come cannot be understood."""

    # --- reading and not reading

    def pause_reading(self) -> None:
        if not self._paused and not self.transport.is_closing():
            self._paused = True
            self.transport.pause_reading()
            self.silence.stop()  # it is not the client who is slow
            now = self._context.now()
            self._timers.unread.start(self, now)
            if self._pace is not None:
                self._pace.paused(now)

    def resume_reading(self) -> None:
        """Read again, unless there is another reason not to."""
        if not self._paused or self._held() or self.transport.is_closing():
            return
        if self.phase != LINGERING:
            self._take()  # what came before we paused
            if self._held():
                return
        self._paused = False
        self._timers.unread.stop(self)
        self.transport.resume_reading()
        if self._reading is not None:
            now = self._context.now()
            self.silence.start(now)
            if self._pace is not None:
                self._pace.resumed(now)

    # --- requests

    def _held(self) -> bool:
        """What comes next must wait, unread."""
        if self.phase == LINGERING:
            return False
        reading = self._reading
        if reading is not None:
            return reading.pending
        if len(self._queue) >= MAX_PIPELINED:
            return True
        last = self._queue[-1] if self._queue else self._current
        return last is not None and last.request.hop.upgrade != b""  # it may not be HTTP

    def _enter(self, request: Request) -> None:
        context, timers = self._context, self._timers
        exchange = context.exchange(context, timers, self._dispatcher, self, request)
        exchange.arrived_at = context.now()
        self._head_at = 0.0
        if context.marks is not None:
            exchange.trace = context.marks.mark(request)
        if context.key_of is not None:
            exchange.key = context.key_of(self._peer, request.target, request.host, request.lines)
        self._queue.append(exchange)
        if self.phase:
            self.phase = ENDING
        if context.total is not None:
            now = context.now()
            exchange.deadline = now + context.total
            timers.total.start(exchange, now)
        if request.framing is not NO_BODY:
            self._reading = exchange
            if not self._paused:
                self.silence.start(context.now())
            if context.limits.body_rate is not None:
                now = context.now()
                self._pace = Pace(context.limits.body_rate, now)
                if self._paused or EXPECTS.search(request.lines):
                    self._pace.paused(now)
                timers.pace.start(self, now)

    def _take(self) -> None:
        """Take what has come, as far as there is room for it."""
        timers, reader = self._timers, self._reader
        try:
            while True:
                exchange = self._reading
                if exchange is not None and not self._take_body(exchange):
                    if not self._paused:
                        self.silence.start(self._context.now())
                    break
                if self.phase >= ENDING:
                    return
                if (self._queue or self._current is not None) and self._held():
                    if reader.rest:
                        self.pause_reading()
                    return
                request = reader.next()
                if request is None:
                    if not reader.rest:  # there were but empty lines
                        self._head_at = 0.0
                    elif self._head_at == 0.0:
                        self._head_at = self._context.now()
                    break
                self._enter(request)
                if not reader.rest:
                    break
        except Rejected as rejected:
            self._reject(rejected.status, str(rejected))
            return
        if reader.rest and reader.ended and self.idle:
            self.silence.stop()
            timers.header.ensure(self, self._context.now())

    def _take_body(self, exchange: Exchange) -> bool:
        """Pass on what has come of a body; whether it has ended."""
        reader = self._reader
        if not reader.rest:
            return False
        content = reader.body()
        if content:
            if self._pace is not None:
                self._pace.took(len(content))
                if not self._paused:
                    self._pace.resumed(self._context.now())  # it waited for a 100 (Continue)
            exchange.request_body(content)
        if not reader.ended:
            return False
        self._read_no_more()
        self.silence.stop()
        exchange.request_end(reader.trailers(exchange.request.hop.named))
        return True

    def judge(self) -> None:
        """Look at how fast the body comes."""
        pace, now = self._pace, self._context.now()
        if pace is None:
            pass
        elif pace.too_slow(now):
            self._reject(408, "the request's body comes too slowly")
        else:
            self._timers.pace.start(self, now)

    def _read_no_more(self) -> None:
        self._reading = None
        if self._pace is not None:
            self._pace = None
            self._timers.pace.stop(self)

    def _tell_rejected(self, broken: Exchange | None, status: int) -> None:
        """What has come is refused: the body of `broken`, or it is not even a request."""
        if broken is not None:
            broken.blame(CLIENT if status == TIMED_OUT else PROXY, BAD, status)
            return
        context, since = self._context, self._head_at
        seconds = context.now() - since if since else 0.0
        context.measured.served("", status, BAD, seconds)
        if context.teller is not None:
            context.teller.rejected(self._peer, status, self._reader.first_line, seconds)

    # --- nobody waits

    def _abandon(self) -> None:
        """Nobody waits for what is under way."""
        exchange, self._current = self._current, None
        if exchange is not None:
            if self._clients.parting:
                exchange.blame(PROXY, Outcome.CANCELLED.value)
            exchange.client_gone()
        self._forget_queue()

    def _forget_queue(self) -> None:
        for exchange in self._queue:
            exchange.client_gone()
        self._queue.clear()
        self._read_no_more()

    def told(self, exchange: Exchange, answer: Answer) -> None:
        """What the proxy answers by itself; its client may have left by now."""
        if exchange is self._current:
            exchange.local(answer)
