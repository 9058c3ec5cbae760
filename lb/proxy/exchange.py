"""One request and its response: what came, where it went, how far it got.

Knows no sockets: it speaks to a `ClientSide` and an `UpstreamSide`, and to the driver for
decisions. Every path ends in exactly one `lease.done`.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Protocol

from lb.balancing import Backend, Lease, Outcome, Why
from lb.proxy.message import (
    IDEMPOTENT,
    LAST_CHUNK,
    REFUSALS,
    VIA,
    chunk,
    error_body,
    has_body,
    local_response,
)

if TYPE_CHECKING:
    from lb.proxy.driver import Driver

OK, SERVER_ERROR = Outcome.OK, Outcome.SERVER_ERROR


class ClientSide(Protocol):
    """What an exchange needs of its client's connection."""

    closing: bool
    """Nothing is answered after the current exchange."""

    def write(self, data: bytes) -> None: ...

    def finished(self, exchange: Exchange, keep_alive: bool) -> None: ...

    def cut_off(self) -> None: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class UpstreamSide(Protocol):
    """What an exchange needs of the connection it was sent on."""

    reused: bool
    """It has carried an exchange before, and has not spoken since."""

    def write(self, data: bytes) -> None: ...

    def release(self, keep: bool) -> None: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Framing(Enum):
    """How the end of a body is known."""

    NONE = auto()
    LENGTH = auto()
    CHUNKED = auto()
    CLOSE = auto()


INFINITY = float("inf")
NO_BODY, LENGTH, CHUNKED, CLOSE = Framing  # reading a member off an Enum costs as much as a call


