"""What RFC 9110 and 9112 ask of an intermediary, as tables and pure functions.

llhttp checks the grammar of each head; what it lets through, and what needs to know that we stand
between two others, is here, the section beside each rule.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from enum import IntEnum
from functools import lru_cache
from ipaddress import IPv6Address

from lb import wire

IDEMPOTENT = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"})
"""RFC 9110, 9.2.2."""


class Rejected(Exception):
    """A request that is not passed on; the connection ends with it."""

    def __init__(self, status: int, why: str) -> None:
        self.status = status
        super().__init__(why)


class Malformed(Exception):
    """Not an answer that can be passed on."""


# --- fields


class Field(IntEnum):
    """How a field is treated."""

    PASS = 0
    """It means nothing here."""
    DROP = 1
    """Hop-by-hop (RFC 9110, 7.6.1), or said by the proxy itself."""
    HOST = 2
    CONNECTION = 3
    LENGTH = 4
    CODING = 5
    UPGRADE = 6
    TE = 7
    TRAILER = 8
    FORWARDED = 9
    """Kept only when a trusted proxy says it."""
    LOAD = 10
    """A backend's report, which is for the balancer alone."""


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
REQUEST_RULES = {
    b"host": Field.HOST,
    **_HOP_BY_HOP,
    b"x-forwarded-by": Field.DROP,
    b"x-forwarded-for": Field.FORWARDED,
    b"x-forwarded-proto": Field.FORWARDED,
    b"x-forwarded-host": Field.FORWARDED,
}
RESPONSE_RULES = {**_HOP_BY_HOP, wire.LOAD.lower().encode(): Field.LOAD}


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
    never those that frame or route a message, which would be left without an end.
    """
    said = frozenset(tokens(connection))
    persists = b"close" not in said and (minor == 1 or b"keep-alive" in said)
    return persists, b"upgrade" in said, said - {b"close", *_HOP_BY_HOP, b"host", b"via"}


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
"""A trailer section (RFC 9112, 7.1.2), which llhttp does not see; each line begins with CRLF."""

NOT_IN_TRAILERS = frozenset(
    {
        *REQUEST_RULES,
        *RESPONSE_RULES,
        *(b"age", b"authorization", b"cache-control", b"content-encoding", b"content-range"),
        *(b"content-type", b"cookie", b"date", b"expect", b"expires", b"location"),
        *(b"max-forwards", b"pragma", b"proxy-authenticate", b"proxy-authorization", b"range"),
        *(b"retry-after", b"set-cookie", b"vary", b"via", b"warning", b"www-authenticate"),
        *(b"accept", b"accept-charset", b"accept-encoding", b"accept-language", b"if-match"),
        *(b"if-modified-since", b"if-none-match", b"if-range", b"if-unmodified-since"),
        *(b"forwarded", b"origin", b"referer", b"user-agent", b"http2-settings"),
    }
)
"""Fields that frame, route, authenticate or modify a message (RFC 9110, 6.5.1): too late there."""


# --- the first line of a request

_TOKEN = re.compile(rb"[!#-'*+.^_`|~0-9A-Za-z-]+")
_TARGET = bytes(byte for byte in range(33, 127) if byte != ord("#"))
"""What a request target may be made of: visible ASCII, and no fragment (RFC 9112, 3.2)."""


def request_line(line: bytes) -> tuple[bytes, bytes, int]:
    """Method, target and minor version (RFC 9112, 3). Raises Rejected.

    There is one space between the parts and none elsewhere. Which methods there are llhttp knows.
    """
    try:
        method, target, version = line.split(b" ")
    except ValueError:
        raise Rejected(400, "the request line is not one of HTTP/1.1") from None
    if not method.isalpha() and _TOKEN.fullmatch(method) is None:
        raise Rejected(400, "the method is malformed")
    if not target or target.translate(None, _TARGET):
        raise Rejected(400, "the request target is malformed")
    if version == b"HTTP/1.1":
        minor = 1
    elif version == b"HTTP/1.0":
        minor = 0
    else:
        raise _wrong_version(method, version)
    if method == b"CONNECT":
        raise Rejected(501, "CONNECT is not offered")
    return method, target, minor


def _wrong_version(method: bytes, version: bytes) -> Rejected:
    """RFC 9110, 15.6.6: a major version that is not supported."""
    if re.fullmatch(rb"HTTP/[2-9]\.\d", version) and method != b"PRI":
        return Rejected(505, f"{version.decode()} is not spoken here")
    return Rejected(400, "the request is not HTTP/1.1")


_HOST = re.compile(
    rb"(?:(?:\[([0-9A-Za-z:._~-]+)\]|(?:[A-Za-z0-9._~!$&'()*+;=-]|%[0-9A-Fa-f]{2})+)(?::[0-9]*)?)?"
)
"""uri-host [":" port] (RFC 9110, 7.2). A comma, which names may have, is refused: it is what a
repeated Host becomes when somebody joins the two."""


@lru_cache(maxsize=1024)
def check_host(host: bytes) -> bytes:
    """The host, unless it is none (RFC 9112, 3.2). Raises Rejected."""
    match = _HOST.fullmatch(host)
    if match is None or (match[1] and not _is_address(match[1].decode())):
        raise Rejected(400, "the Host field is not a host and port")
    return host


def _is_address(literal: str) -> bool:
    """What may stand between brackets (RFC 3986, 3.2.2)."""
    try:
        return literal[0] in "vV" or bool(IPv6Address(literal))
    except ValueError:
        return False


_ABSOLUTE = re.compile(
    rb"https?://(?:[A-Za-z0-9._~!$&'()*+,;=:%-]*@)?([^/?#@]*)((?:[/?].*)?)", re.IGNORECASE
)


def origin_form(method: bytes, target: bytes) -> tuple[bytes, bytes | None]:
    """A target that is no path, as an origin wants it, and the host it names (RFC 9112, 3.2).

    Raises Rejected.
    """
    if target == b"*":
        if method != b"OPTIONS":
            raise Rejected(400, "only OPTIONS is asked of *")
        return target, None
    match = _ABSOLUTE.fullmatch(target)
    if match is None or not match[1]:
        raise Rejected(400, "the request target is neither a path nor a URL of HTTP")
    path = match[2]
    if not path and method == b"OPTIONS":
        path = b"*"  # 3.2.4
    elif not path.startswith(b"/"):
        path = b"/" + path
    return path, check_host(match[1])


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


def forwarding(lines: bytes, peer: bytes, host: bytes) -> tuple[bytes, bytes]:
    """What a trusted proxy says about the client stands; the chain of addresses grows by one.

    Returns the other lines, and those for what is left to say.
    """
    given = list(pairs(lines))
    names = {name.lower() for name, _ in given}
    chain = [value for name, value in given if name.lower() == b"x-forwarded-for"]
    said = b"\r\nX-Forwarded-For: " + b", ".join((*chain, peer))
    if b"x-forwarded-proto" not in names:
        said += b"\r\nX-Forwarded-Proto: http"
    if b"x-forwarded-host" not in names and host:
        said += b"\r\nX-Forwarded-Host: " + host
    return without(lines, [b"x-forwarded-for"]), said
