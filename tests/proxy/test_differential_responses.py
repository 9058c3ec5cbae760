"""Generated responses, through the proxy and read by h11."""

from __future__ import annotations

import json
from collections import Counter

import h11
from hypothesis import given
from hypothesis import strategies as st

from tests.proxy.doubles import get
from tests.proxy.test_differential import (
    BODIES,
    EXAMPLES,
    LINES,
    Answering,
    Bench,
    Parsed,
    damaged,
    fields_of,
    framed,
)


@st.composite
def responses(draw: st.DrawFn) -> bytes:
    status = draw(st.sampled_from([b"200 OK", b"200", b"404 Not Found", b"204 No", b"304 Same"]))
    version = draw(st.sampled_from([b"1.1", b"1.1", b"1.0", b"1.7"]))
    lines = b"".join(line + b"\r\n" for line in draw(LINES))
    line, body = b"", b""
    if not status.startswith((b"204", b"304")):
        framing = draw(st.sampled_from(["length", "chunked", "close"]))
        body = draw(BODIES)
        if framing != "close":
            line, body = framed(body, framing)
    interim = draw(st.sampled_from([b"", b"", b"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\n"]))
    return interim + b"HTTP/%b %b\r\n%b%b\r\n" % (version, status, lines, line) + body


def answer_in(text: bytes, whole: bool) -> Parsed | None:
    """The final response to a GET in `text`, or None where it breaks the rules or is cut short."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("host", "a")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(text)
    if whole:
        connection.receive_data(b"")
    parsed: Parsed | None = None
    while True:
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError:
            return None
        if isinstance(event, h11.Response):
            parsed = Parsed((b"%d" % event.status_code,), fields_of(event))
        elif isinstance(event, h11.Data):
            assert parsed is not None
            parsed.body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            return parsed
        elif not isinstance(event, h11.InformationalResponse):
            return None


def test_responses() -> None:
    backend = Answering()
    bench = Bench(backend)
    counts: Counter[str] = Counter()

    @EXAMPLES
    @given(damaged(responses()))
    def check(text: bytes) -> None:
        backend.text = text
        # Bytes that come late behind an answer would be taken for the next one's, by anybody.
        bench.proxy.backends[0].site.close()
        got, whole = bench.exchange(get("/", "Connection: close"))
        seen = answer_in(got, whole)
        if seen is None:
            assert not whole, (text, got)  # what cannot be completed ends with a reset
            counts["cut"] += 1
        elif seen.start == (b"502",) and b'"error"' in seen.body:
            assert json.loads(seen.body)["error"] in ("server_error", "reset")
            counts["refused"] += 1
        else:
            expected = answer_in(text, whole=True)
            assert expected is not None
            if not any(name == b"date" for name, _ in expected.fields):
                dates = [pair for pair in seen.fields if pair[0] == b"date"]
                assert seen.fields.pop(*dates) == 1  # ours
            assert seen == expected, text
            counts["passed"] += 1

    try:
        check()
    finally:
        bench.close()
    assert counts["passed"] > 300, counts
    assert counts["refused"] + counts["cut"] > 300, counts
