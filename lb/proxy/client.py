"""A client's connection: the parsing of requests, their order, and the writing of responses."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from ipaddress import ip_address
from socket import SO_LINGER, SOL_SOCKET
from struct import pack
from typing import TYPE_CHECKING, cast

import httptools

from lb.proxy.exchange import CHUNKED, LENGTH, NO_BODY, Exchange
from lb.proxy.message import (
    MAX_FIELDS,
    MAX_HEAD,
    REQUEST_FIELDS,
    VIA,
    Field,
    FieldTable,
    error_body,
    forwarding,
    local_response,
    named,
    origin_form,
    tokens,
    without,
)

if TYPE_CHECKING:
    from lb.proxy.driver import Driver

FIELDS = FieldTable(REQUEST_FIELDS)
HOST = int(Field.HOST)
MAX_PIPELINED = 16
"""Requests read ahead before reading pauses."""
_NO_LINGER = pack("ii", 1, 0)  # struct linger: on, for zero seconds


class ClientConnection(asyncio.Protocol):
    """Requests are answered in the order they came, one at a time."""

    __slots__ = (
        "_coding",
        "_connection",
        "_current",
        "_driver",
        "_ending",
        "_fields",
        "_forwarded",
        "_full",
        "_has_length",
        "_host",
        "_lingering",
        "_overhead",
        "_parser",
        "_paused",
        "_peer",
        "_queue",
        "_reading",
        "_rejection",
        "_resuming",
        "_target",
        "_trusted",
        "_upgrade",
        "closing",
        "transport",
    )

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self.transport: asyncio.Transport
        self.closing = False  # nothing is answered after the current exchange
        self._ending = False  # no further request is taken
        self._current: Exchange | None = None  # being answered
        self._reading: Exchange | None = None  # its body is arriving
        self._queue: deque[Exchange] = deque()
        self._paused = False  # we do not read
        self._full = False  # the client does not read
        self._lingering = False  # read on, but only to throw away
        self._overhead = 0  # bytes read since a head was complete or a body went on
        self._rejection: bytes | None = None  # owed once earlier requests are answered
        self._resuming = False
        self._parser = httptools.HttpRequestParser(self)
        self._begin()

    def __repr__(self) -> str:
        return f"<ClientConnection {self._peer.decode()} {len(self._queue)} queued>"

    @property
    def idle(self) -> bool:
        """Nothing is under way, though part of a head may have come."""
        return self._current is None and not self._queue

    # --- the exchange's side

    def write(self, data: bytes) -> None:
        self.transport.write(data)

    def finished(self, exchange: Exchange, keep_alive: bool) -> None:
        """The response to `exchange` has been written."""
        driver = self._driver
        if driver.access_log is not None:
            driver.access_log(exchange, self._peer)
        self._current = None
        if self.transport.is_closing():
            return
        if not keep_alive or self.closing:
            self._close(linger=not exchange.complete)
        elif self._queue:
            # From the loop, so a long pipeline does not become a deep stack.
            driver.loop.call_soon(self._next)
        elif self._rejection is not None:
            self._send_rejection()
        else:
            waits = driver.header if self._target else driver.client_idle
            waits.start(self, driver.now())
            self.resume_reading()

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
            self._driver.client_idle.stop(self)  # it is not the client who is slow

    def resume_reading(self) -> None:
        """Read again, unless there is another reason not to."""
        if not self._paused or self.transport.is_closing():
            return
        reading = self._reading
        if len(self._queue) < MAX_PIPELINED and (reading is None or not reading.waiting):
            self._paused = False
            self.transport.resume_reading()
            if reading is not None:
                self._driver.client_idle.start(self, self._driver.now())

    # --- the driver's side

    def drain(self) -> None:
        """Finish what is under way, then close."""
        self._take_no_more()
        if self.idle and not self._lingering:
            self.transport.close()

    def too_slow(self) -> None:
        """A whole request did not come in time, or nothing did, or the last answer is not read."""
        if self._lingering or self._full or self.transport.is_closing():
            self.transport.abort()
        elif self.idle and not self._target:
            self.transport.close()
        else:
            self._reject(408, "the request did not arrive in time")

    # --- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop has its own class
        driver = self._driver
        peer = transport.get_extra_info("peername")  # None when it is gone already
        self._peer = peer[0].encode() if peer else b"unknown"
        self._trusted = bool(driver.trusted and peer) and any(
            ip_address(peer[0]) in network for network in driver.trusted
        )
        self._forwarded = b"X-Forwarded-For: %b\r\nX-Forwarded-Proto: http\r\n" % self._peer
        driver.header.start(self, driver.now())
        driver.joined(self)

    def connection_lost(self, exc: Exception | None) -> None:
        driver = self._driver
        driver.header.stop(self)
        driver.client_idle.stop(self)
        self._ending = self.closing = True
        self._queue.clear()
        self._reading = None
        exchange, self._current = self._current, None
        del self._parser
        if exchange is not None:
            if driver.access_log is not None:
                driver.access_log(exchange, self._peer)
            exchange.client_gone()
        driver.left(self)

    def eof_received(self) -> bool:
        """A client may close its side and still wait for its answers."""
        if self._reading is not None:
            self._reject(400, "the request ended before its body did")
        self._take_no_more()
        return not self.idle

    def pause_writing(self) -> None:
        self._full = True
        exchange = self._current
        if exchange is not None and exchange.upstream is not None:
            exchange.upstream.pause_reading()
            self._driver.stalled(exchange)

    def resume_writing(self) -> None:
        self._full = False
        exchange = self._current
        if exchange is None:
            self._next()
        elif exchange.upstream is not None:
            exchange.upstream.resume_reading()
            self._driver.owed(exchange)

    def data_received(self, data: bytes) -> None:
        if self._lingering:
            return
        self._overhead += len(data)
        rest: bytes | memoryview = data
        try:
            while True:
                try:
                    self._parser.feed_data(rest)
                    break
                except httptools.HttpParserUpgrade as upgrade:
                    rest = memoryview(rest)[upgrade.args[0] :]
                    self._decline_upgrade()
        except httptools.HttpParserInvalidMethodError:
            self._reject(501, "the method is not known")
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            if not isinstance(cause, _Rejected):
                raise
            self._reject(cause.status, str(cause))
        except httptools.HttpParserError:
            self._reject(400, "the request is not HTTP/1.1")
        if self._overhead:
            self._not_yet()
        if self._current is None and self._queue:
            self._next()
        if self._reading is not None and not self._paused:
            self._driver.client_idle.start(self, self._driver.now())

    # --- the parser's side

    def _begin(self) -> None:
        self._target = b""
        self._fields: list[bytes] = []
        self._host: bytes | None = None
        self._has_length = False
        self._coding = b""
        self._connection = b""
        self._upgrade = False

    def on_url(self, target: bytes) -> None:
        self._target += target

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._reading is not None:
            return  # a trailer, or a head that is parsed again
        kind = FIELDS[name]
        if kind == HOST and self._host is None:
            self._host = value
        elif kind:
            self._special(kind, name, value)
        else:
            self._fields += (name, b": ", value, b"\r\n")

    def _special(self, kind: int, name: bytes, value: bytes) -> None:
        match kind:
            case Field.HOST:
                if self._host is not None:
                    raise _Rejected(400, "more than one Host field")
                self._host = value
            case Field.CONNECTION:
                self._connection += b"," + value
            case Field.LENGTH:
                self._has_length = True
                self._fields += (name, b": ", value, b"\r\n")
            case Field.CODING:
                self._coding += b"," + value
            case Field.UPGRADE:
                self._upgrade = True
            case Field.FORWARDED if self._trusted:
                self._fields += (name, b": ", value, b"\r\n")

    def on_headers_complete(self) -> None:
        if self._resuming:
            return
        driver, parser = self._driver, self._parser
        version = parser.get_http_version()
        method = parser.get_method()
        self._check(version, method)
        minor = 1 if version == "1.1" else 0
        framing = CHUNKED if self._coding else LENGTH if self._has_length else NO_BODY
        keep_alive = parser.should_keep_alive()
        if self._upgrade:  # llhttp answers for the upgrade, which is not taken
            keep_alive = b"close" not in tokens(self._connection) and minor == 1
        target, host = self._target, self._host or b""
        if not target.startswith(b"/"):
            target, host = origin_form(target, host)
        fields = self._fields
        if self._connection and (unwanted := named(self._connection)):
            fields = without(fields, unwanted)
        forwarded = self._forwarded
        if self._trusted:
            fields, forwarded = forwarding(fields, self._peer, host)
        elif host:
            forwarded += b"X-Forwarded-Host: %b\r\n" % host
        if framing is CHUNKED:
            fields.append(b"Transfer-Encoding: chunked\r\n")
        head = b"%b %b HTTP/1.1\r\nHost: %b\r\n%b%bX-Forwarded-By: lb\r\nVia: 1.%d %b\r\n" % (
            method,
            target,
            host,
            b"".join(fields),
            forwarded,
            minor,
            VIA,
        )
        if len(head) > MAX_HEAD:
            raise _Rejected(431, "the request head is too large")
        exchange = Exchange(driver, self, method, target, minor, head, framing, keep_alive)
        if driver.key_of is not None:
            exchange.key = driver.key_of(self._peer, target, host, self._fields)
        self._reading = exchange
        self._overhead = 0
        self._queue.append(exchange)
        if len(self._queue) >= MAX_PIPELINED:
            self.pause_reading()
        self._begin()

    def on_body(self, data: bytes) -> None:
        self._overhead = 0
        if self._reading is not None:
            self._reading.request_body(data)

    def on_message_complete(self) -> None:
        exchange = self._reading
        if exchange is None:
            return
        if exchange.framing is not NO_BODY and self._parser.should_upgrade():
            return  # llhttp stops at the head of an upgrade; the body is still to come
        self._reading = None
        self._overhead = 0
        if exchange.framing is not NO_BODY:
            self._driver.client_idle.stop(self)
        exchange.request_end()

    # --- requests

    def _check(self, version: str, method: bytes) -> None:
        """What llhttp lets through and an intermediary must not."""
        if version not in ("1.0", "1.1"):
            raise _Rejected(505 if version > "1.1" else 400, f"HTTP/{version} is not spoken here")
        if method == b"CONNECT":
            raise _Rejected(501, "CONNECT is not offered")
        if self._host is None and version == "1.1":
            raise _Rejected(400, "the Host field is missing")
        if self._coding and tokens(self._coding) != [b"chunked"]:
            last = tokens(self._coding)[-1:]
            raise _Rejected(
                501 if last == [b"chunked"] else 400, "the only transfer coding is chunked"
            )
        if self._coding and version == "1.0":
            raise _Rejected(400, "HTTP/1.0 has no transfer coding")
        if len(self._fields) > 4 * MAX_FIELDS:
            raise _Rejected(431, "the request head is too large")

    def _not_yet(self) -> None:
        """A read that neither completed a head nor went on with a body."""
        driver = self._driver
        if self._overhead > MAX_HEAD and not self._lingering:
            self._reject(431, "the request head is too large")
        elif self._target and self._reading is None and self.idle:
            driver.client_idle.stop(self)
            driver.header.ensure(self, driver.now())

    def _next(self) -> None:
        """Begin the next request in order, once the client reads the answers it has."""
        if self._current is not None or not self._queue or self._full:
            return
        if self.transport.is_closing():
            return
        driver = self._driver
        exchange = self._current = self._queue.popleft()
        if self._ending:
            self._take_no_more()
        if driver.header.waiting:
            driver.header.stop(self)
        if self._reading is None:
            driver.client_idle.stop(self)
        self.resume_reading()
        local = driver.endpoints.get(exchange.target)
        if local is not None and exchange.method in (b"GET", b"HEAD"):
            status, body = local()
            exchange.respond(status, body)
        else:
            exchange.begin()

    def _decline_upgrade(self) -> None:
        """Upgrades are not taken: go on as if none had been asked for (RFC 9110, 7.8)."""
        self._parser = httptools.HttpRequestParser(self)
        exchange = self._reading
        if exchange is not None:
            # The body is still to come; a new parser needs a head to know how it is framed.
            self._resuming = True
            self._parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n" % _framing_line(exchange.head))
            self._resuming = False
            self._begin()

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
        assert self._rejection is not None
        self.write(self._rejection)
        self._close(linger=True)

    def _close(self, *, linger: bool) -> None:
        """Close, after the client has had a chance to read (RFC 9112, 9.6)."""
        driver = self._driver
        self._queue.clear()
        self._reading = None
        self._take_no_more()
        if linger:
            self._lingering = True
            self.transport.write_eof()
            driver.header.start(self, driver.now())
            self.resume_reading()
        else:
            self.transport.close()
            driver.client_idle.start(self, driver.now())  # to read what is left


class _Rejected(Exception):
    """A request that llhttp accepts and we do not."""

    def __init__(self, status: int, why: str) -> None:
        self.status = status
        super().__init__(why)


def _framing_line(head: bytes) -> bytes:
    for line in head.split(b"\r\n"):
        name = line.split(b":")[0].lower()
        if name in (b"content-length", b"transfer-encoding"):
            return line + b"\r\n"
    return b""
