"""Heads behind their first line: most are right or nearly so."""

from __future__ import annotations

from random import Random

LINES = (
    *(b"Host: a:8080", b"host:b", b"HOST:c", b"Date: Sat, 28 Nov 2026 21:00:00 GMT", b"date:"),
    *(
        b"Connection: close",
        b"Connection:\tX-A, te \t",
        b"connection: keep-alive",
        b"Keep-Alive: 5",
    ),
    *(b"Content-Length: 5", b"content-length:5 ", b"Content_Length: 5", b"Content-Length:"),
    *(
        b"Transfer-Encoding: chunked",
        b"transfer.encoding: x",
        b"Upgrade: websocket",
        b"TE:trailers",
    ),
    *(
        b"Trailer: X-T",
        b"Via: 1.1 a, 1.0 b",
        b"VIA: 1.1 c",
        b"Max-Forwards: 3",
        b"Forwarded: for=1",
    ),
    *(b"X-Forwarded-For: 1.2.3.4", b"x-forwarded-proto:http", b"X_Forwarded_Host: a"),
    *(
        b"X-Backend-Server: b1",
        b"X-LB-Load: 0.5",
        b"endpoint-load-metrics: TEXT cpu=1",
        b"HTTP2-Settings: x",
    ),
    *(b"X-A: 1", b"X-B:2", b"X-C:  two  words \t", b"X-D:", b"X-E: ", b"X-F: \t", b"X-G: a: b:  c"),
    *(b"!#$%&'*+-.^_`|~: \xe9\xff", b"accept: text/html,*/*;q=0.8", b"Cookie: a=b; c=d", b"a:b"),
    *(b"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/124.0", b"0: 9"),
    *(
        b"Proxy-Connection: x",
        b"X-Extra-Field-00: some value of field",
        b"X-" + b"long" * 30 + b": 1",
    ),
)
ODD = (
    *(
        b"\r\n",
        b"\r",
        b"\n",
        b"\0",
        b" ",
        b"\t",
        b":",
        b": ",
        b",",
        b"\x7f",
        b"\x80",
        b"\x1f",
        b"\x0b",
    ),
    *(
        b"\r\n\r\n",
        b"\r\n ",
        b"\r\n:",
        b"\r\n: ",
        b" \r\n",
        b"\r\r\n",
        b"\n\n",
        b"-",
        b"_",
        b"a",
        b"A",
    ),
    *(
        b"Host",
        b"te:",
        b"\r\nTE: x\r\n",
        b"\r\nHost:",
        b"(",
        b"@",
        b"[",
        b"{",
        b"/",
        b'"',
        b"\\",
        b"\xff",
    ),
)


def head(rng: Random) -> bytes:
    """Lines, each ended, and an empty one; two in three are damaged in up to three places."""
    random = rng.random
    lines = rng.choices(LINES, k=int(7 * random()))
    text = b"\r\n".join([*lines, b"\r\n"]) if lines else b"\r\n"
    for _ in range(int(4 * random()) if random() < 0.85 else 0):
        i = int(random() * (len(text) + 1))
        chance = random()
        if chance < 0.5:
            odd = ODD[int(random() * len(ODD))]
            text = text[:i] + odd + text[i + (chance < 0.25) :]
        elif chance < 0.6:
            text = text[:i] + bytes((int(256 * random()),)) + text[i + 1 :]
        elif chance < 0.8:
            text = text[:i] + text[i + 1 + int(4 * random()) :]
        elif chance < 0.98:
            j = i + int(12 * random())
            text = text[:j] + text[i:j] + text[j:]
        else:
            text = text[:i]
    return text
