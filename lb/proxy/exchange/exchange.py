"""One request and its response: what came, where it went, how far it got.

What may happen when stands in the table of transitions.py: each event is a method here, and so is
each act. Knows no sockets: it speaks to a `ClientSide` and an `UpstreamSide`, and to the dispatcher
for decisions. Every path ends in exactly one `lease.done`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from lb.balancing import Backend, Lease, Outcome, Why
from lb.proxy.context import Context
from lb.proxy.dispatcher import Dispatcher
from lb.proxy.exchange.transitions import Event, State, transition
from lb.proxy.exchange.tunnel import Tunnel
from lb.proxy.http.framing import CHUNKED, LENGTH, NO_BODY
from lb.proxy.http.message import (
    REFUSALS,
    chunk,
    error_body,
    last_chunk,
    local_response,
)
from lb.proxy.http.request import Request
from lb.proxy.http.response import Response
from lb.proxy.http.rules import IDEMPOTENT
from lb.proxy.timers import Timers

OK, SERVER_ERROR, RESET = Outcome.OK, Outcome.SERVER_ERROR, Outcome.RESET
INFINITY = float("inf")


class Tunnelled(Protocol):
    """A connection whose bytes may one day be somebody else's."""

    def into_tunnel(self) -> tuple[asyncio.Transport, bytes]: ...


