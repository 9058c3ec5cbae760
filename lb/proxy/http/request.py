"""Requests, as a client's connection brings them: heads parsed, judged and written anew."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial

from lb.proxy.http.first_line import check_host, origin_form, request_line
from lb.proxy.http.framing import (
    CHUNKED,
    HEAD_END,
    LENGTH,
    NO_BODY,
    BadFraming,
    Framing,
    MessageReader,
    TooLarge,
)
from lb.proxy.http.hop import PLAIN, Hop, Intermediary, max_forwards
from lb.proxy.http.message import ALLOWED, LOOP, echo
from lb.proxy.http.rules import (
    NO_NAMES,
    REQUEST_RULES,
    TRUSTED_RULES,
    Field,
    Rejected,
    check_coding,
    content_length,
    forwarding,
    has_bare_lf,
    options,
    tokens,
    without,
)
from lb.proxy.http.scanner import Said, scanner

HOST, CONNECTION, LENGTH_FIELD, CODING, UPGRADE, TE, TRAILER, VIA, MAX_FORWARDS = map(
    int, list(Field)[3:12]
)


_refusal = partial(Rejected, 400, "the request is not HTTP/1.1")
FIELDS = scanner(REQUEST_RULES, _refusal)
TRUSTED_FIELDS = scanner(TRUSTED_RULES, _refusal)


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
        hop: Hop = PLAIN,
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
        "_intermediary",
        "_judged",
        "_limits",
        "_minor",
        "_most",
        "_most_line",
        "_parsed",
        "_peer",
        "_read",
        "_refused",
        "_said",
        "_scheme",
        "_taken",
        "_trusted",
    )

    def __init__(
        self,
        peer: bytes,
        intermediary: Intermediary,
        *,
        trusted: bool = False,
        secure: bool = False,
    ) -> None:
        """Of a client at `peer`, which may be `trusted` to speak for others; `secure` is TLS."""
        super().__init__()
        self._peer = peer
        self._intermediary = intermediary
        self._limits = limits = intermediary.limits
        self._most = limits.header_bytes + limits.request_line
        self._most_line = limits.request_line
        self._trusted = trusted
        self._read = (TRUSTED_FIELDS if trusted else FIELDS).read
        self._scheme = b"https" if secure else b"http"
        self._said = b"\r\nX-Forwarded-For: %b\r\nX-Forwarded-Proto: %b" % (peer, self._scheme)
        self._refused = b""  # the first line of what was rejected, once its head was whole
        self._judged = False  # the first line of an unfinished head was found good
        self._taken = 0  # bytes of the body so far
        # The last head without its first line, of a request without a body, and what it came to.
        self._block = b""
        self._minor = 1
        self._parsed: tuple[bytes, bytes, bytes, bool, Hop] = (b"", b"", b"", True, PLAIN)

    @property
    def begun(self) -> bool:
        """Part of a head is here."""
        return self.ended and self.rest != b""

    @property
    def first_line(self) -> bytes:
        """Of the head that was rejected or is unfinished, so much as a line may have.

        Empty before it has come.
        """
        if self._refused:
            return self._refused
        line, end, _ = self.rest.partition(b"\n")
        whole = end or len(line) > self._most_line
        return line.removesuffix(b"\r")[: self._most_line] if whole else b""

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
        line, _, block = head.partition(b"\r\n")
        return self._request(line, block)

    def whole(self, data: bytes) -> Request | None:
        """As `next`, while nothing is unread, if `data` is one head and nothing else.

        None where it is not: then it is to be received.
        """
        end = data.find(b"\r\n")
        block = self._block  # a client says much the same all the time
        if not (block and end > 0 and len(data) == end + 2 + len(block) and data.endswith(block)):
            if data.find(HEAD_END, end) + 4 != len(data) or len(data) > self._most or end < 1:
                return None
            block = data[end + 2 :]
        return self._request(data[:end], block)

    def _judge_line(self, rest: bytes) -> None:
        """Refuse a first line as soon as it is here: the rest of its head may never come."""
        line, end, _ = rest.partition(b"\r\n")
        if len(line) > self._limits.request_line + (not end):  # there may be a CR already
            raise Rejected(414, "the request line is too long")
        if end:
            request_line(line)
            self._judged = True
        elif not 32 < rest[0] < 127 and rest != b"\r":
            request_line(line)  # somebody speaks another protocol, and may wait for us

    def _request(self, line: bytes, block: bytes) -> Request:
        """Of a head, its first line and what is behind that."""
        try:
            if len(line) > self._most_line:
                raise Rejected(414, "the request line is too long")
            method, target, minor = request_line(line)
            authority = None
            if target[0] != 47:  # a slash
                target, authority = origin_form(method, target)
            if block == self._block and minor == self._minor and authority is None:
                host, lines, rest, keep_alive, hop = self._parsed
                framing = NO_BODY
            else:
                host, lines, rest, framing, keep_alive, hop = self._fields(
                    method, line, block, minor, authority
                )
            head = b"%b %b%b" % (method, target, rest)
            return Request(method, target, minor, host, lines, head, framing, keep_alive, hop)
        except Rejected:
            self._refused = line[: self._most_line]
            raise

    def _fields(
        self, method: bytes, line: bytes, block: bytes, minor: int, authority: bytes | None
    ) -> tuple[bytes, bytes, bytes, Framing, bool, Hop]:
        """What the fields say: host, lines that pass, all that goes to the backend, and so on.

        An `authority` named in the first line overrides Host.
        """
        limits = self._limits
        try:
            if len(block) > limits.header_bytes:
                raise TooLarge
            lines, said = self._read(block, limits.header_count)
        except TooLarge:
            raise Rejected(431, "the request head is too large") from None
        host, connection, length = said[HOST], said[CONNECTION], said[LENGTH_FIELD]
        if host is not None:
            check_host(host)
        elif minor:
            raise Rejected(400, "the Host field is missing")
        if authority is not None:
            host = authority
        framing = NO_BODY
        keep_alive = minor == 1
        hop, for_next, upgrades, named = PLAIN, b"", False, NO_NAMES
        if connection is not None:
            keep_alive, upgrades, named = options(connection, minor)
            if named:
                lines = without(lines, named)
        if said[CODING] is not None:
            framing = CHUNKED
            lines += self._begin_chunks(said, minor)
        elif length is not None:
            framing = self._begin_length(length)
        if said[0] is not None or named:
            hop = self._hop(said, minor, upgrades, named)
            hops = said[MAX_FORWARDS]
            if hops is not None and method in _TRACED:
                hop, lines = _counted(hop, lines, hops, method, line, block)
            for_next = hop.lines
        passed = lines
        ours = self._said
        if self._trusted:
            passed, ours = forwarding(lines, self._peer, host or b"", self._scheme)
        elif host:
            ours += b"\r\nX-Forwarded-Host: " + host
        rest = b"".join(
            (
                *(b" HTTP/1.1\r\nHost: ", host or b"", passed, for_next, ours),
                self._intermediary.tails[minor],
            )
        )
        if framing is NO_BODY and authority is None and said[MAX_FORWARDS] is None:
            self._block, self._minor = block, minor
            self._parsed = host or b"", lines, rest, keep_alive, hop
        return host or b"", lines, rest, framing, keep_alive, hop

    def _hop(self, said: Said, minor: int, upgrades: bool, named: frozenset[bytes]) -> Hop:
        offered, te, via = said[UPGRADE], said[TE], said[VIA]
        upgrade = b""
        if offered is not None and upgrades and minor:  # RFC 9110, 7.8
            upgrade = self._intermediary.upgrades(offered)
        takes_trailers = te is not None and minor == 1 and b"trailers" in tokens(te)
        answer = LOOP if via is not None and self._intermediary.has_seen(via) else None
        if upgrade or takes_trailers or named or answer is not None:
            return Hop(upgrade, takes_trailers, named, answer)
        return PLAIN

    def _begin_chunks(self, said: Said, minor: int) -> bytes:
        """Returns what we say of the body."""
        coding, trailer, limits = said[CODING], said[TRAILER], self._limits
        check_coding(coding or b"", minor, has_length=said[LENGTH_FIELD] is not None)
        self._begin_body(CHUNKED, 0, limits.header_bytes, limits.header_count)
        announced = b"" if trailer is None else b"\r\nTrailer: " + trailer
        return b"\r\nTransfer-Encoding: chunked" + announced

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
        self._begin_body(LENGTH, length)
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


def _counted(
    hop: Hop, lines: bytes, value: bytes, method: bytes, line: bytes, block: bytes
) -> tuple[Hop, bytes]:
    """One hop less, or the answer of the last one (RFC 9110, 7.6.2), whether it loops or not."""
    left = max_forwards(value)
    if left:
        lines = without(lines, (b"max-forwards",)) + b"\r\nMax-Forwards: %d" % (left - 1)
        return hop, lines
    answer = ALLOWED if method == b"OPTIONS" else echo(line, block)
    return replace(hop, answer=answer), lines


_EMPTY_LINES = re.compile(rb"\A(?:\r\n)+")
_TRACED = (b"OPTIONS", b"TRACE")
"""Max-Forwards means something for these alone (RFC 9110, 7.6.2)."""
