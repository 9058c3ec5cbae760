"""Where messages end: the chunked coding, lengths, and readers that are fed in any pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.config import Limits
from lb.proxy.http.framing import BadFraming, ChunkedBody, TooLarge, passable
from lb.proxy.http.hop import Intermediary
from lb.proxy.http.request import RequestReader
from lb.proxy.http.response import Response, ResponseReader
from lb.proxy.http.rules import Malformed, Rejected


def taken(
    data: bytes, pieces: int, limit: int = 1000, most: int = 100
) -> tuple[bytes, bytes, ChunkedBody]:
    """Content and rest of a body that comes `pieces` bytes at a time."""
    body, content, rest = ChunkedBody(limit, most), b"", b""
    for i in range(0, len(data), pieces):
        if body.ended:
            rest += data[i : i + pieces]
            continue
        more, rest = body.take(data[i : i + pieces])
        content += more
    return content, rest, body


GOOD = {
    b"0\r\n\r\n": b"",
    b"000\r\n\r\n": b"",
    b"5\r\nhello\r\n0\r\n\r\n": b"hello",
    b"00005\r\nhello\r\n0\r\n\r\n": b"hello",
    b'a\r\n0123456789\r\nA;x="y"\r\n0123456789\r\n0;z\r\n\r\n': b"0123456789" * 2,
    b"1\r\n\r\r\n2\r\n\r\n\r\n0\r\n\r\n": b"\r\r\n",
    b"1\r\nx\r\n0\r\nA: b\r\nC:d\r\n\r\n": b"x",
}


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("coded", GOOD)
def test_chunks(coded: bytes, size: int) -> None:
    content, rest, body = taken(coded + b"NEXT", size)
    assert (content, rest, body.ended) == (GOOD[coded], b"NEXT", True)
    assert body.trailers == (b"\r\nA: b\r\nC:d" if b"A: b" in coded else b"")


@pytest.mark.parametrize("size", [1, 2, 5, 1000])
@pytest.mark.parametrize(
    "coded",
    [
        b"\r\n\r\n",
        b"x\r\n",
        b"0x5\r\nhello",
        b"+5\r\nhello",
        b" 5\r\nhello",
        b"5 \r\nhello",
        b"5\nhello",
        b"5\rhello",
        b"5;a\0\r\nhello",
        b"5;a\nb\r\nhello",
        b"5\r\nhello0\r\n\r\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"5\r\nhello\rX0\r\n\r\n",
        b"1" * 16 + b"\r\n",
        b"0\r\nA : b\r\n\r\n",
        b"0\r\n A: b\r\n\r\n",
        b"0\r\nno colon\r\n\r\n",
        b"0\r\nA: b\0\r\n\r\n",
        b"0\r\n\n",
        b"0\r\nA: b\n",
    ],
)
def test_what_is_not_chunked(coded: bytes, size: int) -> None:
    with pytest.raises(BadFraming):
        taken(coded, size)


@pytest.mark.parametrize("size", [1, 50, 10_000])
@pytest.mark.parametrize(
    "coded",
    [
        b"5;" + b"x" * 200,
        b"1;xxxxxxxxx\r\ny\r\n" * 11,
        b"0\r\nA: " + b"x" * 200,
        b"0\r\nA: " + b"x" * 200 + b"\r\n\r\n",
    ],
)
def test_overhead_is_bounded(coded: bytes, size: int) -> None:
    with pytest.raises(TooLarge):
        taken(coded, size, limit=100)


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=8), st.integers(1, 60))
def test_any_content_in_any_pieces(chunks: list[bytes], size: int) -> None:
    coded = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    content, rest, body = taken(coded + b"behind", size)
    assert (content, rest, body.ended) == (b"".join(chunks), b"behind", True)


def test_trailers_that_may_not_be_passed_on() -> None:
    given = b"\r\nX-Sum: 1\r\nContent-Length: 5\r\ntransfer-encoding: x\r\nX-Mine:2\r\nHOST: x"
    given += b"\r\nX_Forwarded_For: 1\r\ncontent.length: 5\r\nForwarded: for=1"
    assert passable(given, frozenset({b"x-mine"})) == b"\r\nX-Sum: 1"


# --- readers

REQUESTS = (
    b"\r\n\r\nGET /1 HTTP/1.1\r\nHost: a\r\nX-A:b \r\n\r\n"
    b"POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
    b"PUT /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3;x\r\nabc\r\n0\r\nT: 1\r\n\r\n"
    b"GET /4 HTTP/1.0\r\n\r\n"
)


US = Intermediary(Limits())


def requests(data: bytes, cuts: list[int], limits: Limits | None = None) -> list[object]:
    """What a reader makes of `data` cut at these places."""
    reader = RequestReader(b"1.2.3.4", Intermediary(limits) if limits else US)
    seen: list[object] = []
    reading = False
    for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        reader.receive(data[start:end])
        while reader.rest:
            if reading:
                seen.append(reader.body())
                if not reader.ended:
                    break
                reading = False
                seen.append(("end", reader.trailers(frozenset())))
            else:
                request = reader.next()
                if request is None:
                    break
                seen.append((request.head, request.keep_alive, request.lines))
                reading = not reader.ended
    return joined(seen)


def joined(seen: list[object]) -> list[object]:
    """Neighbouring pieces of a body as one."""
    out: list[object] = []
    for one in seen:
        if isinstance(one, bytes) and out and isinstance(out[-1], bytes):
            out[-1] += one
        else:
            out.append(one)
    return out


def test_requests_cut_anywhere() -> None:
    whole = requests(REQUESTS, [])
    assert len(whole) == 8  # four heads, two bodies, two ends
    assert b"\r\nX-A: b\r\n" in whole[0][0]  # type: ignore[index]
    assert whole[2:4] == [b"hello", ("end", b"")]
    assert whole[5:7] == [b"abc", ("end", b"\r\nT: 1")]
    for cut in range(1, len(REQUESTS)):
        assert requests(REQUESTS, [cut]) == whole
    assert requests(REQUESTS, list(range(1, len(REQUESTS)))) == whole


def head(lines: bytes = b"", line: bytes = b"GET / HTTP/1.1") -> bytes:
    return line + b"\r\nHost: a\r\n" + lines + b"\r\n"


CHUNKED = b"Transfer-Encoding: chunked\r\n"
SMALL = Limits(request_line=64, header_bytes=256, header_count=8, body=10)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (head(line=b"GET /" + b"a" * 50 + b" HTTP/1.1"), None),
        (head(line=b"GET /" + b"a" * 51 + b" HTTP/1.1"), 414),
        (b"GET /" + b"a" * 100, 414),
        (head(b"X: " + b"a" * 200 + b"\r\n"), None),
        (head(b"X: " + b"a" * 256 + b"\r\n"), 431),
        (head(b"X: " + b"a" * 400)[:-2], 431),
        (head(b"X: a\r\n" * 7), None),
        (head(b"X: a\r\n" * 8), 431),
        (head(b"Content-Length: 10\r\n") + b"a" * 10, None),
        (head(b"Content-Length: 11\r\n"), 413),
        (head(b"Transfer-Encoding: chunked\r\n") + b"a\r\n0123456789\r\n0\r\n\r\n", None),
        (head(b"Transfer-Encoding: chunked\r\n") + b"b\r\n0123456789a\r\n0\r\n\r\n", 413),
        (head(b"Transfer-Encoding: chunked\r\n") + b"0\r\nT: " + b"a" * 300, 431),
        (head(CHUNKED) + b"0\r\n" + b"T: a\r\n" * 8 + b"\r\n", None),
        (head(CHUNKED) + b"0\r\n" + b"T: a\r\n" * 9 + b"\r\n", 431),
        (head(CHUNKED) + b"0\r\n" + b"T: a\r\n" * 9, 431),
        (head(CHUNKED) + b"0\r\n\n", 400),
        (head(CHUNKED) + b"0\r\nT: a\n", 400),
        (b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n", 501),
        (b"\x16\x03\x01", 400),
        (b"GET / HTTP/1.1\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\n", 400),
        (b"GET / HTTP/2.0\r\n", 505),
    ],
)
def test_limits_of_a_request(text: bytes, status: int | None) -> None:
    for cuts in ([], list(range(1, len(text)))):
        if status is None:
            assert requests(text, cuts, SMALL)
        else:
            with pytest.raises(Rejected) as caught:
                requests(text, cuts, SMALL)
            assert caught.value.status == status


def responses(data: bytes, method: bytes, cuts: list[int]) -> list[object]:
    reader = ResponseReader(1000, 5)
    seen: list[object] = []
    current: Response | None = None
    for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        reader.receive(data[start:end])
        while reader.rest:
            if current is None:
                current = reader.next(method)
                if current is None:
                    break
                seen.append((current.text, current.lines, current.framing, current.keep_alive))
            if not reader.ended:
                seen.append(reader.body())
            if reader.ended:
                current = None
            elif not reader.rest:
                break
    return joined([one for one in seen if one != b""])


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("method", "text"),
    [
        (b"GET", OK + b"Content-Length: 5\r\nX-A:  b\r\n\r\nhello"),
        (b"GET", OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nT: 1\r\n\r\n"),
        (b"GET", OK + b"Connection: close\r\n\r\nuntil the end"),
        (b"HEAD", OK + b"Content-Length: 5\r\n\r\n"),
        (b"GET", b"HTTP/1.1 100\r\n\r\nHTTP/1.0 304 \r\nContent-Length: 5\r\n\r\n"),
    ],
)
def test_responses_cut_anywhere(method: bytes, text: bytes) -> None:
    whole = responses(text, method, [])
    assert whole
    for cut in range(1, len(text)):
        assert responses(text, method, [cut]) == whole
    assert responses(text, method, list(range(1, len(text)))) == whole


@pytest.mark.parametrize(
    "text",
    [
        b"SSH-2.0\r\n",
        b"HTTP/1.1 200 OK\n",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 099 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 200 a\0b\r\n\r\n",
        OK + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\n",
        OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        OK + b"Content-Length: 5, 5\r\n\r\n",
        OK + b"Content-Length:\r\n\r\n",
        OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        OK + b"X : a\r\n\r\n",
        OK + b"X: a\r\n b\r\n\r\n",
        OK + b"X: a\r\n" * 6 + b"\r\n",
        OK + b"X: " + b"a" * 1000,
    ],
)
def test_what_is_no_response(text: bytes) -> None:
    for cuts in ([], list(range(1, len(text)))):
        with pytest.raises(Malformed):
            responses(text, b"GET", cuts)
