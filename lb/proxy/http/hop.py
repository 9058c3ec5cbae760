"""What is said to this hop alone, and what it says to the next (RFC 9110, 7.6 to 7.8)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from secrets import token_hex

from lb.config import Limits
from lb.config.serving import OTHER_HTTP
from lb.proxy.http.message import Answer
from lb.proxy.http.rules import NO_NAMES, Rejected

_HTTP = frozenset(name.encode() for name in OTHER_HTTP)


class Intermediary:
    """This proxy, as its neighbours meet it."""

    def __init__(self, limits: Limits, upgrades: Iterable[str] = ("websocket",)) -> None:
        """`upgrades` are names of protocols, or "*" for all but HTTP itself."""
        self.limits = limits
        self.pseudonym = b"lb-" + token_hex(8).encode()
        """Its name in Via (RFC 9110, 7.6.3). Only backends hear it, and nobody guesses it, so
        nobody makes others believe that their requests have been here before."""
        self.tails = tuple(
            b"\r\nX-Forwarded-By: lb\r\nVia: 1.%d %b\r\n" % (minor, self.pseudonym)
            for minor in (0, 1)
        )
        """How the fields of a request end, by its minor version."""
        names = frozenset(name.lower().encode() for name in upgrades)
        self._upgrades = None if b"*" in names else names - _HTTP

    def upgrades(self, offered: bytes) -> bytes:
        """The protocols of Upgrade that are passed on, as they were written."""
        members = (member.strip() for member in offered.split(b","))
        return b", ".join(member for member in members if member and self._allows(member))

    def _allows(self, protocol: bytes) -> bool:
        name = protocol.partition(b"/")[0].lower()
        return name not in _HTTP and (self._upgrades is None or name in self._upgrades)

    def has_seen(self, via: bytes) -> bool:
        """Whether a message that came by way of `via` has been here before."""
        if self.pseudonym not in via:
            return False
        members = _without_comments(via).split(b",")
        return any(member.split()[1:2] == [self.pseudonym] for member in members)


def _without_comments(value: bytes) -> bytes:
    """They nest, and a backslash in them takes the meaning of what follows (RFC 9110, 5.6.5)."""
    out, depth, start = b"", 0, 0
    for mark in _COMMENT_MARKS.finditer(value):
        if mark[0] == b"(":
            if not depth:
                out += value[start : mark.start()]
            depth += 1
        elif mark[0] == b")" and depth:
            depth -= 1
            start = mark.end()
    return out if depth else out + value[start:]


_COMMENT_MARKS = re.compile(rb"\\.|[()]")


@dataclass(frozen=True, slots=True)
class Hop:
    """What a request asks of this hop alone."""

    upgrade: bytes = b""
    """The protocols to which it may switch, of those the client would switch to."""
    takes_trailers: bool = False
    named: frozenset[bytes] = NO_NAMES
    """Fields that Connection takes along."""
    answer: Answer | None = None
    """Given here: the request goes no further."""

    @property
    def lines(self) -> bytes:
        """What we have to say for ourselves, having dropped what the hop before said."""
        if not self.upgrade:
            return b"\r\nConnection: TE\r\nTE: trailers" if self.takes_trailers else b""
        connection = b"upgrade, TE\r\nTE: trailers" if self.takes_trailers else b"upgrade"
        return b"\r\nConnection: %b\r\nUpgrade: %b" % (connection, self.upgrade)


PLAIN = Hop()
FARTHEST = 10**9
"""The largest Max-Forwards that is passed on."""


def max_forwards(value: bytes) -> int:
    """How many hops the request may still make. Raises Rejected."""
    if not value.isdigit():
        raise Rejected(400, "Max-Forwards is not a number of hops")
    return min(int(value), FARTHEST) if len(value) < 20 else FARTHEST
