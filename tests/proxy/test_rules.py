"""The rules of HTTP for an intermediary, as tables."""

from __future__ import annotations

import pytest

from lb.proxy.http.first_line import check_host, origin_form, request_line
from lb.proxy.http.rules import (
    Rejected,
    check_coding,
    content_length,
    forwarding,
    options,
    pairs,
    tokens,
    without,
)


@pytest.mark.parametrize(
    ("value", "members"),
    [
        (b"", []),
        (b" , ,", []),
        (b"close", [b"close"]),
        (b"Close,X-A ,\tb", [b"close", b"x-a", b"b"]),
        (b"chunked\x0b", [b"chunked\x0b"]),
    ],
)
def test_tokens(value: bytes, members: list[bytes]) -> None:
    assert tokens(value) == members


def lines(*names: bytes) -> bytes:
    return b"".join(b"\r\n%b: value" % name for name in names)


def test_named_fields_go_in_any_spelling() -> None:
    given = lines(b"X-A", b"x-b", b"X-A", b"X-C")
    assert without(given, [b"x-a", b"x-c"]) == lines(b"x-b")
    assert without(given, []) == given
    assert without(b"", [b"x-a"]) == b""


def test_pairs() -> None:
    assert list(pairs(b"\r\nA: b: c \r\nD:\te")) == [(b"A", b"b: c"), (b"D", b"e")]
    assert list(pairs(b"")) == []


@pytest.mark.parametrize(
    ("connection", "minor", "persists", "upgrades", "named"),
    [
        (b"keep-alive", 1, True, False, set()),
        (b"keep-alive", 0, True, False, set()),
        (b"close", 1, False, False, set()),
        (b"close, keep-alive", 0, False, False, set()),
        (b"X-A", 0, False, False, {b"x-a"}),
        (b"Upgrade, HTTP2-Settings, X", 1, True, True, {b"x"}),
        (b"X-Forwarded-For, x-forwarded-proto, X-Forwarded-Host", 1, True, False, set()),
        (b"Forwarded, X-Backend-Server, X-Forwarded-By, Date", 1, True, False, set()),
        (b"content-length, Transfer-Encoding, host, Via", 1, True, False, set()),
    ],
)
def test_options(
    connection: bytes, minor: int, persists: bool, upgrades: bool, named: set[bytes]
) -> None:
    assert options(connection, minor) == (persists, upgrades, named)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"GET / HTTP/1.1", (b"GET", b"/", 1)),
        (b"GET /a%20b?c={|} HTTP/1.0", (b"GET", b"/a%20b?c={|}", 0)),
        (b"GET /\xff HTTP/1.1", 400),
        (b"GET  / HTTP/1.1", 400),
        (b"GET / HTTP/1.1 ", 400),
        (b" GET / HTTP/1.1", 400),
        (b"GET /", 400),
        (b"GET /\x7f HTTP/1.1", 400),
        (b"GET /a\tb HTTP/1.1", 400),
        (b"GET /#a HTTP/1.1", 400),
        (b"GET / HTTP/1.2", (b"GET", b"/", 1)),
        (b"PROPFIND / HTTP/1.9", (b"PROPFIND", b"/", 1)),
        (b"M-X! / HTTP/1.1", (b"M-X!", b"/", 1)),
        (b"GET / HTTP/1.1\r", 400),
        (b"G(T / HTTP/1.1", 400),
        (b"GET / http/1.1", 400),
        (b"GET / HTTP/1.10", 400),
        (b"GET / HTTP/0.9", 400),
        (b"GET / HTTP/2.0", 505),
        (b"GET / HTTP/3.1", 505),
        (b"PRI * HTTP/2.0", 400),
        (b"PRI / HTTP/1.1", 400),
        (b"A" * 65 + b" / HTTP/1.1", 501),
        (b"CONNECT a:80 HTTP/1.1", 501),
    ],
)
def test_request_lines(line: bytes, expected: tuple[bytes, bytes, int] | int) -> None:
    if isinstance(expected, tuple):
        assert request_line(line) == expected
        return
    with pytest.raises(Rejected) as caught:
        request_line(line)
    assert caught.value.status == expected


