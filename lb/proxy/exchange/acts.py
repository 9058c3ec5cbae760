"""What an exchange does as long as all goes well: acts that transitions.py names.

What a backend sends is gathered here, and written to the client in one of two acts: `_pass_on`,
when more is to come, and `_finish`. The other acts are in failing.py and racing.py; every path ends
in exactly one `lease.done`.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from lb.balancing import Backend, Lease, Outcome
from lb.measures.requests import Whole
from lb.proxy.context import Context
from lb.proxy.dispatcher import Dispatcher
from lb.proxy.exchange.account import NOBODY, Account
from lb.proxy.exchange.attempt import Attempt
from lb.proxy.exchange.sides import ClientSide, UpstreamSide
from lb.proxy.exchange.transitions import Stage
from lb.proxy.exchange.tunnel import join
from lb.proxy.http.framing import CHUNKED, LENGTH, NO_BODY
from lb.proxy.http.message import chunk, date, last_chunk
from lb.proxy.http.request import Request
from lb.proxy.http.response import Response
from lb.proxy.http.rules import IDEMPOTENT, SAFE
from lb.proxy.timers import Timers
from lb.proxy.waits import INFINITY

OK, SERVER_ERROR = Outcome.OK, Outcome.SERVER_ERROR
CODES = (SERVER_ERROR.value, OK.value)
NEW = int(Stage.NEW)


class Acts(Account):
    """All that an exchange knows and does; when it is done, events say."""

    __slots__ = (
        "_dispatcher",
        "_out",
        "_pending",
        "_rechunk",
        "deadline",
        "keep_alive",
        "key",
        "state",
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
        self.arrived_at = self.waited = 0.0
        self.taken = self.passed = self.tries = 0
        self.story = None
        self.trace = None
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
    def tunnel_closed(self, taken: int = 0, passed: int = 0) -> None: ...

    # --- the request

    def _ask(self) -> None:
        now = self._context.now()
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
        self._begun(attempt)
        lease.backend.site.carry(attempt, lease.started_at)

    def _send(
        self, attempt: Attempt, upstream: UpstreamSide, server_field: bytes, now: float
    ) -> None:
        self.meet(attempt, upstream, now)
        head, pending = self.request.head + attempt.mark + server_field, self._pending
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

    def meet(self, attempt: Attempt, upstream: UpstreamSide, now: float) -> None:
        """An attempt has its connection."""
        attempt.upstream = upstream
        attempt.sent_at = now
        recorded = self._context.recorded
        if recorded is not None and not upstream.reused:
            recorded.connected(attempt.lease, now)

    def _hold(self, data: bytes) -> None:
        self.taken += len(data)
        if self.request.framing is CHUNKED:
            data = chunk(data)
        if self._pending is None:
            self._pending = [data]
        else:
            self._pending.append(data)
        if self.state != NEW:  # else its turn may come at once, and the client looks what has
            self.client.pause_reading()

    def _forward(self, data: bytes) -> None:
        self.taken += len(data)
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
        self._joined(attempt, self._context.now(), response.status)
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
            self.passed = len(content)
            head += chunk(content) if self._rechunk else content
        self._out += head

    def _pass_body(self, data: bytes) -> None:
        self.passed += len(data)
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
        status = self.status
        outcome = OK if status < 500 else SERVER_ERROR
        lease = attempt.lease
        context = self._context
        recorded = context.recorded
        if recorded is None:
            lease.done(now, outcome, attempt.first_byte_at)
        else:
            begun, taken, passed = attempt.first_byte_at, self.taken, self.passed
            recorded.served(lease, now, outcome, begun, self.arrived_at, status, taken, passed)
        whole: Whole = lease.backend.site.whole
        durations = whole.get(status)
        plain = self.tries == 1 and (self.trace is None or not self.trace.recorded)
        if durations is not None and lease.started_at == self.arrived_at and plain:
            durations.append(now - self.arrived_at)
        else:
            self._went_well(attempt, now, outcome)
        teller = context.teller
        if teller is not None:
            if teller.pass_over > 0.0 and outcome is OK:
                teller.pass_over -= 1.0
            else:
                teller.ended(self, attempt, now, CODES[outcome is OK], NOBODY, "")
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
        self._ended(attempt, now, OK.value, NOBODY, "")
        self.client.finished(self, False, now)
        self.attempt = None
        self._dispatcher.drain()
