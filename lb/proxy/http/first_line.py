"""The first line of a message: what is asked of whom, and how it went (RFC 9112, 3 and 4)."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv6Address

from lb.proxy.http.rules import IDEMPOTENT, Malformed, Rejected

_TARGET = bytes(byte for byte in range(33, 127) if byte != ord("#"))
"""What a request target may be made of: visible ASCII, and no fragment (RFC 9112, 3.2)."""


def request_line(line: bytes) -> tuple[bytes, bytes, int]:
    """Method, target and minor version (RFC 9112, 3). Raises Rejected.

    There is one space between the parts and none elsewhere. Any token is a method.
    """
    try:
        method, target, version = line.split(b" ")
    except ValueError:
        raise Rejected(400, "the request line is not one of HTTP/1.1") from None
    if method not in _KNOWN:
        _judge_method(method)
    if not target or target.translate(None, _TARGET):
        raise Rejected(400, "the request target is malformed")
    return method, target, 1 if version == b"HTTP/1.1" else _minor(version)


_KNOWN = frozenset({*IDEMPOTENT, b"POST", b"PATCH"})
_METHOD = re.compile(rb"[!#-'*+.^_`|~0-9A-Za-z-]+")


def _judge_method(method: bytes) -> None:
    """Any token that is no longer than a method may be (RFC 9110, 9.1). Raises Rejected."""
    if _METHOD.fullmatch(method) is None:
        raise Rejected(400, "the method is malformed")
    if method == b"PRI":  # RFC 9113, 3.4: its preface
        raise Rejected(400, "HTTP/2 is not spoken here")
    if method == b"CONNECT" or len(method) > 64:
        raise Rejected(501, "the method is not offered")


def _minor(version: bytes) -> int:
    """0 or 1, which any higher one is taken for (RFC 9110, 2.5). Raises Rejected."""
    match = re.fullmatch(rb"HTTP/([1-9])\.([0-9])", version)
    if match is None:
        raise Rejected(400, "the request is not HTTP/1.1")
    if match[1] != b"1":  # RFC 9110, 15.6.6
        raise Rejected(505, f"{version.decode()} is not spoken here")
    return min(int(match[2]), 1)


_STATUS_LINE = re.compile(rb"HTTP/1\.([0-9]) ([1-9][0-9]{2}(?: [\t\x20-\x7e\x80-\xff]*)?)")


@lru_cache(maxsize=256)
def status_line(line: bytes) -> tuple[int, int, bytes, bool]:
    """Minor version, status, status with its reason (RFC 9112, 4), whether there is never a body.

    Raises Malformed.
    """
    match = _STATUS_LINE.fullmatch(line)
    if match is None:
        raise Malformed("the status line is not one of HTTP/1.1")
    text = match[2] if b" " in match[2] else match[2] + b" "  # the space is not optional
    status = int(text[:3])
    return min(int(match[1]), 1), status, text, status < 200 or status in (204, 304)


_HOST = re.compile(
    rb"(?:(?:\[([0-9A-Za-z:._~-]+)\]"
    rb"|(?:[A-Za-z0-9._~!$&'()*+;=-]|%(?!7[Ff])[2-9A-Fa-f][0-9A-Fa-f])+)(?::[0-9]*)?)?"
)
"""uri-host [":" port] (RFC 9110, 7.2). A comma, which names may have, is refused: it is what a
repeated Host becomes when somebody joins the two. So are control characters in disguise, which
somebody may uncover."""


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