@pytest.mark.parametrize(
    "host", [b"", b"a", b"a.test:80", b"a:", b"[::1]", b"[::1]:80", b"1.2.3.4:5", b"a%41_b~"]
)
def test_hosts(host: bytes) -> None:
    assert check_host(host) == host


@pytest.mark.parametrize(
    "host",
    [b"a b", b"a/b", b"a@b", b"a,b", b"a:b", b"a:80:80", b"[::1", b"a%4", b"a?", b"\xe9", b"[a/]"],
)
def test_what_is_no_host(host: bytes) -> None:
    with pytest.raises(Rejected) as caught:
        check_host(host)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        (b"GET", b"http://a.test/x?y", (b"/x?y", b"a.test")),
        (b"GET", b"HTTP://a.test:80", (b"/", b"a.test:80")),
        (b"GET", b"https://me:pw@a.test/", (b"/", b"a.test")),
        (b"GET", b"http://a.test?x=http://b.test/", (b"/?x=http://b.test/", b"a.test")),
        (b"GET", b"http://[::1]:80/x@y", (b"/x@y", b"[::1]:80")),
        (b"OPTIONS", b"*", (b"*", None)),
        (b"OPTIONS", b"http://a.test", (b"*", b"a.test")),
        (b"OPTIONS", b"http://a.test/", (b"/", b"a.test")),
        (b"GET", b"*", None),
        (b"GET", b"ftp://a.test/", None),
        (b"GET", b"http:///x", None),
        (b"GET", b"http://a b/", None),
        (b"GET", b"a.test:80", None),
        (b"GET", b"x", None),
    ],
)
def test_targets(method: bytes, target: bytes, expected: tuple[bytes, bytes | None] | None) -> None:
    if expected is not None:
        assert origin_form(method, target) == expected
        return
    with pytest.raises(Rejected) as caught:
        origin_form(method, target)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("coding", "status"),
    [
        (b"chunked", None),
        (b",Chunked", None),
        (b"gzip, chunked", 501),
        (b"gzip", 400),
        (b"chunked, gzip", 400),
        (b"chunked, chunked", 400),
        (b'"chunked"', 400),
        (b"", 400),
    ],
)
def test_codings(coding: bytes, status: int | None) -> None:
    if status is None:
        check_coding(coding, 1, has_length=False)
        return
    with pytest.raises(Rejected) as caught:
        check_coding(coding, 1, has_length=False)
    assert caught.value.status == status


@pytest.mark.parametrize(("minor", "has_length"), [(0, False), (1, True)])
def test_a_coding_is_alone_and_not_for_http_10(minor: int, has_length: bool) -> None:
    with pytest.raises(Rejected) as caught:
        check_coding(b"chunked", minor, has_length=has_length)
    assert caught.value.status == 400


@pytest.mark.parametrize("value", [b"", b"+1", b"-1", b"1 ", b"1_0", b"0x1", b"\xb2", b"9" * 19])
def test_what_is_no_length(value: bytes) -> None:
    with pytest.raises(ValueError):
        content_length(value)


def test_lengths() -> None:
    assert content_length(b"0") == 0
    assert content_length(b"007") == 7
    assert content_length(b"9" * 18) == 10**18 - 1


def test_a_trusted_chain_grows_by_one() -> None:
    given = (
        b"\r\nX-Forwarded-For: 1.1.1.1\r\nAccept: */*\r\nx-forwarded-for: 2.2.2.2"
        b"\r\nX-FORWARDED-HOST: a.test"
    )
    kept, said = forwarding(given, b"3.3.3.3", b"b.test")
    assert kept == b"\r\nAccept: */*\r\nX-FORWARDED-HOST: a.test"
    assert said == b"\r\nX-Forwarded-For: 1.1.1.1, 2.2.2.2, 3.3.3.3\r\nX-Forwarded-Proto: http"
