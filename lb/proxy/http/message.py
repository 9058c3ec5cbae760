"""What the proxy writes itself: chunks, and the answers it gives in a backend's stead."""

from __future__ import annotations

import json
from http import HTTPStatus

from lb.balancing import Outcome, Why

VIA = b"lb"
"""The proxy's name in Via (RFC 9110, 7.6.3)."""


def chunk(data: bytes) -> bytes:
    """One chunk of the chunked coding (RFC 9112, 7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def last_chunk(trailers: bytes) -> bytes:
    """The end of a chunked body; each line of `trailers` begins with CRLF."""
    return b"0%b\r\n\r\n" % trailers


REFUSALS: dict[Why | Outcome, tuple[int, str]] = {
    Why.NO_BACKEND: (503, "no backend is healthy"),
    Why.QUEUE_FULL: (503, "every backend is at its limit and the line is full"),
    Why.QUEUE_TIMEOUT: (503, "every backend stayed at its limit for too long"),
    Outcome.CONNECT: (502, "the backend refused the connection"),
    Outcome.RESET: (502, "the backend broke off before it answered"),
    Outcome.SERVER_ERROR: (502, "the backend did not answer in HTTP"),
    Outcome.TIMEOUT: (504, "the backend did not answer in time"),
    Outcome.CANCELLED: (503, "the proxy could not reach the backend, through no fault of its own"),
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


TOO_LATE = (504, error_body("too_late", "the request took longer than any may"))
"""What a request is told that runs into timeouts.total."""
