"""A client's connection: the parsing of requests, their order, and the writing of responses."""

from __future__ import annotations

import asyncio
from collections import deque
from ipaddress import ip_address
from typing import TYPE_CHECKING, cast

import httptools

from lb.proxy.exchange import Exchange, Framing
from lb.proxy.message import (
    MAX_FIELDS,
    MAX_HEAD,
    REQUEST_FIELDS,
    VIA,
    Field,
    FieldTable,
    error_body,
    local_response,
    tokens,
    without,
)

if TYPE_CHECKING:
    from lb.proxy.driver import Driver

FIELDS = FieldTable(REQUEST_FIELDS)
MAX_PIPELINED = 16
"""Requests read ahead before reading pauses."""


class ClientConnection(asyncio.Protocol):
    """Requests are answered in the order they came, one at a time."""

    __slots__ = (
        "_coding",
        "_current",
        "_driver",
        "_fields",
        "_forwarded",
        "_head_size",
        "_host",
        "_lengths",
        "_lingering",
        "_named",
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
        self.closing = False  # no further request will be taken
        self._current: Exchange | None = None  # being answered
        self._reading: Exchange | None = None  # its body is arriving
        self._queue: deque[Exchange] = deque()
        self._paused = False
        self._lingering = False  # read on, but only to throw away
        self._rejection: bytes | None = None  # owed once earlier requests are answered
        self._resuming = False
        self._parser = httptools.HttpRequestParser(self)
        self._begin()

    def __repr__(self) -> str:
        return f"<ClientConnection {self._peer.decode()} {len(self._queue)} queued>"

    @property
    def idle(self) -> bool:
        return self._current is None and self._reading is None

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
        if self._queue and (keep_alive or self._rejection is not None):
            # From the loop, so a long pipeline does not become a deep stack.
            driver.loop.call_soon(self._next)
        elif self._rejection is not None:
            self._send_rejection()
        elif not keep_alive:
            self._close(linger=not exchange.complete)
        else:
            self.resume_reading()
            driver.client_idle.start(self, driver.now())

    def cut_off(self) -> None:
        """The response cannot be completed; the client must not take it for whole."""
        self._current = None
        self.closing = True
        self.transport.abort()

    def pause_reading(self) -> None:
        if not self._paused and not self.transport.is_closing():
            self._paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if self._paused and len(self._queue) < MAX_PIPELINED and not self.transport.is_closing():
            self._paused = False
            self.transport.resume_reading()

    # --- the driver's side

    def drain(self) -> None:
        """Finish what is under way, then close."""
        self.closing = True
        if self.idle and not self._queue:
            self.transport.close()

    def too_slow(self) -> None:
        """A whole request head did not come in time, or the connection has been idle for long."""
        if self._lingering or (self.idle and not self._head_size and not self._target):
            self.transport.close()
        else:
            self._reject(408, "the request did not arrive in time")

    # --- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop has its own class
        driver = self._driver
        peer = transport.get_extra_info("peername")
        host = peer[0] if peer else "unknown"
        self._peer = host.encode()
        self._trusted = bool(driver.trusted) and any(
            ip_address(host) in network for network in driver.trusted
        )
        self._forwarded = (
            b"X-Forwarded-For: %b\r\nX-Forwarded-Proto: http\r\n" % self._peer
        )
        driver.clients.add(self)
        driver.header.start(self, driver.now())

    def connection_lost(self, exc: Exception | None) -> None:
        driver = self._driver
        driver.clients.discard(self)
        driver.header.stop(self)
        driver.client_idle.stop(self)
        self.closing = True
        self._queue.clear()
        exchange, self._current = self._current, None
        del self._parser
        if exchange is not None:
            exchange.client_gone()

    def eof_received(self) -> bool:
        """A client may close its side and still wait for its answer."""
        self.closing = True
        return not (self.idle and not self._queue)

    def pause_writing(self) -> None:
        exchange = self._current
        if exchange is not None and exchange.upstream is not None:
            exchange.upstream.pause_reading()
            self._driver.stalled(exchange)

    def resume_writing(self) -> None:
        exchange = self._current
        if exchange is not None and exchange.upstream is not None:
            exchange.upstream.resume_reading()
            self._driver.owed(exchange)

    def data_received(self, data: bytes) -> None:
        if self._lingering:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserInvalidMethodError:
            self._reject(501, "the method is not known")
        except httptools.HttpParserError as error:
            cause = error.__context__
            if isinstance(cause, _Rejected):
                self._reject(cause.status, str(cause))
            else:
                self._reject(400, "the request is not HTTP/1.1")
        if self._current is None and self._queue:
            self._next()
        if self._reading is not None:
            self._driver.client_idle.start(self, self._driver.now())

    # --- the parser's side

    def _begin(self) -> None:
        self._target = b""
        self._fields: list[bytes] = []
        self._head_size = 0
        self._host: bytes | None = None
        self._lengths = 0
        self._coding = b""
        self._named: list[bytes] = []
        self._upgrade = False

    def on_url(self, target: bytes) -> None:
        self._target += target

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._reading is not None:
            return  # a trailer, or a head that is parsed again
        self._head_size += len(name) + len(value)
        kind = FIELDS[name]
        if kind:
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
                self._named += tokens(value)
            case Field.LENGTH:
                self._lengths += 1
                self._fields += (name, b": ", value, b"\r\n")
            case Field.CODING:
                self._coding += b"," + value
            case Field.UPGRADE:
                self._upgrade = True
            case Field.FORWARDED if self._trusted:
                if name.lower() == b"x-forwarded-for":
                    value += b", " + self._peer
                self._fields += (name, b": ", value, b"\r\n")
            case Field.EXPECT:
                self._fields += (name, b": ", value, b"\r\n")

    def on_headers_complete(self) -> None:
        if self._resuming:
            return
        driver, parser = self._driver, self._parser
        version = parser.get_http_version()
        method = parser.get_method()
        self._check(version, method)
        minor = 1 if version == "1.1" else 0
        if self._coding:
            framing = Framing.CHUNKED
        else:
            framing = Framing.LENGTH if self._lengths else Framing.NONE
        keep_alive = parser.should_keep_alive() and not self.closing
        if self._upgrade:  # llhttp answers for the upgrade, which is not taken
            keep_alive = b"close" not in self._named and minor == 1 and not self.closing
        fields = without(self._fields, self._named) if self._named else self._fields
        if framing is Framing.CHUNKED:
            fields.append(b"Transfer-Encoding: chunked\r\n")
        host = self._host or b""
        forwarded = self._forwarded + b"X-Forwarded-Host: %b\r\n" % host
        if self._trusted:
            forwarded = self._missing_of(forwarded)
        head = b"%b %b HTTP/1.1\r\nHost: %b\r\n%b%bX-Forwarded-By: lb\r\nVia: 1.%d %b\r\n" % (
            method,
            self._target,
            host,
            b"".join(fields),
            forwarded,
            minor,
            VIA,
        )
        exchange = Exchange(driver, self, method, self._target, minor, head, framing, keep_alive)
        self._reading = exchange
        self._queue.append(exchange)
        if len(self._queue) >= MAX_PIPELINED:
            self.pause_reading()
        self._begin()

    def on_body(self, data: bytes) -> None:
        if self._reading is not None:
            self._reading.request_body(data)

    def on_message_complete(self) -> None:
        exchange = self._reading
        if exchange is None:
            return
        if exchange.framing is not Framing.NONE and self._parser.should_upgrade():
            return  # llhttp stops at the head of an upgrade; the body is still to come
        self._reading = None
        if exchange.framing is not Framing.NONE:
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
            raise _Rejected(501 if last == [b"chunked"] else 400, "the only transfer coding is chunked")
        if self._coding and version == "1.0":
            raise _Rejected(400, "HTTP/1.0 has no transfer coding")
        if self._head_size > MAX_HEAD or len(self._fields) > 4 * MAX_FIELDS:
            raise _Rejected(431, "the request head is too large")

    def _missing_of(self, forwarded: bytes) -> bytes:
        """Our X-Forwarded-* lines, but for those a trusted proxy has given."""
        given = {name.lower() for name in self._fields[::4]}
        lines = forwarded.splitlines(keepends=True)
        return b"".join(line for line in lines if line.split(b":")[0].lower() not in given)

    def _next(self) -> None:
        """Begin the next request in order."""
        if self._current is not None or not self._queue or self.transport.is_closing():
            return
        driver = self._driver
        exchange = self._current = self._queue.popleft()
        driver.header.stop(self)
        driver.client_idle.stop(self)
        self.resume_reading()
        local = driver.endpoints.get(exchange.target)
        if local is not None and exchange.method in (b"GET", b"HEAD"):
            status, body = local()
            exchange.respond(status, body)
        else:
            exchange.begin()

    def _ignore_upgrade(self, rest: bytes) -> None:
        """Upgrades are not taken: go on as if none had been asked for (RFC 9110, 7.8)."""
        self._parser = httptools.HttpRequestParser(self)
        exchange = self._reading
        if exchange is not None:
            # The body is still to come; a new parser needs a head to know how it is framed.
            self._resuming = True
            self._parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n" % _framing_line(exchange.head))
            self._resuming = False
            self._begin()
        if rest:
            self.data_received(rest)

    def _reject(self, status: int, why: str) -> None:
        """Refuse what cannot be understood, after the answers to what came before it."""
        self.closing = self._lingering = True  # whatever follows cannot be told apart
        self._rejection = local_response(status, error_body("bad_request", why), keep_alive=False)
        broken, self._reading = self._reading, None
        if broken is not None and broken is self._current:
            if broken.status:
                self.cut_off()
                broken.client_gone()
                return
            self._current = None
            broken.client_gone()
        elif broken is not None:
            self._queue.remove(broken)
        if self._current is None and not self._queue:
            self._send_rejection()

    def _send_rejection(self) -> None:
        assert self._rejection is not None
        self.write(self._rejection)
        self._close(linger=True)

    def _close(self, *, linger: bool) -> None:
        """Close, after the client has had a chance to read (RFC 9112, 9.6)."""
        self.closing = True
        if linger and self.transport.can_write_eof():
            self._lingering = True
            self.transport.write_eof()
            self._driver.header.start(self, self._driver.now())
            self.resume_reading()
        else:
            self.transport.close()


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
