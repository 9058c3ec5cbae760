"""Where one message ends and the next begins, on a connection in either direction.

A head ends with its blank line; a body ends after its length, with its last chunk, or with the
connection (RFC 9112, 6.3). Everything here is pulled: what is not asked for stays unread, so
whoever asks decides how much is under way. No sockets.
"""

from __future__ import annotations

import re
from enum import Enum, auto

from lb.proxy.http.rules import FIELD_LINES, NOT_IN_TRAILERS, has_bare_lf, pairs, plain_name


class Framing(Enum):
    """How the end of a body is known."""

    NONE = auto()
    LENGTH = auto()
    CHUNKED = auto()
    CLOSE = auto()


NO_BODY, LENGTH, CHUNKED, CLOSE = Framing  # reading a member off an Enum costs as much as a call

HEAD_END = b"\r\n\r\n"


class BadFraming(Exception):
    """A body that breaks the rules of its coding; nothing behind it can be told apart."""


class TooLarge(Exception):
    """More head, trailer or chunk overhead than the limit allows."""


class ChunkedBody:
    """Decodes the chunked coding, strictly: hexadecimal digits and CRLF (RFC 9112, 7.1)."""

    __slots__ = ("_left", "_limit", "_most", "_overhead", "_rest", "ended", "trailers")

    _SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})(;[\t\x20-\x7e\x80-\xff]*)?\r\n")
    _PREFIX = re.compile(rb"[0-9A-Fa-f]{1,15}(;[\t\x20-\x7e\x80-\xff]*)?\r?")

    def __init__(self, limit: int, most: int) -> None:
        self._limit = limit  # bytes of all extensions together, and of the trailers
        self._most = most  # trailers
        self._left = 0  # of the chunk and the CRLF behind it
        self._rest = b""  # part of a line
        self._overhead = 0
        self.ended = False
        self.trailers = b""
        """Field lines behind the last chunk, as they came; each begins with CRLF."""

    def take(self, data: bytes) -> tuple[bytes, bytes]:
        """The content in `data`, and what follows the body. Raises BadFraming, TooLarge."""
        if self._left > 2 and len(data) <= self._left - 2:  # the middle of a large chunk
            self._left -= len(data)
            return data, b""
        if self._rest:
            data, self._rest = self._rest + data, b""
        content: list[bytes] = []
        at = 0
        while at < len(data):
            if self._left:
                at = self._data(data, at, content)
                continue
            size = self._SIZE.match(data, at)
            if size is None:
                self._keep(data[at:])
                break
            self._overhead += len(size[2] or b"")
            if self._overhead > self._limit:
                raise TooLarge
            length = int(size[1], 16)
            if length:
                at = size.end()
                self._left = length + 2
            elif (after := self._end(data, size.end() - 2)) is None:
                self._rest = data[at:]
                self._overhead -= len(size[2] or b"")  # the line is read again
                break
            else:
                return b"".join(content), data[after:]
        return b"".join(content), b""

    def _data(self, data: bytes, at: int, content: list[bytes]) -> int:
        """Take what is there of a chunk and its CRLF."""
        if self._left > 2:
            piece = data[at : at + self._left - 2]
            content.append(piece)
            self._left -= len(piece)
            at += len(piece)
        if self._left <= 2 and at < len(data):
            mark = data[at : at + self._left]
            if mark != b"\r\n"[2 - self._left :][: len(mark)]:
                raise BadFraming
            self._left -= len(mark)
            at += len(mark)
        return at

    def _keep(self, line: bytes) -> None:
        """An unfinished size; what can never become one is refused at once."""
        if len(line) > self._limit:
            raise TooLarge
        if self._PREFIX.fullmatch(line) is None:
            raise BadFraming
        self._rest = line

    def _end(self, data: bytes, at: int) -> int | None:
        """Take the trailer section, `at` the CRLF before it; the offset behind it, once whole."""
        if data.startswith(HEAD_END, at):
            self.ended = True
            return at + 4
        end = data.find(HEAD_END, at)
        lines = data[at:] if end < 0 else data[at:end]
        if len(lines) > self._limit or lines.count(b"\r\n") > self._most + (end < 0):
            raise TooLarge
        if end < 0:
            if has_bare_lf(lines):
                raise BadFraming
            return None
        if FIELD_LINES.fullmatch(lines) is None:
            raise BadFraming
        self.trailers = lines
        self.ended = True
        return end + 4


def passable(trailers: bytes, named: frozenset[bytes]) -> bytes:
    """The trailers that may be passed on, anew (RFC 9110, 6.5.1); `named` by Connection may not."""
    return b"".join(
        b"\r\n%b: %b" % (name, value)
        for name, value in pairs(trailers)
        if plain_name(name) not in NOT_IN_TRAILERS and name.lower() not in named
    )


class MessageReader:
    """Splits the bytes of one direction of a connection into heads and bodies."""

    __slots__ = ("_chunked", "_framing", "_left", "_searched", "ended", "rest")

    def __init__(self) -> None:
        self.rest = b""
        """What has come and was not asked for."""
        self.ended = True
        """No body is being read."""
        self._searched = 0  # no head ends before this
        self._framing = NO_BODY  # of the body that is being read
        self._left = 0
        self._chunked: ChunkedBody | None = None

    def receive(self, data: bytes) -> None:
        self.rest = self.rest + data if self.rest else data

    def _next_head(self, limit: int) -> bytes | None:
        """The next head with its blank line, once it is whole. Raises TooLarge."""
        data = self.rest
        end = data.find(HEAD_END, self._searched) + 4
        if end < 4:
            if len(data) > limit:
                raise TooLarge
            self._searched = max(len(data) - 3, 0)
            return None
        if end > limit:
            raise TooLarge
        self._searched = 0
        if end == len(data):
            self.rest = b""
            return data
        self.rest = data[end:]
        return data[:end]

    def _begin_body(self, framing: Framing, length: int, limit: int = 0, most: int = 0) -> None:
        self._framing = framing
        self.ended = False
        if framing is LENGTH:
            self._left = length
        elif framing is CHUNKED:
            self._chunked = ChunkedBody(limit, most)

    def body(self) -> bytes:
        """What has come of the body. Raises BadFraming, TooLarge."""
        data, self.rest = self.rest, b""
        if self._framing is LENGTH:
            left = self._left
            if len(data) < left:
                self._left = left - len(data)
                return data
            self.ended = True
            if len(data) > left:
                self.rest = data[left:]
                return data[:left]
            return data
        if self._framing is CLOSE:
            return data
        chunked = self._chunked
        assert chunked is not None
        content, self.rest = chunked.take(data)
        self.ended = chunked.ended
        return content

    def trailers(self, named: frozenset[bytes]) -> bytes:
        """Field lines behind the body that has ended, as they may be passed on."""
        chunked, self._chunked = self._chunked, None
        return (
            passable(chunked.trailers, named) if chunked is not None and chunked.trailers else b""
        )
