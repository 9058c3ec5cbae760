"""What an exchange does: the acts that transitions.py names.

What a backend sends is gathered here, and written to the client in one of two acts: `_pass_on`,
when more is to come, and `_finish`. Every path ends in exactly one `lease.done`.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from lb.balancing import Backend, Lease, Outcome, Why
from lb.proxy.context import Context
from lb.proxy.dispatcher import Dispatcher
from lb.proxy.exchange.attempt import Attempt
from lb.proxy.exchange.sides import ClientSide, UpstreamSide
from lb.proxy.exchange.transitions import Stage
from lb.proxy.exchange.tunnel import join
from lb.proxy.exchange.turns import Turns
from lb.proxy.http.framing import CHUNKED, LENGTH, NO_BODY
from lb.proxy.http.message import REFUSALS, TOO_LATE, Answer, chunk, date, last_chunk
from lb.proxy.http.request import Request
from lb.proxy.http.response import Response
from lb.proxy.http.rules import IDEMPOTENT, SAFE
from lb.proxy.timers import Timers
from lb.proxy.waits import INFINITY

OK, SERVER_ERROR = Outcome.OK, Outcome.SERVER_ERROR
CANCELLED, CLIENT_GONE = Outcome.CANCELLED, Outcome.CLIENT_GONE
NEW = int(Stage.NEW)


class Acts(Turns):
    """All that an exchange knows and does; when it is done, events say."""

    __slots__ = (
        "_dispatcher",
        "_out",
        "_pending",
        "_rechunk",
        "arrived_at",
        "deadline",
        "keep_alive",
        "key",
        "request",
        "state",
        "status",
        "tried",
    )

    def __init__(
        self,
        context: Context,
        timers: Timers,
        dispatcher: Dispatcher[Any],
        client: ClientSide,
        request: Request,
    ) -> None:
        self._context = context
        self._timers = timers
        self._dispatcher = dispatcher
        self.client = client
        self.request = request
        self.state = NEW
        self.keep_alive = request.keep_alive
        self.complete = request.framing is NO_BODY
        self._pending: list[bytes] | None = None  # parts of the body that found no connection yet
        self._out = b""  # for the client, until all that came at once has been looked at
        self._rechunk = False
        self.status = 0
        self.arrived_at = 0.0
        self.attempt = None
        # Call
        self.key = b""
        self.tried: tuple[Backend, ...] = ()
        self.deadline = INFINITY

    @property
    def backend(self) -> Backend | None:
        """Where it is at present."""
        return None if self.attempt is None else self.attempt.lease.backend

    @property
    def pending(self) -> bool:
        """Part of the body is here and has nowhere to go yet."""
        return self._pending is not None

    @property
    def idempotent(self) -> bool:
        """Whether it may be sent again; a body, once sent, is not here any more."""
        return self.request.framing is NO_BODY and self.request.method in IDEMPOTENT

    @property
    def safe(self) -> bool:
        """Whether it asks for nothing but an answer, and not for another protocol either."""
        request = self.request
        return request.framing is NO_BODY and request.method in SAFE and not request.hop.upgrade

    # --- events that follow from acts: see exchange.py

    @abstractmethod
    def start(self, lease: Lease[Any], fresh: bool = False) -> None: ...

    @abstractmethod
    def tunnel_closed(self) -> None: ...

    # --- the request

    def _ask(self) -> None:
        now = self.arrived_at = self._context.now()
        if now >= self.deadline:
            self.timed_out()
            return
        dispatcher = self._dispatcher
        lease = dispatcher.admit(self, now)
        if lease is not None:
            self.start(lease)
        if lease is None or dispatcher.out:
            dispatcher.drain()

    def _go(self, lease: Lease[Any], fresh: bool) -> None:
        attempt = self.attempt = Attempt(self, lease, fresh)
        lease.backend.site.carry(attempt, lease.started_at)

    def _send(
        self, attempt: Attempt, upstream: UpstreamSide, server_field: bytes, now: float
    ) -> None:
        attempt.upstream = upstream
        head, pending = self.request.head + server_field, self._pending
        if pending is None:
            upstream.write(head)  # which may pause the client again
        else:
            self._pending = None
            self.client.resume_reading()
            upstream.write_parts([head, *pending])  # and so may this
        if self.client.full:  # with interim answers of an attempt that failed
            self._hold_backend()
        elif self.complete:
            self.client.owed.start(now)

    def _hold(self, data: bytes) -> None:
        if self.request.framing is CHUNKED:
            data = chunk(data)
        if self._pending is None:
            self._pending = [data]
        else:
            self._pending.append(data)
        if self.state != NEW:  # else its turn may come at once, and the client looks what has
            self.client.pause_reading()

    def _forward(self, data: bytes) -> None:
        self._upstream.write(chunk(data) if self.request.framing is CHUNKED else data)

    def _hold_end(self, trailers: bytes) -> None:
        self.complete = True
        if self.request.framing is CHUNKED:
            end = last_chunk(trailers)
            self._pending = [end] if self._pending is None else [*self._pending, end]

    def _forward_end(self, trailers: bytes) -> None:
        self.complete = True
        if self.request.framing is CHUNKED:
            self._upstream.write(last_chunk(trailers))
        self._owed(self._context.now())

    def _note_end(self, trailers: bytes) -> None:
        self.complete = True

    # --- the answer

    def _pass_interim(self, response: Response) -> None:
        if self.request.minor:
            self._out += b"HTTP/1.1 %b%b\r\n\r\n" % (response.text, response.lines)

    def _join(self, attempt: Attempt, response: Response) -> None:
        client, upstream = self.client, attempt.upstream
        assert upstream is not None
        self.status = response.status
        self.keep_alive = False
        head = b"HTTP/1.1 %b%b\r\nConnection: upgrade\r\nUpgrade: %b%b" % (
            response.text,
            response.lines,
            response.aside.upgrade,
            attempt.site.response_tails[response.minor],
        )
        client.write(self._out + head)
        self._close_account()
        join(client, upstream, self._timers.tunnel, self._context.now, self.tunnel_closed)

    def _answer(self, attempt: Attempt, response: Response, content: bytes) -> None:
        request, lines = self.request, response.lines
        self.status = response.status
        site = attempt.lease.backend.site
        if not response.dated:
            lines += date()
        cookie = self._context.cookie
        if cookie is not None and self.key != site.token:  # the client does not know it yet
            lines += b"\r\nSet-Cookie: %b=%b; Path=/; HttpOnly; SameSite=Lax" % (cookie, site.token)
        if not self.complete:
            self.keep_alive = False  # nobody will read the rest of the request
        framing = response.framing
        if framing is not LENGTH and framing is not NO_BODY:  # chunked, or until close
            if request.minor:
                self._rechunk = True
                lines += b"\r\nTransfer-Encoding: chunked"
                if request.hop.takes_trailers:
                    lines += response.aside.trailer
            else:
                self.keep_alive = False
        client = self.client
        if not self.keep_alive or (client.phase and client.closing):
            self.keep_alive = False
            lines += b"\r\nConnection: close"
        elif not request.minor:
            lines += b"\r\nConnection: keep-alive"
        head = b"HTTP/1.1 " + response.text + lines + site.response_tails[response.minor]
        if content:
            head += chunk(content) if self._rechunk else content
        self._out += head

    def _pass_body(self, data: bytes) -> None:
        self._out += chunk(data) if self._rechunk else data

    def _pass_on(self, now: float) -> None:
        self._owed(now)
        out = self._out
        if out:
            self._out = b""
            self.client.write(out)  # which may put an end to what is owed

    def _finish(self, trailers: bytes, keep_upstream: bool, now: float) -> None:
        assert self.attempt is not None
        out = self._out
        if self._rechunk:
            out += last_chunk(trailers if self.request.hop.takes_trailers else b"")
        if out:
            self.client.write(out)
        self._end_well(self.attempt, keep_upstream and self.complete, now)

    def _end_well(self, attempt: Attempt, keep_upstream: bool, now: float) -> None:
        """The whole answer is written."""
        client, timers = self.client, self._timers
        client.owed.since = INFINITY
        if timers.stalled.waiting or timers.total.waiting:
            self._close_account()
        upstream, attempt.upstream = attempt.upstream, None
        assert upstream is not None
        outcome = OK if self.status < 500 else SERVER_ERROR
        attempt.lease.done(now, outcome, attempt.first_byte_at)
        upstream.release(keep_upstream, now)
        client.finished(self, self.keep_alive, now)
        self.attempt = None  # whose exchange we are: left to the collector, cycles cost a tenth
        if outcome is not OK or self._dispatcher.out:  # a failure may fall due as something
            self._dispatcher.drain()

    def _close_tunnel(self) -> None:
        attempt = self.attempt
        assert attempt is not None
        now = self._context.now()
        attempt.upstream = None
        attempt.lease.done(now, OK, attempt.first_byte_at)
        self.client.finished(self, False, now)
        self.attempt = None
        self._dispatcher.drain()

    # --- what can go wrong

    def _fail(self, attempt: Attempt, outcome: Outcome) -> None:
        """Before an answer began another attempt may follow: the balancer decides."""
        now = self._context.now()
        self._settle()
        self._out = b""
        self.attempt = None
        sent = attempt.upstream is not None
        stale = attempt.stale(outcome)
        attempt.leave(now)
        if stale and self.idempotent:
            self.start(attempt.lease, True)
        else:
            self._dispatcher.failed(attempt.lease, now, outcome, sent)

    def _cut(self, attempt: Attempt, outcome: Outcome) -> None:
        """The answer has begun: all that is left is to show that it is not whole."""
        self._end_attempt(attempt, outcome)
        self.client.cut_off()

    def _end_attempt(self, attempt: Attempt, outcome: Outcome) -> None:
        self._close_account()
        self.attempt = None
        attempt.end(self._context.now(), outcome)
        self._dispatcher.drain()

    def _give_up(self, attempt: Attempt, outcome: Outcome) -> None:
        """Whatever else is wanted comes behind."""
        self._settle()
        self._out = b""
        self.attempt = None
        attempt.end(self._context.now(), outcome)

    def _end_too_late(self, attempt: Attempt, outcome: Outcome) -> None:
        self._give_up(attempt, outcome)
        self._dispatcher.refused["too_late"] += 1
        self._respond(TOO_LATE)
        self._dispatcher.drain()

    def _give_up_waiting(self, *_: object) -> None:
        self._dispatcher.abandoned(self)
        self._dispatcher.refused["too_late"] += 1
        self._respond(TOO_LATE)

    def _refuse(self, why: Why | Outcome) -> None:
        self._respond(REFUSALS[why])

    def _respond(self, answer: Answer) -> None:
        """Answer the client in the backend's stead."""
        self._close_account()
        self.status = answer.status
        self._pending = None
        request = self.request
        keep_alive = self.keep_alive and self.complete and not self.client.closing
        self.client.write(
            answer.written(
                keep_alive=keep_alive,
                minor=request.minor,
                head_only=request.method == b"HEAD",
            )
        )
        self.client.finished(self, keep_alive, self._context.now())

    def _leave_line(self) -> None:
        self._close_account()
        self._dispatcher.abandoned(self)

    def _withdraw(self) -> None:
        assert self.attempt is not None
        self._end_attempt(self.attempt, CLIENT_GONE)

    def _give_back(self, lease: Lease[Any], fresh: bool) -> None:
        """Chosen too late: the client has left meanwhile."""
        lease.done(self._context.now(), CANCELLED)

    def _ignore(self, *_: object) -> None:
        """Too late to matter."""

    def _never(self, *_: object) -> None:
        raise AssertionError(f"{self!r}: no such event can come now")
