"""Responses, as a backend's connection brings them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from lb.proxy.http.fields import FieldLines
from lb.proxy.http.framing import (
    CHUNKED,
    CLOSE,
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

_, DROP, _, CONNECTION, LENGTH_FIELD, CODING, UPGRADE, _, TRAILER, _, LOAD = map(int, Field)
FIELDS = FieldLines(RESPONSE_RULES)
_passing, _special = FIELDS.passing.get, FIELDS.special.get

_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2}(?: [\t\x20-\x7e\x80-\xff]*)?)")


@lru_cache(maxsize=256)
def _status_line(line: bytes) -> tuple[int, int, bytes]:
    """Minor version, status, and status with its reason (RFC 9112, 4). Raises Malformed."""
    match = _LINE.fullmatch(line)
    if match is None:
        raise Malformed("the status line is not one of HTTP/1.1")
    text = match[2] if b" " in match[2] else match[2] + b" "  # the space is not optional
    return int(match[1]), int(text[:3]), text


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

    __slots__ = ("aside", "framing", "keep_alive", "length", "lines", "minor", "status", "text")

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
    ) -> None:
        self.status = status
        self.text = text  # status and reason
        self.lines = lines  # fields that pass, each line beginning with CRLF
        self.minor = minor
        self.framing = framing
        self.keep_alive = keep_alive  # the backend's connection goes on after it
        self.aside = aside
        self.length = length  # of a body that is framed by it


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
        if head == self._head and method == self._method:  # a backend may repeat itself
            response = self._response
        else:
            response = self._parse(head, method)
            self._head, self._method, self._response = head, method, response
        framing = response.framing
        if framing is not NO_BODY:
            self._begin_body(framing, response.length, self._limit)
        return response

    def _parse(self, head: bytes, method: bytes) -> Response:
        fields = head.split(b"\r\n")
        line, fields[0] = fields[0], b""
        minor, status, status_text = _status_line(line)
        if len(fields) - 3 > self._count:
            raise Malformed("the response has too many fields")
        connection = coding = upgrade = trailer = load = length = b""
        checked = False
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
            elif kind == LENGTH_FIELD:
                if length:
                    raise Malformed("the response has more than one Content-Length")
                length = value or b"-"
                if status >= 200 and status != 204:  # RFC 9110, 8.6
                    lines.append(text)
            elif kind == CONNECTION:
                connection = connection + b"," + value if connection else value
            elif kind == CODING:
                coding += b"," + value
            elif kind == UPGRADE:
                upgrade += b", " + value if upgrade else value
            elif kind == TRAILER:
                trailer += text
            elif kind == LOAD:
                load = value

        framing, size = CLOSE, 0
        if length:
            try:
                size = content_length(length)
            except ValueError:
                raise Malformed("Content-Length is not a number of bytes") from None
            framing = LENGTH if size else NO_BODY
        if coding:
            if length or tokens(coding) != [b"chunked"]:
                raise Malformed("the framing of the response is ambiguous")
            framing = CHUNKED
        if method == b"HEAD" or status < 200 or status == 204 or status == 304:
            framing = NO_BODY  # RFC 9112, 6.3
        passed = b"".join(lines)
        keep_alive, named = minor == 1, NO_NAMES
        if connection:
            keep_alive, _, named = options(connection, minor)
            if named:
                passed = without(passed, named)
        if framing is CLOSE or (coding and not minor):
            keep_alive = False  # RFC 9112, 6.1: who says HTTP/1.0 and a coding is not trusted again
        aside = _NO_ASIDE
        if upgrade or trailer or load or named:
            aside = Aside(upgrade, trailer, load, named)
        return Response(status, status_text, passed, minor, framing, keep_alive, aside, size)

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


def _check_grammar(head: bytes) -> None:
    """Let llhttp judge. Raises Malformed."""
    try:
        HttpResponseParser(None).feed_data(head)
    except HttpParserUpgrade:
        pass  # it stops behind the head, which is all there is
    except HttpParserError:
        raise Malformed("the response is not HTTP/1.1") from None
