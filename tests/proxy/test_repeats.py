"""Heads like the last one are read once: that is never a difference."""

from __future__ import annotations

from random import Random

from lb.proxy.http.response import ResponseReader
from tests.proxy.test_framing import joined, requests, responses


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
