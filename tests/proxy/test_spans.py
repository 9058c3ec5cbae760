"""Spans for OpenTelemetry: as its conventions say, and a collector that fails hurts nobody."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import closing
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web

from lb.config import Scenario, Tracing
from lb.errors import ConfigError
from lb.proxy.context import Context
from lb.proxy.http.tracing import Trace
from lb.proxy.logs import spans as module
from lb.proxy.logs.served import Served, Tried
from lb.proxy.logs.spans import ROOM, Spans
from lb.proxy.telling import Telling
from tests.proxy.conftest import Run
from tests.proxy.doubles import answering, ok, origin, proxy, refusing

PATIENCE = 10.0
TABLE = Tracing(otlp="http://127.0.0.1:1")
TRACE, OURS, THEIRS = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "00f067aa0ba902b7"


def served(**more: Any) -> Served:
    given: dict[str, Any] = {
        "trace_id": TRACE,
        "span": OURS,
        "parent": THEIRS,
        "began": 100.0,
        "ended": 100.5,
        "method": "GET",
        "target": "/a?b=c",
        "minor": 1,
        "host": "example.test:8080",
        "client": "10.0.0.1",
        "secure": False,
        "status": 200,
        "outcome": "ok",
        "tried": (),
        **more,
    }
    return Served(**given)


def told(request: Served) -> list[Any]:
    pytest.importorskip("opentelemetry.sdk.trace")
    from opentelemetry.sdk.resources import Resource

    from lb.proxy.logs.otlp import spans_of

    return spans_of(request, Resource.create({}))


def test_a_request_and_its_attempts_are_spans_by_the_conventions() -> None:
    one = Tried("01" * 8, "10.0.0.2:80", False, 100.1, 100.2, "connect", 0)
    two = Tried("02" * 8, "[::1]:80", True, 100.2, 100.4, "ok", 200)
    server, first, second = told(served(tried=(one, two)))
    assert (server.name, server.kind.name) == ("GET", "SERVER")
    assert f"{server.context.trace_id:032x}" == TRACE
    assert f"{server.context.span_id:016x}" == OURS
    assert f"{server.parent.span_id:016x}" == THEIRS
    assert (server.start_time, server.end_time) == (100_000_000_000, 100_500_000_000)
    assert server.attributes == {
        "http.request.method": "GET",
        "url.scheme": "http",
        "url.path": "/a",
        "url.query": "b=c",
        "client.address": "10.0.0.1",
        "network.protocol.version": "1.1",
        "server.address": "example.test",
        "server.port": 8080,
        "http.response.status_code": 200,
    }
    for number, span in enumerate((first, second), 1):
        assert span.kind.name == "CLIENT"
        assert span.parent == server.context
        assert f"{span.context.span_id:016x}" == f"0{number}" * 8
    assert first.attributes == {
        "http.request.method": "GET",
        "server.address": "10.0.0.2",
        "server.port": 80,
        "url.full": "http://10.0.0.2:80/a?b=c",
        "network.protocol.version": "1.1",
        "error.type": "connect",
    }
    assert second.attributes["server.address"] == "::1"
    assert second.attributes["url.full"] == "https://[::1]:80/a?b=c"
    assert second.attributes["http.request.resend_count"] == 1
    assert [span.status.status_code.name for span in (server, first, second)] == [
        *("UNSET", "ERROR", "UNSET")
    ]


@pytest.mark.parametrize(
    ("status", "outcome", "server", "client", "why"),
    [
        (404, "ok", "UNSET", "ERROR", None),
        (503, "server_error", "ERROR", "ERROR", "503"),
        (0, "client_gone", "ERROR", "ERROR", "client_gone"),
    ],
)
def test_what_counts_as_an_error(
    status: int, outcome: str, server: str, client: str, why: str | None
) -> None:
    tried = Tried("01" * 8, "a:80", False, 100.1, 100.2, outcome, status)
    whole, part = told(served(status=status, outcome=outcome, tried=(tried,), parent=""))
    assert whole.parent is None
    assert (whole.status.status_code.name, part.status.status_code.name) == (server, client)
    assert whole.attributes.get("error.type") == part.attributes.get("error.type") == why
    assert whole.attributes.get("http.response.status_code", 0) == status


@pytest.mark.parametrize(
    ("host", "target", "secure", "url"),
    [
        ("example.test:8080", "/a?b=c", False, "http://example.test:8080/a?b=c"),
        ("example.test", "/", True, "https://example.test/"),
        ("", "/", False, "http://localhost/"),
        ("example.test", "*", False, "http://example.test"),
    ],
)
def test_a_socket_has_no_place_in_a_url(host: str, target: str, secure: bool, url: str) -> None:
    tried = Tried("01" * 8, "unix:/run/a.sock", secure, 100.1, 100.2, "ok", 200)
    _, span = told(served(host=host, target=target, tried=(tried,)))
    assert span.attributes["url.full"] == url
    assert span.attributes["server.address"] == "/run/a.sock"
    assert span.attributes["network.transport"] == "unix"
    assert "server.port" not in span.attributes


def test_names_stay_few_whatever_clients_call_their_methods() -> None:
    (span,) = told(served(method="BREW", target="/", host=""))
    assert span.name == "HTTP"
    assert span.attributes["http.request.method"] == "_OTHER"
    assert span.attributes["http.request.method_original"] == "BREW"
    assert "url.query" not in span.attributes


# --- a collector


def request(number: int = 0) -> tuple[Any, ...]:
    trace = Trace()
    trace.trace_id, trace.span, trace.sampled = TRACE, f"{number + 1:016x}", True
    transport = SimpleNamespace(get_extra_info=lambda name: None)
    exchange = SimpleNamespace(
        request=SimpleNamespace(method=b"GET", target=b"/", minor=1, host=b"x"),
        client=SimpleNamespace(peer=b"::1", transport=transport),
        arrived_at=0.0,
        status=200,
        trace=trace,
    )
    return exchange, None, 1.0, "ok", "nobody", ""


class Collector:
    """Takes what it is told, or does not."""

    def __init__(self, takes: bool = True) -> None:
        self.takes = takes
        self.heard: list[str] = []
        self.events: list[str] = []
        self.open = Event()
        self.open.set()
        self.asked = Event()

    def start(self, table: Tracing) -> Callable[[list[Served]], bool]:
        def export(batch: list[Served]) -> bool:
            self.asked.set()
            assert self.open.wait(PATIENCE)
            if self.takes:
                self.heard += [one.span for one in batch]
            return self.takes

        return export

    def log(self, level: str, event: str, **fields: object) -> None:
        self.events.append(event)


def test_all_are_told_before_the_end() -> None:
    collector = Collector()
    spans = Spans(TABLE, collector.log, collector.start)
    for number in range(1000):
        spans.ended(*request(number))
    assert spans.close(PATIENCE)
    assert collector.heard == [f"{number + 1:016x}" for number in range(1000)]
    assert spans.dropped == 0
    spans.flush()
    assert collector.events == []


def test_a_collector_that_takes_nothing_is_said_once() -> None:
    collector = Collector(takes=False)
    spans = Spans(TABLE, collector.log, collector.start)
    for number in range(300):  # at once
        spans.ended(*request(number))
    assert collector.asked.wait(PATIENCE)
    for number in range(10):
        spans.ended(*request(number))
    assert spans.close(PATIENCE)
    assert 0 < spans.dropped <= 310
    spans.flush()
    assert collector.events == ["spans are not taken", "spans dropped"]


def test_what_a_silent_collector_has_not_taken_by_the_end_is_counted() -> None:
    collector = Collector()
    collector.open.clear()
    told: list[dict[str, object]] = []
    spans = Spans(TABLE, lambda *_, **fields: told.append(fields), collector.start)
    for number in range(10):
        spans.ended(*request(number))
    assert spans.close(0.001) is False
    assert told == [{"requests": 10, "collector": TABLE.otlp}]
    collector.open.set()
    assert spans.close(PATIENCE)


def test_a_collector_that_is_silent_holds_nobody() -> None:
    collector = Collector()
    collector.open.clear()
    spans = Spans(TABLE, collector.log, collector.start)
    for number in range(2 * ROOM):
        spans.ended(*request(number))
    assert spans.dropped > ROOM // 2
    assert spans.close(0.0) is False
    collector.open.set()
    assert spans.close(PATIENCE)


def test_a_missing_extra_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    scenario = Scenario.parse("[tracing]\notlp = 'http://127.0.0.1:4318'")

    async def test() -> None:
        context = Context(scenario, lambda *_, **__: None)
        with pytest.raises(ConfigError, match=r"tracing.otlp: OpenTelemetry is not installed: pip"):
            Telling(context, lambda *_, **__: None).prepared(scenario)

    asyncio.run(test())


def test_a_live_collector_hears_of_requests_and_attempts(run: Run) -> None:
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    bodies: asyncio.Queue[bytes] = asyncio.Queue()

    async def take(asked: web.Request) -> web.Response:
        bodies.put_nowait(await asked.read())
        return web.Response(content_type="application/x-protobuf")

    async def test() -> None:
        app = web.Application()
        app.router.add_post("/v1/traces", take)
        runner = web.AppRunner(app)
        await runner.setup()
        with closing(socket.create_server(("127.0.0.1", 0))) as listener, closing(refusing()) as a:
            await web.SockSite(runner, listener).start()
            host, port = listener.getsockname()
            toml = f'[tracing]\notlp = "http://{host}:{port}"\nsample = 1.0\nservice = "front"\n'
            async with origin(answering(ok())) as b, proxy(a, b, toml=toml) as lb:
                await lb.get("/traced?x")
                found = ExportTraceServiceRequest.FromString(await bodies.get())
                (asked,) = b.requests
            await runner.cleanup()
        (resource,) = found.resource_spans
        names = {it.key: it.value.string_value for it in resource.resource.attributes}
        assert names["service.name"] == "front"
        server, failed, sent = resource.scope_spans[0].spans
        version, trace, span, flags = (asked["traceparent"] or "").split("-")
        assert (version, trace, flags) == ("00", server.trace_id.hex(), "01")
        assert span == sent.span_id.hex()
        assert sent.parent_span_id == failed.parent_span_id == server.span_id
        outcomes = [{it.key: it.value for it in one.attributes} for one in (failed, sent)]
        assert outcomes[0]["error.type"].string_value == "connect"
        assert outcomes[1]["http.response.status_code"].int_value == 200

    run(test())
