"""Beside llhttp: nothing passes here that it refuses, but for a short list."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser, HttpResponseParser

from lb.proxy.http.rules import Malformed, Rejected
from tests.fuzz.agreement import outcome, scanners
from tests.proxy.test_framing import requests, responses

PLACES = {
    b"%bX: v\r\n\r\n": b"begins a name",
    b"X%bY: v\r\n\r\n": b"is in a name",
    b"X%b: v\r\n\r\n": b"ends a name",
    b"X:%bv\r\n\r\n": b"begins a value",
    b"X: v%bw\r\n\r\n": b"is in a value",
    b"X: v%b\r\n\r\n": b"ends a value",
    b"X: v\r\n%b\r\n\r\n": b"is a line",
    b"X: v\r\n%bY: v\r\n\r\n": b"begins a line",
    b"Connection:%bv\r\n\r\n": b"begins what is said",
    b"Via: v%b\r\n\r\n": b"ends what is said",
}


@pytest.mark.parametrize("place", PLACES, ids=[words.decode() for words in PLACES.values()])
def test_every_byte_in_every_place_as_llhttp_has_it(scanner_kind: Any, place: bytes) -> None:
    """Alone, and between two that do no harm, so that no table is off by one."""
    reader = scanners(scanner_kind)[0]
    good = 0
    for byte in range(256):
        for one in (bytes([byte]), b"a%cb" % byte):
            block = place % one
            taken = llhttp(HttpRequestParser, b"GET / HTTP/1.1\r\n", block)
            assert taken == llhttp(HttpResponseParser, b"HTTP/1.1 200 OK\r\n", block)
            assert (outcome(reader, block, 9)[1:] != (9,)) == taken, block
            good += taken
    assert 0 < good < 512 or place.count(b"\r\n%b\r\n") == 1


def llhttp(parser: Any, line: bytes, block: bytes) -> bool:
    """Whether it takes the head."""
    try:
        parser(None).feed_data(line + block)
    except HttpParserUpgrade:
        return True  # it stops behind the head, which is all there is
    except HttpParserError:
        return False
    return True


def ours(text: bytes, read: Any) -> bool:
    """Whether a reader takes the message."""
    try:
        read(text)
    except (Rejected, Malformed):
        return False
    return True


FRAMING = (
    *(b"Content-Length: 0", b"Content-Length:00\t", b"Content-Length:", b"Content-Length: 0, 0"),
    *(b"Content-Length: +0", b"Content-Length: 0x0", b"Content-Length: 18446744073709551616"),
    *(b"Transfer-Encoding: chunked", b"Transfer-Encoding: Chunked ", b"Transfer-Encoding: gzip"),
    *(b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: chunked, gzip", b"X: 1", b"X : 1"),
    *(b"Transfer-Encoding: xchunked", b"Transfer-Encoding: chunked;a=b", b"Connection: upgrade"),
    *(b"Upgrade: websocket", b"Connection: close", b"Upgrade:", b"TE: trailers", b"Trailer: X"),
    *(b"Proxy-Connection: x", b"Transfer-Encoding", b"Transfer_Encoding: chunked", b"X-A:\0"),
)


def test_nothing_is_taken_that_llhttp_refuses() -> None:
    """But for lists with empty members and blanks around, which the next test has."""
    rng = Random(5)
    taken = 0
    for _ in range(20_000):
        lines = [b"Host: a", *rng.choices(FRAMING, k=rng.randrange(1, 4))]
        block = b"\r\n".join([*lines, b"\r\n"])
        for parser, line, read in (
            (HttpRequestParser, b"POST / HTTP/1.1\r\n", lambda text: requests(text, [])),
            (HttpResponseParser, b"HTTP/1.1 200 OK\r\n", lambda text: responses(text, b"GET", [])),
        ):
            if ours(line + block, read):
                assert llhttp(parser, line, block), block
                taken += 1
    assert taken > 5_000


@pytest.mark.parametrize(
    ("coding", "why"),
    [
        (b"Transfer-Encoding: chunked\t", "RFC 9112, 5: blanks behind a value are none of it"),
        (b"Transfer-Encoding: chunked,", "RFC 9110, 5.6.1: empty members are ignored"),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding:", "RFC 9110, 5.3 and 5.6.1"),
        (b"Transfer-Encoding:\r\nTransfer-Encoding: chunked", "RFC 9110, 5.3 and 5.6.1"),
    ],
)
def test_what_is_taken_though_llhttp_refuses_it(coding: bytes, why: str) -> None:
    """Whoever comes behind us is told of the coding anew."""
    given_head = b"POST / HTTP/1.1\r\nHost: a\r\n" + coding + b"\r\n\r\n"
    assert not llhttp(HttpRequestParser, b"", given_head)
    (sent, *_), *_ = requests(given_head + b"0\r\n\r\n", [])
    assert sent.count(b"\r\nTransfer-Encoding: chunked\r\n") == 1
    assert sent.count(b"Transfer-Encoding") == 1
