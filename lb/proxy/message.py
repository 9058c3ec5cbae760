"""What RFC 9110 and 9112 ask of an intermediary, as tables and pure functions.

Messages are re-serialised from parsed fields; a raw head is never forwarded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from enum import IntEnum
from functools import lru_cache
from http import HTTPStatus

from lb.balancing import LoadReport, Outcome, Why

VIA = b"lb"
MAX_HEAD = 64 * 1024
"""Bytes of field names and values in one head."""
MAX_FIELDS = 200


class Field(IntEnum):
    """How a field is treated; everything unnamed passes."""

    PASS = 0
    DROP = 1
    """Hop-by-hop (RFC 9110, 7.6.1), or said by the proxy itself."""
    CONNECTION = 2
    HOST = 3
    LENGTH = 4
    CODING = 5
    UPGRADE = 6
    FORWARDED = 7
    """Kept only when a trusted proxy says it."""
    LOAD = 8
    """A backend's report, which is for the balancer alone."""


_HOP_BY_HOP = {
    b"keep-alive": Field.DROP,
    b"proxy-connection": Field.DROP,
    b"te": Field.DROP,
    b"trailer": Field.DROP,  # trailers are not forwarded, so none is announced
    b"upgrade": Field.UPGRADE,
    b"connection": Field.CONNECTION,
    b"transfer-encoding": Field.CODING,
    b"content-length": Field.LENGTH,
    b"x-backend-server": Field.DROP,
}
REQUEST_FIELDS = _HOP_BY_HOP | {
    b"host": Field.HOST,
    b"x-forwarded-by": Field.DROP,
    b"x-forwarded-for": Field.FORWARDED,
    b"x-forwarded-proto": Field.FORWARDED,
    b"x-forwarded-host": Field.FORWARDED,
}
RESPONSE_FIELDS = _HOP_BY_HOP | {b"x-lb-load": Field.LOAD}


class FieldTable(dict[bytes, int]):
    """Looks a field name up in any spelling; spellings seen are remembered, up to a bound."""

    def __init__(self, rules: dict[bytes, Field]) -> None:
        super().__init__()
        self._rules = {name: int(rule) for name, rule in rules.items()}

    def __missing__(self, name: bytes) -> int:
        rule = self._rules.get(name.lower(), 0)
        if len(self) < 1024 and len(name) < 64:
            self[bytes(name)] = rule
        return rule


IDEMPOTENT = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"})
"""RFC 9110, 9.2.2."""


def tokens(value: bytes) -> list[bytes]:
    """The members of a comma-separated list, in lower case."""
    return [part.strip().lower() for part in value.split(b",") if part.strip()]


@lru_cache(maxsize=128)  # nearly every backend says keep-alive with every answer
def named(connection: bytes) -> frozenset[bytes]:
    """The fields that a Connection field takes along; keep-alive and close name none."""
    return frozenset(tokens(connection)) - {b"close", *_HOP_BY_HOP}


def without(fields: list[bytes], named: Iterable[bytes]) -> list[bytes]:
    """Drop fields by lower-case name from a flat list of (name, ": ", value, CRLF) quadruples.

    What Connection names goes, but never the length: a body would be left without an end.
    """
    unwanted = {*named} - {b"content-length"}
    kept: list[bytes] = []
    for i in range(0, len(fields), 4):
        if fields[i].lower() not in unwanted:
            kept += fields[i : i + 4]
    return kept


_ABSOLUTE = re.compile(rb"[a-z][a-z0-9+.-]*://(?:[^/?#@]*@)?([^/?#]*)(.*)", re.IGNORECASE)


def origin_form(target: bytes, host: bytes) -> tuple[bytes, bytes]:
    """Target and host when the target is absolute and so names the host (RFC 9112, 3.2.2)."""
    match = _ABSOLUTE.fullmatch(target)
    if match is None:
        return target, host
    path = match[2]
    return (path if path.startswith(b"/") else b"/" + path), match[1]


def forwarding(fields: list[bytes], peer: bytes, host: bytes) -> tuple[list[bytes], bytes]:
    """What a trusted proxy says about the client stands; the chain of addresses grows by one.

    Returns the other fields, and the lines for the one that is left to say.
    """
    chain: list[bytes] = []
    kept: list[bytes] = []
    for i in range(0, len(fields), 4):
        if fields[i].lower() == b"x-forwarded-for":
            chain.append(fields[i + 2])
        else:
            kept += fields[i : i + 4]
    given = {name.lower() for name in kept[::4]}
    lines = b"X-Forwarded-For: %b\r\n" % b", ".join((*chain, peer))
    if b"x-forwarded-proto" not in given:
        lines += b"X-Forwarded-Proto: http\r\n"
    if b"x-forwarded-host" not in given and host:
        lines += b"X-Forwarded-Host: %b\r\n" % host
    return kept, lines


_LOAD = re.compile(rb"in_flight=(\d{1,9}),\s*latency_ms=(\d{1,9}(?:\.\d{1,9})?)")


def load_report(value: bytes) -> LoadReport | None:
    """`in_flight=3, latency_ms=12.5`, as a backend says it; None for anything else."""
    match = _LOAD.fullmatch(value.strip())
    return match and LoadReport(int(match[1]), float(match[2]) / 1e3)


def has_body(method: bytes, status: int) -> bool:
    """Whether a response with this status to this method carries a body (RFC 9112, 6.3)."""
    return method != b"HEAD" and status >= 200 and status not in (204, 304)


def chunk(data: bytes) -> bytes:
    """One chunk of the chunked coding (RFC 9112, 7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"

REFUSALS: dict[Why | Outcome, tuple[int, str]] = {
    Why.NO_BACKEND: (503, "no backend is healthy"),
    Why.QUEUE_FULL: (503, "every backend is at its limit and the line is full"),
    Why.QUEUE_TIMEOUT: (503, "every backend stayed at its limit for too long"),
    Outcome.CONNECT: (502, "the backend refused the connection"),
    Outcome.RESET: (502, "the backend broke off before it answered"),
    Outcome.SERVER_ERROR: (502, "the backend did not answer in HTTP"),
    Outcome.TIMEOUT: (504, "the backend did not answer in time"),
}


def local_response(
    status: int, body: bytes, *, keep_alive: bool, minor: int = 1, head_only: bool = False
) -> bytes:
    """A whole JSON response of the proxy's own, to a client of HTTP/1.`minor`."""
    if not keep_alive:
        connection = b"Connection: close\r\n"
    else:
        connection = b"" if minor else b"Connection: keep-alive\r\n"
    return (
        b"HTTP/1.1 %d %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%b\r\n"
        % (status, HTTPStatus(status).phrase.encode(), len(body), connection)
    ) + (b"" if head_only else body)


def error_body(code: str, message: str) -> bytes:
    return json.dumps({"error": code, "message": message}).encode() + b"\n"
