"""Requests, as a client's connection brings them: heads parsed, judged and written anew."""

from __future__ import annotations

import re
from dataclasses import dataclass

from httptools import (
    HttpParserError,
    HttpParserInvalidMethodError,
    HttpParserUpgrade,
    HttpRequestParser,
)

from lb.config import Limits
from lb.proxy.http.fields import FieldLines
from lb.proxy.http.framing import (
    CHUNKED,
    LENGTH,
    NO_BODY,
    BadFraming,
    Framing,
    MessageReader,
    TooLarge,
)
from lb.proxy.http.message import VIA
from lb.proxy.http.rules import (
    NO_NAMES,
    REQUEST_RULES,
    Field,
    Rejected,
    check_coding,
    check_host,
    content_length,
    forwarding,
    has_bare_lf,
    options,
    origin_form,
    request_line,
    tokens,
    without,
)

(_, DROP, HOST, CONNECTION, LENGTH_FIELD, CODING, UPGRADE, TE, TRAILER, FORWARDED, _) = map(
    int, Field
)
FIELDS = FieldLines(REQUEST_RULES)
_passing, _special = FIELDS.passing.get, FIELDS.special.get
_METHODS: set[bytes] = set()
"""Methods that llhttp knows, as far as they have come up."""
_TAILS = tuple(b"\r\nX-Forwarded-By: lb\r\nVia: 1.%d %b\r\n" % (minor, VIA) for minor in (0, 1))


@dataclass(frozen=True, slots=True)
class Hop:
    """What a request asks of this hop alone (RFC 9110, 7.6.1)."""

    upgrade: bytes = b""
    """The protocols to which the client would switch."""
    takes_trailers: bool = False
    named: frozenset[bytes] = NO_NAMES
    """Fields that Connection takes along."""


_PLAIN = Hop()


class Request:
    """A request's head."""

    __slots__ = (
        "framing",
        "head",
        "hop",
        "host",
        "keep_alive",
        "lines",
        "method",
        "minor",
        "target",
    )

    def __init__(
        self,
        method: bytes,
        target: bytes,
        minor: int,
        host: bytes,
        lines: bytes,
        head: bytes,
        framing: Framing = NO_BODY,
        keep_alive: bool = True,
        hop: Hop = _PLAIN,
    ) -> None:
        self.method = method
        self.target = target  # in origin form
        self.minor = minor  # of the client's HTTP/1.x
        self.host = host
        self.lines = lines  # fields that pass, each line beginning with CRLF
        self.head = head  # for the backend, all but what depends on which one it is
        self.framing = framing
        self.keep_alive = keep_alive
        self.hop = hop


