"""What RFC 9110 and 9112 ask of an intermediary, as tables and pure functions.

What needs to know that we stand between two others is here, the section beside each rule.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from enum import IntEnum
from functools import lru_cache

from lb import wire

SAFE = frozenset((b"GET", b"HEAD", b"OPTIONS", b"TRACE"))
"""Methods that ask for nothing but an answer (RFC 9110, 9.2.1)."""
IDEMPOTENT = frozenset(
    {
        *(b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"),
        *(b"ACL", b"BASELINE-CONTROL", b"BIND", b"CHECKIN", b"CHECKOUT", b"COPY", b"LABEL"),
        *(b"LINK", b"MERGE", b"MKACTIVITY", b"MKCALENDAR", b"MKCOL", b"MKREDIRECTREF"),
        *(b"MKWORKSPACE", b"MOVE", b"ORDERPATCH", b"PROPFIND", b"PROPPATCH", b"QUERY", b"REBIND"),
        *(b"REPORT", b"SEARCH", b"UNBIND", b"UNCHECKOUT", b"UNLINK", b"UNLOCK", b"UPDATE"),
        *(b"UPDATEREDIRECTREF", b"VERSION-CONTROL"),
    }
)
"""RFC 9110, 9.2.2, and IANA's registry of methods. Any other token is a method too."""


class Rejected(Exception):
    """A request that is not passed on; the connection ends with it."""

    def __init__(self, status: int, why: str) -> None:
        self.status = status
        super().__init__(why)


class Malformed(Exception):
    """Not an answer that can be passed on."""


# --- fields


class Field(IntEnum):
    """What a field means here."""

    PASS = 0
    """Nothing."""
    DROP = 1
    """Nothing, and it does not pass: it is hop-by-hop (RFC 9110, 7.6.1), or ours to say."""
    DATE = 2
    HOST = 3
    CONNECTION = 4
    LENGTH = 5
    CODING = 6
    UPGRADE = 7
    TE = 8
    TRAILER = 9
    VIA = 10
    MAX_FORWARDS = 11
    LOAD = 12
    """A backend's report, which is for the balancer alone."""


COMMON = int(Field.LENGTH)
"""Up to here fields stand in nearly every message."""
WRITTEN = frozenset((Field.PASS, Field.DATE, Field.LENGTH, Field.VIA, Field.MAX_FORWARDS))
"""Fields that pass as they came; others stay here, or are written anew."""

_HOP_BY_HOP = {
    b"connection": Field.CONNECTION,
    b"content-length": Field.LENGTH,
    b"transfer-encoding": Field.CODING,
    b"keep-alive": Field.DROP,
    b"proxy-connection": Field.DROP,
    b"te": Field.TE,
    b"trailer": Field.TRAILER,
    b"upgrade": Field.UPGRADE,
    b"x-backend-server": Field.DROP,
}
_SAID_OF_CLIENTS = (b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"forwarded")
REQUEST_RULES = {
    **_HOP_BY_HOP,
    b"host": Field.HOST,
    b"via": Field.VIA,
    b"max-forwards": Field.MAX_FORWARDS,
    b"http2-settings": Field.DROP,
    b"x-forwarded-by": Field.DROP,
    **dict.fromkeys(_SAID_OF_CLIENTS, Field.DROP),
}
TRUSTED_RULES = {**REQUEST_RULES, **dict.fromkeys(_SAID_OF_CLIENTS, Field.PASS)}
"""For requests of a trusted proxy."""
RESPONSE_RULES = {
    **_HOP_BY_HOP,
    b"date": Field.DATE,
    wire.LOAD.lower().encode(): Field.LOAD,
    wire.ORCA.encode(): Field.LOAD,
}


_PLAIN = bytes.maketrans(b"!#$%&'*+.^_`|~", b"-" * 14)


def plain_name(name: bytes) -> bytes:
    """A name in lower case, with hyphens for all marks.

    CGI and those who learned from it see no difference between X_Forwarded_For, X.Forwarded.For
    and X-Forwarded-For (RFC 3875, 4.1.18), so whoever may not say one may not say the others.
    """
    return name.lower().translate(_PLAIN)


BLANK = b" \t"
"""OWS (RFC 9110, 5.6.3)."""


