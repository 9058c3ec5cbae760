"""What is done at once is what is done event by event: bytes, picks, counters, logs, recordings.

Two proxies hear the same from clients and backends, one of them with the common case switched off.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from lb.config import Limits
from lb.proxy.exchange.transitions import Event, Stage, transition
from lb.proxy.http.hop import Intermediary
from lb.proxy.http.request import RequestReader
from lb.proxy.http.response import ResponseReader
from lb.proxy.http.rules import Malformed, Rejected
from tests.proxy.doubles import get, ok, post
from tests.proxy.house import FILE, House
from tests.proxy.test_corpus import ANSWERS as ODD_ANSWERS
from tests.proxy.test_corpus import FORWARDED, REFUSED, REQUESTS, RESPONSES, cases, filled

WHOLE = (
    get("/a", "User-Agent: one"),
    get("/b?c=d", "User-Agent: one"),
    get("/c", "User-Agent: one", "X-Other: 1", "Cookie: who=b"),
    get("/d", method="HEAD"),
    get("/d2", f"traceparent: 00-{'a1' * 16}-{'b2' * 8}-01", "x-request-id: mine"),
    get("/e", version="1.0"),
    get("/f", "Connection: keep-alive", version="1.0"),
    get("/g", "Connection: close"),
    get("/h", "Connection: X-Taken", "X-Taken: 1", "TE: trailers"),
    get("/i", "Max-Forwards: 0", method="OPTIONS"),
    get("/j", "Via: 1.1 us"),
    get("/lb-stats-not"),
    get("/lb-health"),
    get("/k", "Connection: upgrade", "Upgrade: websocket"),
    post(b"body"),
    post(b"", "Expect: 100-continue"),
    get("/l", "Transfer-Encoding: chunked", method="PUT") + b"3\r\nabc\r\n0\r\n\r\n",
    b"\r\n" + get("/m"),
    get("/n") + get("/o") + get("/p"),
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET /q HTTP/1.1\nHost: x\n\n",
    b"GET  /r HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /s HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n",
    b"hello",
)
SAID = (
    ok(b"fine"),
    ok(b"fine", b"Date: Sat, 28 Nov 2026 21:00:00 GMT"),
    ok(b"fine", b"date: Sat, 28 Nov 2026 21:00:00 GMT", b"X-New: 1"),
    ok(b"", status=b"500 No"),
    ok(b"late", b"Date: Sat, 28 Nov 2026 21:00:00 GMT", status=b"503 Not now"),
    ok(b"fine", b"Date: x", b"Connection: close"),
    ok(b"fine", b"Date: x") + b"more",
    ok(b"fine", b"Date: x", b"X-LB-Load: in_flight=3"),
    b"HTTP/1.1 204 No Content\r\nDate: x\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\nDate: x\r\nContent-Length: 9\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 9\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nDate: x\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nDate: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nDate: x\r\n\r\nuntil I close",
    b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n" + ok(b"fine", b"Date: x"),
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: no\r\n\r\n",
    b"nonsense",
)


EXAMPLES = settings(
    max_examples=60,
    derandomize=True,
    deadline=None,
    database=None,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)


@st.composite
def steps(draw: st.DrawFn) -> list[tuple[str, int, bytes]]:
    """What is heard; some of it in two pieces."""
    heard: list[tuple[str, int, bytes]] = []
    kinds = st.sampled_from([*("client", "backend") * 6, "full", "later", "gone", "lose", "swap"])
    for kind in draw(st.lists(kinds, min_size=1, max_size=24)):
        number = draw(st.integers(0, 250) if kind == "later" else st.integers(0, 3))
        text = b""
        if kind in ("client", "backend"):
            # The common ones are common.
            texts = WHOLE if kind == "client" else SAID
            text = draw(st.one_of(st.sampled_from(texts[:3]), st.sampled_from(texts)))
            cut = draw(st.one_of(st.just(0), st.just(0), st.integers(0, len(text))))
            if cut:
                heard.append((kind, number, text[:cut]))
                text = text[cut:]
            if not text:
                continue
        heard.append((kind, number, text))
    return heard


@pytest.mark.parametrize(
    ("algorithm", "key", "more"),
    [
        ("round_robin", "client_ip", ""),
        ("least_connections", "client_ip", "[queue]\nlimit = 2"),
        ("ip_hash", "path", "[timeouts]\ntotal = '20s'\nattempt = '5s'"),
        ("sticky", "cookie:who", ""),
        ("p2c", "client_ip", "[retries]\non = ['connect', 503]"),
        ("round_robin", "client_ip", "[hedging]\nafter = '10s'"),
        ("round_robin", "client_ip", "[tracing]\ntraceparent = true"),
    ],
)
@EXAMPLES
@given(heard=steps())
def test_two_proxies_that_hear_the_same_do_the_same(
    algorithm: str, key: str, more: str, heard: list[tuple[str, int, bytes]]
) -> None:
    text = FILE.format(algorithm=algorithm, key=key, more=more)

    async def test() -> None:
        with tempfile.TemporaryDirectory() as folder:
            at_once = House(text, Path(folder), brisk=True)
            one_by_one = House(text, Path(folder), brisk=False)
            for step in heard:
                await at_once.hears(*step)
                await one_by_one.hears(*step)
                assert at_once.seen == one_by_one.seen, step
            assert await at_once.end() == await one_by_one.end()

    with patch("time.time", lambda: 1764374400.0):  # answers are dated, and a second may pass
        asyncio.run(test())


def test_the_table_has_what_is_done_at_once() -> None:
    state, acts = Stage.NEW, []
    for event in (Event.BEGIN, Event.START, Event.SENT_ON, Event.HEAD, Event.END):
        state, act = transition(event, state)
        acts.append((act, state))
    assert acts == [
        ("ask", Stage.WAITING),
        ("go", Stage.CONNECTING),
        ("send", Stage.SENT),
        ("answer", Stage.ANSWERING),
        ("finish", Stage.OVER),
    ]


# --- readers

TEXTS = [
    *WHOLE,
    *(text for group in REQUESTS for text in cases(group)),
    *(filled(case, "bytes") for case in (*REFUSED, *FORWARDED)),
]
US = Intermediary(Limits())


def told(message: Any) -> dict[str, Any]:
    """What a head came to."""
    kept = {name: getattr(message, name) for name in dir(message) if not name.startswith("__")}
    return {name: value for name, value in kept.items() if not callable(value)}


def request_of(reader: RequestReader, text: bytes, *, whole: bool) -> object:
    try:
        request = reader.whole(text) if whole else None
        if request is None:
            reader.receive(text)
            request = reader.next()
    except Rejected as rejected:
        return rejected.status, str(rejected)
    if request is None:
        return reader.rest
    return told(request), reader.ended, reader.rest


def test_a_request_is_the_same_whether_it_is_known_to_be_whole() -> None:
    for text in TEXTS:
        readers = [RequestReader(b"127.0.0.1", US) for _ in range(2)]
        for again in (text, text, get("/other"), text, get("/other")):
            at_once = request_of(readers[0], again, whole=True)
            assert at_once == request_of(readers[1], again, whole=False), again
            if not isinstance(at_once, tuple) or at_once[-1] != b"" or not readers[0].ended:
                break


def response_of(reader: ResponseReader, text: bytes, method: bytes, *, whole: bool) -> object:
    content = b""
    try:
        response = reader.whole(text, method) if whole else None
        if response is not None:
            content = text[response.size :]
        else:
            reader.receive(text)
            response = reader.next(method)
            if response is not None and not reader.ended:
                content = reader.body()
    except Malformed as malformed:
        return str(malformed)
    if response is None:
        return reader.rest
    return told(response), content, reader.ended, reader.rest


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
def test_an_answer_is_the_same_whether_it_is_known_to_be_whole(method: bytes) -> None:
    texts = [
        *SAID,
        *(text for group in RESPONSES for text in cases(group)),
        *(filled(case, "bytes") for case in ODD_ANSWERS),
    ]
    other = ok(b"other") if method == b"GET" else b"HTTP/1.1 200 OK\r\n\r\n"
    for text in texts:
        readers = [ResponseReader(65536, 100) for _ in range(2)]
        for again in (text, text, other, text, other):
            at_once = response_of(readers[0], again, method, whole=True)
            assert at_once == response_of(readers[1], again, method, whole=False), again
            if not isinstance(at_once, tuple) or at_once[-1] != b"" or not readers[0].ended:
                break