class RequestReader(MessageReader):
    """Requests out of the bytes of one client. Raises Rejected from either method."""

    __slots__ = (
        "_block",
        "_judged",
        "_limits",
        "_minor",
        "_most",
        "_parsed",
        "_peer",
        "_said",
        "_taken",
        "_trusted",
    )

    def __init__(self, peer: bytes, limits: Limits, *, trusted: bool = False) -> None:
        super().__init__()
        self._peer = peer
        self._limits = limits
        self._most = limits.header_bytes + limits.request_line
        self._trusted = trusted
        self._said = b"\r\nX-Forwarded-For: %b\r\nX-Forwarded-Proto: http" % peer
        self._judged = False  # the first line of an unfinished head was found good
        self._taken = 0  # bytes of the body so far
        # The last head without its first line, of a request without a body, and what it came to.
        self._block = b""
        self._minor = 1
        self._parsed: tuple[bytes, bytes, bytes, bool, Hop] = (b"", b"", b"", True, _PLAIN)

    @property
    def begun(self) -> bool:
        """Part of a head is here."""
        return self.ended and self.rest != b""

    def next(self) -> Request | None:
        """The next request, once its head is whole. Any body must have been read."""
        rest = self.rest
        if not rest:
            return None
        if rest[0] <= 13:  # RFC 9112, 2.2: empty lines before a request mean nothing
            self.rest = rest = _EMPTY_LINES.sub(b"", rest, 1)
            self._searched = 0
        try:
            head = self._next_head(self._most)
        except TooLarge:
            self._judge_line(rest)
            raise Rejected(431, "the request head is too large") from None
        if head is None:
            if rest and not self._judged:
                self._judge_line(rest)
            if has_bare_lf(rest):
                raise Rejected(400, "a line does not end with CRLF")
            return None
        self._judged = False
        return self._request(head)

    def _judge_line(self, rest: bytes) -> None:
        """Refuse a first line as soon as it is here: the rest of its head may never come."""
        line, end, _ = rest.partition(b"\r\n")
        if len(line) > self._limits.request_line + (not end):  # there may be a CR already
            raise Rejected(414, "the request line is too long")
        if end:
            request_line(line)
            _check_grammar(line + b"\r\n")
            self._judged = True
        elif not 32 < rest[0] < 127 and rest != b"\r":
            request_line(line)  # somebody speaks another protocol, and may wait for us

    def _request(self, head: bytes) -> Request:
        end = head.find(b"\r\n")
        line, block = head[:end], head[end:]
        if end > self._limits.request_line:
            raise Rejected(414, "the request line is too long")
        method, target, minor = request_line(line)
        authority = None
        if target[0] != 47:  # a slash
            target, authority = origin_form(method, target)
        if (
            block == self._block  # a client says much the same all the time
            and minor == self._minor
            and authority is None
            and method in _METHODS
        ):
            host, lines, rest, keep_alive, hop = self._parsed
            framing = NO_BODY
        else:
            if method not in _METHODS:
                _check_grammar(head)
                _METHODS.add(method)
            host, lines, rest, framing, keep_alive, hop = self._fields(head, end, minor, authority)
            if framing is NO_BODY and authority is None:
                self._block, self._minor = block, minor
                self._parsed = host, lines, rest, keep_alive, hop
        head = b"".join((method, b" ", target, b" HTTP/1.1\r\nHost: ", host, rest))
        return Request(method, target, minor, host, lines, head, framing, keep_alive, hop)

    def _fields(
        self, head: bytes, end: int, minor: int, authority: bytes | None
    ) -> tuple[bytes, bytes, bytes, Framing, bool, Hop]:
        """What the fields say: host, lines that pass, all that goes to the backend, and so on.

        `end` is that of the first line; an `authority` named there overrides Host.
        """
        limits = self._limits
        fields = head.split(b"\r\n")
        fields[0] = b""
        if len(fields) - 3 > limits.header_count or len(head) - end > limits.header_bytes:
            raise Rejected(431, "the request head is too large")
        checked = False
        host: bytes | None = None
        connection = coding = upgrade = te = trailer = length = b""
        lines = []
        for raw in fields:
            passing = _passing(raw)
            if passing is not None:
                lines.append(passing)
                continue
            field = _special(raw)
            if field is None:
                if not checked:
                    _check_grammar(head)
                    checked = True
                field = FIELDS.learn(raw)
            kind, text, value = field
            if not kind:
                lines.append(text)
            elif kind == HOST:
                if host is not None:
                    raise Rejected(400, "more than one Host field")
                host = check_host(value)
            elif kind == CONNECTION:
                connection = connection + b"," + value if connection else value
            elif kind == LENGTH_FIELD:
                if length:
                    raise Rejected(400, "more than one Content-Length field")
                length = value or b"-"
                lines.append(text)
            elif kind == CODING:
                coding += b"," + value
            elif kind == UPGRADE:
                upgrade += b", " + value if upgrade else value
            elif kind == TE:
                te += b"," + value
            elif kind == TRAILER:
                trailer += text
            elif kind == FORWARDED and self._trusted:
                lines.append(text)

        if host is None:
            if minor:
                raise Rejected(400, "the Host field is missing")
            host = b""
        if authority is not None:
            host = authority
        framing = NO_BODY
        if coding:
            check_coding(coding, minor, has_length=length != b"")
            framing = CHUNKED
            lines.append(b"\r\nTransfer-Encoding: chunked" + trailer)
            self._begin_body(CHUNKED, 0, limits.header_bytes)
        elif length:
            framing = self._begin_length(length)
        passed = kept = b"".join(lines)
        keep_alive, hop, hop_lines = minor == 1, _PLAIN, b""
        if connection:
            keep_alive, upgrades, named = options(connection, minor)
            if named:
                passed = kept = without(kept, named)
            if not upgrades or not minor:  # RFC 9110, 7.8
                upgrade = b""
            if upgrade or named or te:
                hop = Hop(upgrade, minor == 1 and b"trailers" in tokens(te), named)
                hop_lines = _for_next_hop(hop)
        elif te:
            hop = Hop(takes_trailers=minor == 1 and b"trailers" in tokens(te))
            hop_lines = _for_next_hop(hop)
        said = self._said
        if self._trusted:
            passed, said = forwarding(kept, self._peer, host)
        elif host:
            said += b"\r\nX-Forwarded-Host: " + host
        rest = b"".join((passed, hop_lines, said, _TAILS[minor]))
        return host, kept, rest, framing, keep_alive, hop

    def _begin_length(self, value: bytes) -> Framing:
        try:
            length = content_length(value)
        except ValueError:
            raise Rejected(400, "Content-Length is not a number of bytes") from None
        limit = self._limits.body
        if limit is not None and length > limit:
            raise Rejected(413, "the request body is too large")
        if not length:
            return NO_BODY
        self._taken = 0
        self._begin_body(LENGTH, length, 0)
        return LENGTH

    def body(self) -> bytes:
        try:
            content = super().body()
        except TooLarge:
            raise Rejected(431, "the trailers or chunk extensions are too large") from None
        except BadFraming:
            raise Rejected(400, "the chunks of the request are malformed") from None
        limit = self._limits.body
        if limit is not None:
            self._taken += len(content)
            if self._taken > limit:
                raise Rejected(413, "the request body is too large")
        return content


_EMPTY_LINES = re.compile(rb"\A(?:\r\n)+")


def _check_grammar(head: bytes) -> None:
    """Let llhttp judge. Raises Rejected."""
    try:
        HttpRequestParser(None).feed_data(head)
    except HttpParserUpgrade:
        pass  # it stops behind the head, which is all there is
    except HttpParserInvalidMethodError:
        raise Rejected(501, "the method is not known") from None
    except HttpParserError:
        raise Rejected(400, "the request is not HTTP/1.1") from None


def _for_next_hop(hop: Hop) -> bytes:
    """What this hop has to say for itself, having dropped what the one before said."""
    if not hop.upgrade:
        return b"\r\nConnection: TE\r\nTE: trailers" if hop.takes_trailers else b""
    connection = b"upgrade, TE\r\nTE: trailers" if hop.takes_trailers else b"upgrade"
    return b"\r\nConnection: %b\r\nUpgrade: %b" % (connection, hop.upgrade)
