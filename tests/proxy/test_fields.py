"""Lines that are remembered: never more than a bound, never a secret, and never a difference."""

from __future__ import annotations

from random import Random

import pytest

from lb.proxy.http import fields, request, response
from lb.proxy.http.fields import FieldLines
from lb.proxy.http.response import ResponseReader
from lb.proxy.http.rules import REQUEST_RULES, Field, Malformed, Rejected
from tests.proxy.test_framing import joined, requests, responses


def test_a_line_is_written_with_one_space() -> None:
    lines = FieldLines(REQUEST_RULES, lambda block: None)
    assert lines.learn(b"X-A:\t b c ")[1] == b"\r\nX-A: b c"
    assert b"X-A:\t b c " not in lines.passing  # it may never come again
    lines.learn(b"X-A:\t b c ")
    assert lines.passing[b"X-A:\t b c "] == b"\r\nX-A: b c"
    assert lines.learn(b"hOST:x") == (Field.HOST, b"", b"x")  # it is written first
    lines.learn(b"hOST:x")
    assert lines.special[b"hOST:x"][2] == b"x"


@pytest.mark.parametrize(
    "line", [b"Authorization: Basic x", b"cookie: a=b", b"Set-Cookie: a", b"X-Long: " + b"a" * 200]
)
def test_neither_secrets_nor_long_lines_are_kept(line: bytes) -> None:
    lines = FieldLines(REQUEST_RULES, lambda block: None)
    for _ in range(3):
        assert lines.learn(line)[1] == b"\r\n" + line
    assert not lines.passing
    assert not lines._once


def test_what_is_kept_is_bounded() -> None:
    lines = FieldLines(REQUEST_RULES, lambda block: None)
    for number in range(3 * fields.LINES):
        for _ in range(2):
            lines.learn(b"X-A: %d" % number)
            lines.learn(b"Content-Length: %d" % number)
        lines.learn(b"X-Once: %d" % number)
        lines.learn(b"X-%d: 1" % number)
        assert len(lines._names) <= fields.LINES
        assert len(lines._once) <= fields.LINES
        assert len(lines.passing) + len(lines.special) <= fields.LINES + 1


def forget() -> None:
    for known in (request.FIELDS, request.TRUSTED_FIELDS, response.FIELDS):
        known.forget()


PARTS = (
    *(b"Host: a", b"Host: b", b"X-A: 1", b"X-A:1", b" X-A: 1", b"X-A : 1", b"X-A", b"X-\0: 1"),
    *(b"Connection: X-A", b"Connection: close", b"Content-Length: 0", b"Content-Length: 0x"),
    *(b"Transfer-Encoding: chunked", b"TE: trailers", b"Upgrade: x", b"", b"X-A: a\rb", b"x: \n"),
)


TARGETS = bytes(range(256)) + b"/:?[]@.*" * 20


def test_memory_changes_nothing() -> None:
    """The same messages to readers that remember and to readers that do not."""
    rng = Random(1)
    verdicts = set()
    for _ in range(6000):
        lines = rng.choices(PARTS, k=rng.randrange(5))
        line = rng.choice([b"GET / HTTP/1.1", b"POST /x HTTP/1.0", b"BREW / HTTP/1.1"])
        if rng.random() < 0.5:
            target = bytes(rng.choices(TARGETS, k=rng.randrange(1, 5)))
            line = b"GET " + rng.choice((b"/", b"", b"http://a", b"*")) + target + b" HTTP/1.1"
        given = b"\r\n".join((line, b"Host: a", *lines)) + b"\r\n\r\n"
        answer = b"\r\n".join((b"HTTP/1.1 200 OK", *lines)) + b"\r\n\r\n"
        for _ in range(2):
            verdict(given, answer)
        remembered = verdict(given, answer)
        forget()
        assert verdict(given, answer) == remembered
        verdicts.add(str(remembered[0])[:8])
    assert verdicts >= {"[(b'GET ", "[(b'POST", "[(b'BREW", "400"}


def test_a_head_like_the_last_one_is_no_shortcut_to_another() -> None:
    """Several requests to one reader, and each to a reader of its own."""
    rng = Random(2)
    blocks = [
        b"Host: a\r\n",
        b"Host: b\r\nX-A: 1\r\n",
        b"Host: a\r\nConnection: X-A\r\nX-A: 1\r\nTE: trailers\r\n",
        b"Host: a\r\nConnection: keep-alive\r\n",
        b"Host: a\r\nContent-Length: 0\r\n",
        b"Host: a\r\nContent-Length: 30\r\n",
        b"Host: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n",
    ]
    lines = [
        b"GET / HTTP/1.1",
        b"HEAD /x HTTP/1.0",
        b"POST http://c/ HTTP/1.1",
        b"OPTIONS * HTTP/1.1",
    ]
    for _ in range(500):
        picked = rng.choices(blocks, k=2)
        texts = [
            b"%b\r\n%b\r\n" % (rng.choice(lines), block) + b"x" * 30 * (b": 30" in block)
            for block in rng.choices(picked, k=6)
        ]
        apart = [one for text in texts for one in requests(text, [])]
        assert requests(b"".join(texts), []) == joined(apart)


def test_an_answer_like_the_last_one_is_no_shortcut_to_another() -> None:
    rng = Random(3)
    texts = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.0 304 No\r\nX-A: 1\r\nConnection: X-A\r\n\r\n",
    ]
    for _ in range(200):
        picked = rng.choices(rng.choices(texts, k=2), k=6)
        apart = [one for text in picked for one in responses(text, b"GET", [])]
        assert responses(b"".join(picked), b"GET", []) == apart


def test_an_answer_to_head_is_not_one_to_get() -> None:
    reader = ResponseReader(1000, 10)
    text = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
    for method, ended in ((b"HEAD", True), (b"GET", False), (b"GET", False), (b"HEAD", True)):
        reader.receive(text)
        assert reader.next(method) is not None
        assert reader.ended is ended
        if not ended:
            reader.receive(b"hello")
            assert reader.body() == b"hello"


def verdict(given: bytes, answer: bytes) -> list[object]:
    """What is forwarded, or the status of the refusal: which of two faults is named may differ."""
    out: list[object] = []
    try:
        out.append(requests(given, []))
    except Rejected as rejected:
        out.append(rejected.status)
    try:
        out.append(responses(answer, b"GET", []))
    except Malformed:
        out.append(None)
    return out


@pytest.mark.parametrize(
    "name", [b"X_Forwarded_For", b"x-forwarded.for", b"Content_Length", b"H~st"]
)
def test_other_marks_make_no_other_field(name: bytes) -> None:
    """A name with marks is dropped when it is one of ours but for them, else it passes."""
    kind, text, _ = FieldLines(REQUEST_RULES, lambda block: None).learn(name + b": 1")
    assert kind == Field.PASS
    assert text == (b"\r\nH~st: 1" if name == b"H~st" else b"")