class Exchange:
    """A `Call` of the balancer."""

    __slots__ = (
        "_answering",
        "_driver",
        "_fresh",
        "_pending",
        "_rechunk",
        "arrived_at",
        "client",
        "complete",
        "deadline",
        "first_byte_at",
        "framing",
        "head",
        "idempotent",
        "keep_alive",
        "key",
        "lease",
        "method",
        "minor",
        "status",
        "target",
        "tried",
        "upstream",
    )

    def __init__(
        self,
        driver: Driver,
        client: ClientSide,
        method: bytes,
        target: bytes,
        minor: int,
        head: bytes,
        framing: Framing,
        keep_alive: bool,
    ) -> None:
        self._driver = driver
        self.client = client
        self.method = method
        self.target = target
        self.minor = minor  # of the client's HTTP/1.x
        self.head = head  # all but what depends on the backend
        self.framing = framing
        self.keep_alive = keep_alive
        self.complete = False  # the whole request is here
        self._pending: list[bytes] = []  # parts of the body that found no connection yet
        self._answering = False  # the response's head has gone to the client
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
        self.idempotent = framing is NO_BODY and method in IDEMPOTENT

    def __repr__(self) -> str:
        return f"<Exchange {self.method.decode()} {self.target.decode('latin-1')} {self.status}>"

    @property
    def waiting(self) -> bool:
        """Part of the body is here and has nowhere to go yet."""
        return bool(self._pending)

    # --- the request

    def begin(self) -> None:
        """Ask for a backend; the answer is a lease now, or comes through the driver."""
        driver = self._driver
        now = self.arrived_at = driver.now()
        lease = driver.balancer.admit(self, now)
        if lease is not None:
            self.start(lease)
        if driver.balancer.out:
            driver.drain()

    def start(self, lease: Lease[Exchange]) -> None:
        """Go to the backend of `lease`: on an idle connection, or when a new one stands."""
        self.lease = lease
        self.first_byte_at = None
        lease.backend.driver.carry(self, self._fresh)

    def sent_on(self, upstream: UpstreamSide, server_field: bytes) -> None:
        """A connection is there: send what we have."""
        self.upstream = upstream
        head = self.head + server_field
        if self._pending:
            head += b"".join(self._pending)
            self._pending.clear()
            self.client.resume_reading()
        upstream.write(head)  # which may pause the client again
        if self.complete:
            self._driver.owed(self)

    def request_body(self, data: bytes) -> None:
        if self.framing is CHUNKED:
            data = chunk(data)
        self._forward(data)

    def request_end(self) -> None:
        self.complete = True
        if self.framing is CHUNKED:
            self._forward(LAST_CHUNK)
        if self.upstream is not None:
            self._driver.owed(self)

    def _forward(self, data: bytes) -> None:
        if self.upstream is not None:
            self.upstream.write(data)
        elif self.status == 0:
            self._pending.append(data)
            self.client.pause_reading()

    # --- the response

    def response_head(
        self, status: int, reason: bytes, fields: list[bytes], framing: Framing
    ) -> bytes:
        """The head for the client; an interim one when `status` is below 200."""
        lease = self.lease
        assert lease is not None
        if status < 200:
            if self.minor == 0:
                return b""
            return b"HTTP/1.1 %d %b\r\n%b\r\n" % (status, reason, b"".join(fields))
        self.status = status
        self._answering = True
        cookie, place = self._driver.cookie, lease.backend.driver
        if cookie is not None and self.key != place.token:
            fields.append(
                b"Set-Cookie: %b=%b; Path=/; HttpOnly; SameSite=Lax\r\n" % (cookie, place.token)
            )
        if not self.complete:
            self.keep_alive = False  # nobody will read the rest of the request
        if framing in (CHUNKED, CLOSE) and has_body(self.method, status):
            if self.minor:
                self._rechunk = True
                fields.append(b"Transfer-Encoding: chunked\r\n")
            else:
                self.keep_alive = False
        if not self.keep_alive or self.client.closing:
            self.keep_alive = False
            fields.append(b"Connection: close\r\n")
        elif not self.minor:
            fields.append(b"Connection: keep-alive\r\n")
        return b"HTTP/1.1 %d %b\r\n%bVia: 1.1 %b\r\n%b\r\n" % (
            status,
            reason,
            b"".join(fields),
            VIA,
            lease.backend.driver.server_field,
        )

    def response_body(self, data: bytes) -> bytes:
        """A piece of the body as it goes to the client."""
        return chunk(data) if self._rechunk else data

    def response_end(self) -> bytes:
        """What closes the body."""
        return LAST_CHUNK if self._rechunk else b""

    def answered(self, keep_upstream: bool) -> None:
        """The whole response has been written to the client."""
        upstream, lease = self.upstream, self.lease
        assert upstream is not None
        assert lease is not None
        driver = self._driver
        self.upstream = None
        lease.done(driver.now(), OK if self.status < 500 else SERVER_ERROR, self.first_byte_at)
        driver.settled(self)
        upstream.release(keep_upstream and self.complete)
        self.client.finished(self, self.keep_alive)
        self.lease = None  # whose call we are: left to the collector, cycles cost a tenth
        if driver.balancer.out:
            driver.drain()

    # --- what can go wrong

    def broken(self, outcome: Outcome, *, sent: bool = True) -> None:
        """The attempt failed. Before an answer began another may follow; else the client is cut."""
        driver, lease, upstream = self._driver, self.lease, self.upstream
        if lease is None:
            return
        driver.settled(self)
        self.upstream = None
        if upstream is not None:
            upstream.release(keep=False)
        if self._answering:
            lease.done(driver.now(), outcome, self.first_byte_at)
            self.lease = None
            self.client.cut_off()
        elif (
            outcome is Outcome.RESET
            and upstream is not None
            and upstream.reused
            and self.idempotent
        ):
            # The backend closed an idle connection just as we used it. That is no failure.
            self._fresh = True
            self.start(lease)
            return
        else:
            self.lease = None
            self._fresh = False
            driver.balancer.failed(lease, driver.now(), outcome, sent)
        driver.drain()

    def refuse(self, why: Why | Outcome) -> None:
        """Answer for the backend."""
        status, message = REFUSALS[why]
        self.respond(status, error_body(why.value, message))

    def respond(self, status: int, body: bytes) -> None:
        """Answer the client with JSON of our own."""
        self.status = status
        keep_alive = self.keep_alive and self.complete and not self.client.closing
        self.client.write(
            local_response(
                status,
                body,
                keep_alive=keep_alive,
                minor=self.minor,
                head_only=self.method == b"HEAD",
            )
        )
        self.client.finished(self, keep_alive)

    def client_gone(self) -> None:
        """Nobody waits for the answer any more."""
        driver, lease = self._driver, self.lease
        driver.settled(self)
        if lease is None:
            driver.balancer.abandoned(self)
            return
        self.lease = None
        upstream, self.upstream = self.upstream, None
        lease.done(driver.now(), Outcome.CLIENT_GONE, self.first_byte_at)
        if upstream is not None:
            upstream.release(keep=False)
        else:
            lease.backend.driver.forget(self)
        driver.drain()
