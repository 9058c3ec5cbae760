"""What the proxy writes itself: chunks, dates, and the answers it gives in a backend's stead."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, replace
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

from lb.balancing import Outcome, Why

VIA = b"lb"
"""The proxy's name in Via of answers (RFC 9110, 7.6.3)."""


def chunk(data: bytes) -> bytes:
    """One chunk of the chunked coding (RFC 9112, 7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def last_chunk(trailers: bytes) -> bytes:
    """The end of a chunked body; each line of `trailers` begins with CRLF."""
    return b"0%b\r\n\r\n" % trailers


@lru_cache(maxsize=2)
def date_at(second: int) -> bytes:
    """A line that begins with CRLF."""
    return b"\r\nDate: " + formatdate(second, usegmt=True).encode()


def date() -> bytes:
    """The line for an answer that lacks it (RFC 9110, 6.6.1)."""
    return date_at(int(time.time()))


@dataclass(frozen=True, slots=True)
class Answer:
    """One of the proxy's own."""

    status: int
    body: bytes
    fields: bytes = b"\r\nContent-Type: application/json"
    """Lines that begin with CRLF."""

    def written(self, *, keep_alive: bool, minor: int = 1, head_only: bool = False) -> bytes:
        """For a client of HTTP/1.`minor`."""
        if not keep_alive:
            connection = b"\r\nConnection: close"
        else:
            connection = b"" if minor else b"\r\nConnection: keep-alive"
        return b"HTTP/1.1 %d %b%b%b\r\nContent-Length: %d%b\r\n\r\n%b" % (
            self.status,
            HTTPStatus(self.status).phrase.encode(),
            date(),
            self.fields,
            len(self.body),
            connection,
            b"" if head_only else self.body,
        )


def error(status: int, code: str, message: str) -> Answer:
    """An answer of the proxy's own: a code for programs, a sentence for people."""
    return Answer(status, json.dumps({"error": code, "message": message}).encode() + b"\n")


def _come_again(code: str, message: str) -> Answer:
    """The same for trouble that passes: its client is told to wait (RFC 9110, 10.2.3)."""
    answer = error(503, code, message)
    return replace(answer, fields=answer.fields + b"\r\nRetry-After: %d" % RETRY_AFTER)


RETRY_AFTER = 1
"""Seconds. Clients that hear it one after the other come back one after the other."""
REFUSALS: dict[Why | Outcome, Answer] = {
    why: _come_again(why.value, message) if status == 503 else error(status, why.value, message)
    for why, status, message in (
        (Why.NO_BACKEND, 503, "no backend is healthy"),
        (Why.QUEUE_FULL, 503, "every backend is at its limit and the line is full"),
        (Why.QUEUE_TIMEOUT, 503, "every backend stayed at its limit for too long"),
        (Why.OVERLOADED, 503, "the proxy has more to do than it can"),
        (Outcome.CONNECT, 502, "no connection to the backend could be made"),
        (Outcome.RESET, 502, "the backend broke off before it answered"),
        (Outcome.SERVER_ERROR, 502, "the backend did not answer in HTTP"),
        (Outcome.TIMEOUT, 504, "the backend did not answer in time"),
        (Outcome.CANCELLED, 503, "the proxy could not reach the backend for trouble of its own"),
    )
}
"""What a call is told that the balancer refuses. Made once: in a crowd most hear one of them."""
TOO_LATE = error(504, "too_late", "the request took longer than any may")
"""What a request is told that runs into timeouts.total."""
LOOP = error(508, "loop", "the request has come back to where it was")
ALLOWED = Answer(200, b"", b"\r\nAllow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE")
"""What OPTIONS of this hop brings (RFC 9110, 9.3.7); other methods pass as well."""

_SENSITIVE = re.compile(rb"auth|cookie|token|secret|session|key", re.IGNORECASE)


def echo(line: bytes, block: bytes) -> Answer:
    """What TRACE of this hop brings: the head as it came, less what is secret (RFC 9110, 9.3.8)."""
    kept = b"\r\n".join(
        field
        for field in block.split(b"\r\n")
        if _SENSITIVE.search(field.partition(b":")[0]) is None
    )
    return Answer(200, line + b"\r\n" + kept, b"\r\nContent-Type: message/http")