def tokens(value: bytes) -> list[bytes]:
    """The members of a comma-separated list, in lower case."""
    return [part.strip(BLANK).lower() for part in value.split(b",") if part.strip(BLANK)]


NO_NAMES: frozenset[bytes] = frozenset()


@lru_cache(maxsize=128)  # nearly every backend says keep-alive with every answer
def options(connection: bytes, minor: int) -> tuple[bool, bool, frozenset[bytes]]:
    """What Connection says to HTTP/1.`minor` (RFC 9110, 7.6.1; RFC 9112, 9.3).

    Whether the connection persists, whether an Upgrade counts, and which fields it takes along:
    never those that mean something here, which frame a message, route it, or say whose it is.
    """
    said = frozenset(tokens(connection))
    persists = b"close" not in said and (minor == 1 or b"keep-alive" in said)
    return persists, b"upgrade" in said, said - _NEVER_TAKEN


_NEVER_TAKEN = {b"close", *REQUEST_RULES, *RESPONSE_RULES}


def pairs(lines: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and value of each field line; every line begins with CRLF."""
    for line in lines.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        yield name, value.strip(BLANK)


def without(lines: bytes, names: Iterable[bytes]) -> bytes:
    """The lines less those of `names`, which are in lower case."""
    unwanted = {*names}
    return b"".join(
        b"\r\n" + line
        for line in lines.split(b"\r\n")[1:]
        if line.partition(b":")[0].lower() not in unwanted
    )


FIELD_LINES = re.compile(rb"(?:\r\n[!#-'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*)*")
"""A trailer section (RFC 9112, 7.1.2); each line begins with CRLF."""

NOT_IN_TRAILERS = frozenset(
    {
        *REQUEST_RULES,
        *RESPONSE_RULES,
        *(b"age", b"authorization", b"cache-control", b"content-encoding", b"content-range"),
        *(b"content-type", b"cookie", b"expect", b"expires", b"location"),
        *(b"pragma", b"proxy-authenticate", b"proxy-authorization", b"range"),
        *(b"retry-after", b"set-cookie", b"vary", b"warning", b"www-authenticate"),
        *(b"accept", b"accept-charset", b"accept-encoding", b"accept-language", b"if-match"),
        *(b"if-modified-since", b"if-none-match", b"if-range", b"if-unmodified-since"),
        *(b"origin", b"referer", b"user-agent"),
    }
)
"""Fields that frame, route, authenticate or modify a message (RFC 9110, 6.5.1): too late there."""


# --- framing


def content_length(value: bytes) -> int:
    """Digits and nothing else (RFC 9110, 8.6). Raises ValueError."""
    if not value.isdigit() or len(value) > 18:
        raise ValueError(value)
    return int(value)


def has_bare_lf(unfinished: bytes) -> bool:
    """Whether a line of an unfinished head ends wrongly: it may never end (RFC 9112, 2.2)."""
    return unfinished.count(b"\n") != unfinished.count(b"\r\n")


def check_coding(coding: bytes, minor: int, *, has_length: bool) -> None:
    """The only coding of a request is chunked, and it alone frames it (RFC 9112, 6.1, 6.3)."""
    if has_length:
        raise Rejected(400, "Content-Length and Transfer-Encoding contradict each other")
    if not minor:
        raise Rejected(400, "HTTP/1.0 has no transfer coding")
    codings = tokens(coding)
    if codings != [b"chunked"]:
        known = codings[-1:] == [b"chunked"] and b"chunked" not in codings[:-1]
        raise Rejected(501 if known else 400, "the only transfer coding is chunked")


# --- what is said for others


def forwarding(
    lines: bytes, peer: bytes, host: bytes, scheme: bytes = b"http"
) -> tuple[bytes, bytes]:
    """What a trusted proxy says about the client stands; the chain of addresses grows by one.

    Returns the other lines, and those for what is left to say.
    """
    given = list(pairs(lines))
    names = {name.lower() for name, _ in given}
    chain = [value for name, value in given if name.lower() == b"x-forwarded-for"]
    said = b"\r\nX-Forwarded-For: " + b", ".join((*chain, peer))
    if b"x-forwarded-proto" not in names:
        said += b"\r\nX-Forwarded-Proto: " + scheme
    if b"x-forwarded-host" not in names and host:
        said += b"\r\nX-Forwarded-Host: " + host
    return without(lines, [b"x-forwarded-for"]), said
