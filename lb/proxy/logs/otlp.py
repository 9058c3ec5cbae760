"""Spans as OpenTelemetry has them, by its conventions for HTTP, sent to a collector over HTTP.

Imported where spans are switched on, and nowhere else: OpenTelemetry is an extra.
"""

from __future__ import annotations

import logging
import os
from urllib.parse import urlsplit

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

import lb
from lb.config import Tracing
from lb.config.values import UNIX
from lb.proxy.logs.served import Export, Served, Tried

PATH = "/v1/traces"
PATIENCE = 5.0
"""Seconds that the collector has to take what it is told at once."""
METHODS = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"}
)
"""Those that conventions know; others are _OTHER, so that names stay few."""
Attributes = dict[str, str | int]
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_SCOPE = InstrumentationScope("lb", lb.__version__)
_UNSET, _ERROR = Status(StatusCode.UNSET), Status(StatusCode.ERROR)


def exporter(table: Tracing) -> Export:
    """What tells the collector of `table`."""
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # we say it once: `Spans.flush`
    url = table.otlp.rstrip("/")
    if urlsplit(url).path in ("", "/"):
        url += PATH
    told = OTLPSpanExporter(endpoint=url, timeout=PATIENCE)
    ours = {"service.name": table.service, "service.version": lb.__version__}
    resource = Resource.create({**ours, "process.pid": os.getpid()})

    def export(batch: list[Served]) -> bool:
        spans = [span for request in batch for span in spans_of(request, resource)]
        return told.export(spans) is SpanExportResult.SUCCESS

    return export


def spans_of(request: Served, resource: Resource) -> list[ReadableSpan]:
    """That of a request, and those of the attempts at it."""
    ours = _context(request.trace_id, request.span)
    parent = _context(request.trace_id, request.parent, remote=True) if request.parent else None
    known = request.method in METHODS
    method = request.method if known else "_OTHER"
    common: Attributes = {"http.request.method": method}
    if not known:
        common["http.request.method_original"] = request.method
    found = [
        _span(
            "HTTP" if not known else method,
            (ours, parent),
            SpanKind.SERVER,
            (request.began, request.ended),
            common | _server(request),
            failed=request.status >= 500 or request.outcome != "ok",
            resource=resource,
        )
    ]
    for number, tried in enumerate(request.tried):
        found.append(
            _span(
                "HTTP" if not known else method,
                (_context(request.trace_id, tried.span), ours),
                SpanKind.CLIENT,
                (tried.began, tried.ended),
                common | _client(request, tried, number),
                failed=tried.status >= 400 or tried.outcome != "ok",
                resource=resource,
            )
        )
    return found


def _server(request: Served) -> Attributes:
    path, question, query = request.target.partition("?")
    said: Attributes = {
        "url.scheme": "https" if request.secure else "http",
        "url.path": path,
        "client.address": request.client,
        "network.protocol.version": f"1.{request.minor}",
    }
    if question:
        said["url.query"] = query
    if request.host:
        said |= _place("server", request.host)
    return said | _end(request.status, request.outcome)


def _client(request: Served, tried: Tried, number: int) -> Attributes:
    path = request.target if request.target.startswith("/") else ""  # else it is a star
    said: Attributes = {"network.protocol.version": "1.1"}
    if tried.address.startswith(UNIX):
        place = request.host or "localhost"  # a socket has no place in a URL
        said["server.address"] = tried.address.removeprefix(UNIX)
        said["network.transport"] = "unix"
    else:
        place = tried.address
        said |= _place("server", place)
    said["url.full"] = f"{'https' if tried.secure else 'http'}://{place}{path}"
    if number:
        said["http.request.resend_count"] = number
    return said | _end(tried.status, tried.outcome)


def _end(status: int, outcome: str) -> Attributes:
    said: Attributes = {}
    if status:
        said["http.response.status_code"] = status
    if outcome != "ok":
        said["error.type"] = str(status) if outcome == "server_error" and status else outcome
    return said


def _place(whose: str, address: str) -> Attributes:
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal():
        return {f"{whose}.address": address}
    return {f"{whose}.address": host.strip("[]"), f"{whose}.port": int(port)}


def _context(trace: str, span: str, remote: bool = False) -> SpanContext:
    return SpanContext(int(trace, 16), int(span, 16), is_remote=remote, trace_flags=_SAMPLED)


def _span(
    name: str,
    place: tuple[SpanContext, SpanContext | None],
    kind: SpanKind,
    times: tuple[float, float],
    attributes: Attributes,
    *,
    failed: bool,
    resource: Resource,
) -> ReadableSpan:
    began, ended = times
    return ReadableSpan(
        name,
        *place,
        resource=resource,
        attributes=attributes,
        kind=kind,
        status=_ERROR if failed else _UNSET,
        start_time=int(began * 1e9),
        end_time=int(ended * 1e9),
        instrumentation_scope=_SCOPE,
    )
