"""Responses, as a backend's connection brings them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from lb.proxy.http.first_line import status_line
from lb.proxy.http.framing import (
    CHUNKED,
    CLOSE,
    HEAD_END,
    LENGTH,
    NO_BODY,
    BadFraming,
    Framing,
    MessageReader,
    TooLarge,
)
from lb.proxy.http.rules import (
    NO_NAMES,
    RESPONSE_RULES,
    Field,
    Malformed,
    content_length,
    has_bare_lf,
    options,
    tokens,
    without,
)
from lb.proxy.http.scanner import Said, scanner

DATE, CONNECTION, LENGTH_FIELD, CODING, UPGRADE, TRAILER, LOAD = map(
    int,
    (
        *(Field.DATE, Field.CONNECTION, Field.LENGTH, Field.CODING, Field.UPGRADE),
        *(Field.TRAILER, Field.LOAD),
    ),
)


FIELDS = scanner(RESPONSE_RULES, partial(Malformed, "the response is not HTTP/1.1"))
_read = FIELDS.read


@dataclass(frozen=True, slots=True)
class Aside:
    """What a response says to this hop alone."""

    upgrade: bytes = b""
    trailer: bytes = b""
    """Lines that announce trailers."""
    load: bytes = b""
    """What the backend says of its load."""
    named: frozenset[bytes] = NO_NAMES
    """Fields that Connection takes along."""


_NO_ASIDE = Aside()


class Response:
    """A response's head."""

    __slots__ = (
        "aside",
        "dated",
        "framing",
        "keep_alive",
        "length",
        "lines",
        "minor",
        "out",
        "size",
        "status",
        "text",
        "whole",
    )

    def __init__(
        self,
        status: int,
        text: bytes,
        lines: bytes = b"",
        minor: int = 1,
        framing: Framing = NO_BODY,
        keep_alive: bool = True,
        aside: Aside = _NO_ASIDE,
        length: int = 0,
        dated: bool = True,
    ) -> None:
        self.status = status
        self.text = text  # status and reason
        self.lines = lines  # fields that pass, each line beginning with CRLF
        self.minor = minor
        self.framing = framing
        self.keep_alive = keep_alive  # the backend's connection goes on after it
        self.aside = aside
        self.length = length  # of a body that is framed by it
        self.dated = dated  # it says when it was made
        # Of a final one whose length is known, and that says nothing to this hop alone:
        self.size = 0  # bytes of its head
        self.whole = -1  # bytes in all
        self.out = b""
        """How most clients are told its head, once one was."""


class ResponseReader(MessageReader):
    """Responses out of the bytes of one backend. Raises Malformed from either method."""

    __slots__ = ("_count", "_head", "_limit", "_method", "_response")

    def __init__(self, header_bytes: int, header_count: int) -> None:
        super().__init__()
        self._limit = header_bytes
        self._count = header_count
        # The last head, and what it came to.
        self._head = self._method = b""
        self._response = Response(0, b"")

    def next(self, method: bytes) -> Response | None:
        """The next response to a request of `method`, once its head is whole."""
        try:
            head = self._next_head(self._limit)
        except TooLarge:
            raise Malformed("the response head is too large") from None
        if head is None:
            if not b"HTTP/1.".startswith(self.rest[:7]) or has_bare_lf(self.rest):
                raise Malformed("the response is not HTTP/1.1")
            return None
        response = self._read(head, method)
        framing = response.framing
        if framing is not NO_BODY:
            self._begin_body(framing, response.length, self._limit, self._count)
        return response

    def whole(self, data: bytes, method: bytes) -> Response | None:
        """As `next`, while nothing is unread, if `data` is one final answer and nothing else.

        Its content, which is not taken, is `data` behind the first `size` bytes. None for what is
        not so, and for what is said to this hop alone: then it is to be received.
        """
        response = self._response
        if not data.startswith(self._head) or method != self._method:
            end = data.find(HEAD_END) + 4
            if end < 4 or end > self._limit:
                return None
            response = self._read(data[:end], method)
        if response.whole != len(data):
            return None
        return response

    def _read(self, head: bytes, method: bytes) -> Response:
        if head != self._head or method != self._method:  # a backend may repeat itself
            self._response = self._parse(head, method)
            self._head, self._method = head, method
        return self._response

    def _parse(self, head: bytes, method: bytes) -> Response:
        line, _, block = head.partition(b"\r\n")
        minor, status, text, bodiless = status_line(line)
        try:
            lines, said = _read(block, self._count)
        except TooLarge:
            raise Malformed("the response has too many fields") from None
        length, connection, coding = said[LENGTH_FIELD], said[CONNECTION], said[CODING]
        framing = CLOSE
        size = 0
        keep_alive = minor == 1
        named = NO_NAMES
        if length is not None:
            try:
                size = content_length(length)
            except ValueError:
                raise Malformed("Content-Length is not a number of bytes") from None
            framing = LENGTH if size else NO_BODY
        if connection is not None:
            keep_alive, _, named = options(connection, minor)
            if named:
                lines = without(lines, named)
        if coding is not None:
            if length is not None or tokens(coding) != [b"chunked"]:
                raise Malformed("the framing of the response is ambiguous")
            framing = CHUNKED
            keep_alive = keep_alive and minor == 1  # RFC 9112, 6.1: it is not trusted again
        if bodiless or method == b"HEAD":
            framing, size = NO_BODY, 0  # RFC 9112, 6.3
            if length is not None and status != 304 and bodiless:  # RFC 9110, 8.6
                lines = without(lines, (b"content-length",))
        elif framing is CLOSE:
            keep_alive = False
        aside = _NO_ASIDE if said[0] is None and not named else _aside(said, named)
        dated = said[DATE] is not None
        response = Response(status, text, lines, minor, framing, keep_alive, aside, size, dated)
        if status >= 200 and aside is _NO_ASIDE and (framing is LENGTH or framing is NO_BODY):
            response.size = len(head)
            response.whole = response.size + size
        return response

    def body(self) -> bytes:
        try:
            return super().body()
        except (BadFraming, TooLarge):
            raise Malformed("the body of the response is malformed") from None

    def eof(self) -> bool:
        """The backend has closed; whether that is the end of its body."""
        if self.ended or self._framing is not CLOSE:
            return False
        self.ended = True
        return True


def _aside(said: Said, named: frozenset[bytes]) -> Aside:
    trailer = said[TRAILER]
    announced = b"" if trailer is None else b"\r\nTrailer: " + trailer
    return Aside(said[UPGRADE] or b"", announced, said[LOAD] or b"", named)