class ClientSide(Tunnelled, Protocol):
    """What an exchange needs of its client's connection."""

    closing: bool
    """Nothing is answered after the current exchange."""

    @property
    def half_closed(self) -> bool:
        """Nothing more comes from it."""

    def write(self, data: bytes) -> None: ...

    def finished(self, exchange: Exchange, keep_alive: bool, now: float) -> None: ...

    def cut_off(self) -> None: ...

    def lost(self) -> None:
        """Its connection, which others had taken over, is gone."""

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class UpstreamSide(Tunnelled, Protocol):
    """What an exchange needs of the connection it was sent on."""

    reused: bool
    """It has carried an exchange before, and has not spoken since."""

    def write(self, data: bytes) -> None: ...

    def release(self, keep: bool, now: float) -> None: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Exchange:
    """A `Call` of the balancer."""

    __slots__ = (
        "_context",
        "_dispatcher",
        "_fresh",
        "_pending",
        "_rechunk",
        "_timers",
        "arrived_at",
        "client",
        "complete",
        "deadline",
        "first_byte_at",
        "keep_alive",
        "key",
        "lease",
        "request",
        "state",
        "status",
        "tried",
        "upstream",
    )

    def __init__(
        self,
        context: Context,
        timers: Timers,
        dispatcher: Dispatcher[Exchange],
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
        self.complete = request.framing is NO_BODY  # the whole request is here
        self._pending: list[bytes] | None = None  # parts of the body that found no connection yet
        self._rechunk = False
        self._fresh = False  # only a new connection will do
        self.status = 0
        self.arrived_at = 0.0
        self.first_byte_at: float | None = None
        self.lease: Lease[Exchange] | None = None
        self.upstream: UpstreamSide | None = None
        # Call
        self.key = b""
        self.tried: tuple[Backend, ...] = ()
        self.deadline = INFINITY

    def __repr__(self) -> str:
        method, target = self.request.method.decode(), self.request.target.decode("latin-1")
        return f"<Exchange {method} {target} {State(self.state).name.lower()} {self.status}>"

    @property
    def pending(self) -> bool:
        """Part of the body is here and has nowhere to go yet."""
        return self._pending is not None

    @property
    def idempotent(self) -> bool:
        """Whether it may be sent again; a body, once sent, is not here any more."""
        return self.request.framing is NO_BODY and self.request.method in IDEMPOTENT

    # --- events

    def begin(self) -> None:
        """Its turn has come: ask for a backend."""
        self.state, act = _BEGIN[self.state]
        act(self)

    def local(self, status: int, body: bytes) -> None:
        """Its turn has come, and the proxy answers by itself."""
        self.state, act = _LOCAL[self.state]
        act(self, status, body)

    def start(self, lease: Lease[Exchange]) -> None:
        """The balancer has chosen: go there on an idle connection, or a new one."""
        self.state, act = _START[self.state]
        act(self, lease)

    def refuse(self, why: Why | Outcome) -> None:
        """The balancer will not try (again)."""
        self.state, act = _REFUSE[self.state]
        act(self, why)

    def sent_on(self, upstream: UpstreamSide, server_field: bytes, now: float) -> None:
        """A connection is there."""
        self.state, act = _SENT_ON[self.state]
        act(self, upstream, server_field, now)

    def request_body(self, data: bytes) -> None:
        """More of the request's body has come."""
        self.state, act = _REQUEST_BODY[self.state]
        act(self, data)

    def request_end(self, trailers: bytes = b"") -> None:
        """The request's body has ended."""
        self.state, act = _REQUEST_END[self.state]
        act(self, trailers)

    def interim(self, response: Response) -> bytes:
        """A 1xx has come. Returns what the client gets of it."""
        self.state, act = _INTERIM[self.state]
        return act(self, response)  # type: ignore[no-any-return]

    def switch(self, response: Response) -> None:
        """A 101 has come, which the client had asked for."""
        self.state, act = _SWITCH[self.state]
        act(self, response)

    def head(self, response: Response) -> bytes:
        """The final answer has begun. Returns its head for the client."""
        self.state, act = _HEAD[self.state]
        return act(self, response)  # type: ignore[no-any-return]

    def body(self, data: bytes) -> bytes:
        """More of the answer's body has come. Returns what the client gets."""
        self.state, act = _BODY[self.state]
        return act(self, data)  # type: ignore[no-any-return]

    def end(self, keep_upstream: bool, now: float) -> None:
        """The whole answer has been written to the client."""
        self.state, act = _END[self.state]
        act(self, keep_upstream, now)

    def broken(self, outcome: Outcome, *, sent: bool = True) -> None:
        """The attempt failed: no connection, or no (whole) answer. `sent`: bytes may have left."""
        self.state, act = _BROKEN[self.state]
        act(self, outcome, sent)

    def client_gone(self) -> None:
        """Nobody waits for the answer any more."""
        self.state, act = _CLIENT_GONE[self.state]
        act(self)

    def tunnel_closed(self) -> None:
        """Both sides have ended."""
        self.state, act = _TUNNEL_CLOSED[self.state]
        act(self)

    def closing(self, trailers: bytes) -> bytes:
        """What closes the answer's body for the client."""
        if not self._rechunk:
            return b""
        return last_chunk(trailers if self.request.hop.takes_trailers else b"")

    # --- whose turn it is

    def owed(self, now: float) -> None:
        """The backend owes (more of) an answer from now on."""
        timers = self._timers
        if timers.stalled.waiting:
            timers.stalled.stop(self)
        timers.response.start(self, now)

    def held_back(self) -> None:
        """Its client does not read."""
        self._timers.response.stop(self)
        self._timers.stalled.start(self, self._context.now())

    def stalled(self) -> None:
        """Its client has not read for too long."""
        self.client.cut_off()

    def settled(self) -> None:
        """Nobody owes anything."""
        timers = self._timers
        timers.response.waiting.pop(self, None)
        if timers.stalled.waiting:
            timers.stalled.stop(self)

    # --- what they do

    def _ask(self) -> None:
        now = self.arrived_at = self._context.now()
        self._dispatcher.admit(self, now)

    def _go(self, lease: Lease[Exchange]) -> None:
        self.lease = lease
        self.first_byte_at = None
        lease.backend.site.carry(self, self._fresh, lease.started_at)

    def _send(self, upstream: UpstreamSide, server_field: bytes, now: float) -> None:
        self.upstream = upstream
        head = self.request.head + server_field
        if self._pending is not None:
            head += b"".join(self._pending)
            self._pending = None
            self.client.resume_reading()
        upstream.write(head)  # which may pause the client again
        if self.complete:
            self.owed(now)

    def _hold(self, data: bytes) -> None:
        if self.request.framing is CHUNKED:
            data = chunk(data)
        if self._pending is None:
            self._pending = [data]
        else:
            self._pending.append(data)
        self.client.pause_reading()

    def _forward(self, data: bytes) -> None:
        assert self.upstream is not None
        self.upstream.write(chunk(data) if self.request.framing is CHUNKED else data)

    def _hold_end(self, trailers: bytes) -> None:
        self.complete = True
        if self.request.framing is CHUNKED:
            end = last_chunk(trailers)
            self._pending = [end] if self._pending is None else [*self._pending, end]

    def _forward_end(self, trailers: bytes) -> None:
        self.complete = True
        assert self.upstream is not None
        if self.request.framing is CHUNKED:
            self.upstream.write(last_chunk(trailers))
        self.owed(self._context.now())

    def _note_end(self, trailers: bytes) -> None:
        self.complete = True

    def _pass_interim(self, response: Response) -> bytes:
        if self.request.minor == 0:
            return b""
        return b"HTTP/1.1 %b%b\r\n\r\n" % (response.text, response.lines)

    def _join(self, response: Response) -> None:
        lease = self.lease
        assert lease is not None
        client, upstream = self.client, self.upstream
        assert upstream is not None
        self.status = response.status
        self.keep_alive = False
        client.write(
            b"HTTP/1.1 %b%b\r\nConnection: upgrade\r\nUpgrade: %b%b"
            % (
                response.text,
                response.lines,
                response.aside.upgrade,
                lease.backend.site.response_tails[response.minor],
            )
        )
        self.settled()
        limit = self._timers.tunnel
        front, ahead = client.into_tunnel()
        back, behind = upstream.into_tunnel()

        def over(tunnel: Tunnel) -> None:
            limit.stop(tunnel)
            self.tunnel_closed()

        tunnel = Tunnel(
            front, back, moved=lambda tunnel: limit.start(tunnel, self._context.now()), over=over
        )
        front.write(behind)
        back.write(ahead)
        if client.half_closed:
            tunnel.client.eof_received()

    def _answer(self, response: Response) -> bytes:
        lease, request, status = self.lease, self.request, response.status
        assert lease is not None
        self.status = status
        lines = response.lines
        if self._context.cookie is not None:
            lines += self._cookie(lease)
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
        if not self.keep_alive or self.client.closing:
            self.keep_alive = False
            lines += b"\r\nConnection: close"
        elif not request.minor:
            lines += b"\r\nConnection: keep-alive"
        tail: bytes = lease.backend.site.response_tails[response.minor]
        return b"HTTP/1.1 " + response.text + lines + tail

    def _cookie(self, lease: Lease[Exchange]) -> bytes:
        """Tells the client which backend is its own, unless it has said so."""
        cookie, token = self._context.cookie, lease.backend.site.token
        if cookie is None or self.key == token:
            return b""
        return b"\r\nSet-Cookie: %b=%b; Path=/; HttpOnly; SameSite=Lax" % (cookie, token)

    def _pass_body(self, data: bytes) -> bytes:
        return chunk(data) if self._rechunk else data

    def _finish(self, keep_upstream: bool, now: float) -> None:
        upstream, lease, dispatcher = self.upstream, self.lease, self._dispatcher
        assert upstream is not None
        assert lease is not None
        self.upstream = None
        lease.done(now, OK if self.status < 500 else SERVER_ERROR, self.first_byte_at)
        self.settled()
        upstream.release(keep_upstream and self.complete, now)
        self.client.finished(self, self.keep_alive, now)
        self.lease = None  # whose call we are: left to the collector, cycles cost a tenth
        if dispatcher.balancer.out:
            dispatcher.drain()

    def _close_tunnel(self) -> None:
        lease = self.lease
        assert lease is not None
        now = self._context.now()
        lease.done(now, OK, self.first_byte_at)
        self.upstream = None
        self.client.finished(self, False, now)
        self.client.lost()
        self.lease = None
        self._dispatcher.drain()

    # --- what can go wrong

    def _fail(self, outcome: Outcome, sent: bool) -> None:
        """Before an answer began another attempt may follow: the balancer decides."""
        lease, upstream = self.lease, self.upstream
        assert lease is not None
        now = self._context.now()
        self.settled()
        self.upstream = None
        self.lease = None
        if upstream is not None:
            upstream.release(False, now)
            if outcome is RESET and upstream.reused and self.idempotent:
                # The backend closed an idle connection just as we used it. That is no failure.
                self._fresh = True
                self.start(lease)
                return
        self._fresh = False
        self._dispatcher.failed(lease, now, outcome, sent)

    def _cut(self, outcome: Outcome, sent: bool) -> None:
        """The answer has begun: all that is left is to show that it is not whole."""
        lease, upstream = self.lease, self.upstream
        assert lease is not None
        now = self._context.now()
        self.settled()
        self.upstream = None
        lease.done(now, outcome, self.first_byte_at)
        if upstream is not None:
            upstream.release(False, now)
        self.client.cut_off()
        self.lease = None
        self._dispatcher.drain()

    def _refuse(self, why: Why | Outcome) -> None:
        status, message = REFUSALS[why]
        self._respond(status, error_body(why.value, message))

    def _respond(self, status: int, body: bytes) -> None:
        """Answer the client with JSON of our own."""
        self.status = status
        self._pending = None
        request = self.request
        keep_alive = self.keep_alive and self.complete and not self.client.closing
        self.client.write(
            local_response(
                status,
                body,
                keep_alive=keep_alive,
                minor=request.minor,
                head_only=request.method == b"HEAD",
            )
        )
        self.client.finished(self, keep_alive, self._context.now())

    def _leave_line(self) -> None:
        self._dispatcher.abandoned(self)

    def _withdraw(self) -> None:
        lease = self.lease
        assert lease is not None
        self.settled()
        self.lease = None
        upstream, self.upstream = self.upstream, None
        now = self._context.now()
        lease.done(now, Outcome.CLIENT_GONE, self.first_byte_at)
        if upstream is not None:
            upstream.release(False, now)
        else:
            lease.backend.site.forget(self)
        self._dispatcher.drain()

    def _give_back(self, lease: Lease[Exchange]) -> None:
        """Chosen too late: the client has left meanwhile."""
        lease.done(self._context.now(), Outcome.CANCELLED)

    def _ignore(self, *_: object) -> None:
        """Too late to matter."""

    def _never(self, *_: object) -> None:
        raise AssertionError(f"{self!r}: no such event can come now")


def _row(event: Event) -> tuple[tuple[int, Callable[..., Any]], ...]:
    """An event's transitions, by state: the next one, and the method that acts."""
    transitions = (transition(event, state) for state in State)
    return tuple((int(state), getattr(Exchange, "_" + act)) for state, act in transitions)


NEW = int(State.NEW)
_BEGIN, _LOCAL, _START, _REFUSE, _SENT_ON, _REQUEST_BODY, _REQUEST_END = map(_row, list(Event)[:7])
_INTERIM, _SWITCH, _HEAD, _BODY, _END, _BROKEN, _CLIENT_GONE, _TUNNEL_CLOSED = map(
    _row, list(Event)[7:]
)
