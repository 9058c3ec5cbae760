"""Tracing: what tells a request apart on its way through several services, and who hears of it."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

from lb.config.values import Share, Table

OURS = frozenset(
    {
        *("host", "connection", "content-length", "transfer-encoding", "te", "trailer", "upgrade"),
        *("via", "date", "cookie", "authorization", "expect", "forwarded", "x-forwarded-for"),
        *("x-forwarded-proto", "x-forwarded-host", "x-forwarded-by", "x-backend-server"),
        *("traceparent", "tracestate", "max-forwards", "content-type", "keep-alive"),
    }
)
"""Fields that mean something else."""
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def field_name(text: str) -> str:
    """What an id may stand in, or nothing. Raises ValueError."""
    if text and not _TOKEN.fullmatch(text):
        raise ValueError(f'{text!r} is no name of a header field, such as "X-Request-ID"')
    if text.lower() in OURS:
        raise ValueError(f'{text} means something else; take another field, such as "X-Request-ID"')
    return text


def collector(text: str) -> str:
    """A URL, or nothing. Raises ValueError."""
    try:
        parts = urlsplit(text)
        right = not text or (parts.scheme in ("http", "https") and bool(parts.hostname))
    except ValueError:
        right = False
    if not right:
        raise ValueError(f'{text!r} is no URL, such as "http://127.0.0.1:4318"')
    return text


class Tracing(Table):
    """Ids for requests, and spans for OpenTelemetry. All off unless given."""

    request_id: Annotated[str, AfterValidator(field_name)] = ""
    """The field that carries an id, such as "X-Request-ID". What a client gives is passed on if it
    is at most 128 letters, digits and -._~+/=:@ long; else another one is made."""
    traceparent: bool = False
    """Whether W3C's traceparent is passed on, or made where none came, or a malformed one."""
    otlp: Annotated[str, AfterValidator(collector)] = ""
    """The OpenTelemetry collector that hears of requests and attempts, over HTTP:
    "http://127.0.0.1:4318". It needs `pip install lb-twin[otel]`, and implies traceparent."""
    sample: Share = 0.01
    """Of the requests that come without a traceparent; one that has one says so itself."""
    service: str = "lb"
    """What the collector calls us."""

    @property
    def traces(self) -> bool:
        """Whether requests have a traceparent."""
        return self.traceparent or bool(self.otlp)
