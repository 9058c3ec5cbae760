"""Requests and answers of the proxy part: what repeats, what is new each time, and a mix.

Whoever asks calls `requests(case)` once and then what it returns for every request; the backend
does the same with `answers()`. All bodies end in END and no head does, so either side knows what is
whole without parsing it.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

END = b".end\n"
SMALL = b"x" * 123 + END
HEADS = 200
"""Of the mix: three browsers to two clients of an API."""
ANSWERS = 50
SEED = 7
TARGETS = {"small": b"/small", "fields": b"/small", "unlike": b"/new"}
"""By case; those of the mix are many."""
Numbered = Callable[[int], bytes]
"""The message of a number; two numbers make two messages where anything is new each time."""

_BROWSERS = (
    (
        "(X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36",
        '"Chromium";v="{}", "Not_A Brand";v="24"',
    ),
    (
        "(Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Edg/{}.0.0.0",
        '"Microsoft Edge";v="{}", "Not?A";v="8"',
    ),
    ("(Macintosh; Intel Mac OS X 10.15; rv:{0}.0) Gecko/20100101 Firefox/{0}.0", ""),
    ("(iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 Mobile Safari/604.{}", ""),
)
"""What follows Mozilla/5.0 in User-Agent, and sec-ch-ua where it is sent; both with a version."""
_CLIENTS = (
    "okhttp/4.12.{}", "python-requests/2.{}.0", "Go-http-client/1.1", "axios/1.{}.2",
    "Java-http-client/21.0.{}", "node-fetch/1.0 (+https://github.com/bitinn/node-fetch)",
    "grpc-gateway/2.{}", "curl/8.{}.0",
)  # fmt: skip
_PAGES = ("/", "/search", "/cart", "/account/orders", "/products/running-shoes", "/help/returns")
_FILES = ("/assets/app.js", "/assets/site.css", "/img/hero.webp", "/fonts/inter.woff2")
_CALLS = ("/api/v1/orders", "/api/v1/users/me", "/api/v2/items", "/graphql", "/internal/quotes")
_LANGUAGES = ("en-GB,en;q=0.9", "de-DE,de;q=0.9,en;q=0.7", "fr-FR,fr;q=0.8", "ja,en-US;q=0.7")


def requests(case: str, host: str) -> Numbered:
    """Requests of `small`, `fields` (32 further ones), `unlike` (4 of these new) or `mix`."""
    if case == "mix":
        draw = Random(SEED)
        heads = [
            _split([(_api if number % 5 > 2 else _browser)(draw, host), ""])
            for number in range(HEADS)
        ]
        order = [draw.choice(heads) for _ in range(10 * HEADS)]
        return lambda number: _filled(order[number % len(order)], number)
    lines = [f"GET {TARGETS[case].decode()} HTTP/1.1", f"Host: {host}"]
    if case != "small":
        fields = (f"X-Extra-Field-{at:02d}: some value of field {at:02d}" for at in range(32))
        new = 4 if case == "unlike" else 0
        lines += [f"X-New-Field-{at:02d}: \0 of field {at:02d}" for at in range(new)]
        lines += list(fields)[new:]
    parts = _split([*lines, "", ""])
    return lambda number: _filled(parts, number)


def answers() -> dict[bytes, Numbered]:
    """The backend's answers by the target that was asked for; those of any other at b""."""
    draw = Random(SEED + 1)
    plain = ["HTTP/1.1 200 OK", "Date: Mon, 15 Jul 2024 10:20:30 GMT", "Server: origin"]
    plain += ["Content-Type: text/plain", f"Content-Length: {len(SMALL)}"]
    fixed = _split([*plain, "", SMALL.decode()])
    new = _split([*plain, "X-Request-Id: \0", "", SMALL.decode()])
    varied = [_split(_answer(draw)) for _ in range(ANSWERS)]
    return {
        b"/small": lambda number: _filled(fixed, number),
        b"/new": lambda number: _filled(new, number),
        b"": lambda number: _filled(varied[number % ANSWERS], number),
    }


def _split(lines: list[str]) -> list[bytes]:
    return "\r\n".join(lines).encode().split(b"\0")


def _filled(parts: list[bytes], number: int) -> bytes:
    return (b"%016x" % (number * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF)).join(parts)


def _hex(draw: Random, digits: int) -> str:
    return f"{draw.getrandbits(4 * digits):0{digits}x}"


def _browser(draw: Random, host: str) -> str:
    agent, hints = draw.choice(_BROWSERS)
    version = draw.randrange(110, 127)
    page = draw.random() < 0.4
    lines = [
        f"GET {draw.choice(_PAGES if page else _FILES)}?v=\0 HTTP/1.1",
        f"Host: {host}",
        "Connection: keep-alive",
        f"User-Agent: Mozilla/5.0 {agent.format(version)}",
    ]
    if hints:
        lines += [
            f"sec-ch-ua: {hints.format(version)}",
            "sec-ch-ua-mobile: ?0",
            f'sec-ch-ua-platform: "{draw.choice(("Linux", "Windows", "macOS"))}"',
        ]
    if page:
        lines += [
            "Upgrade-Insecure-Requests: 1",
            "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8",
            "Sec-Fetch-Site: same-origin",
            "Sec-Fetch-Mode: navigate",
            "Sec-Fetch-User: ?1",
            "Sec-Fetch-Dest: document",
        ]
    else:
        lines += ["Accept: */*", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: script"]
    lines += [
        f"Referer: https://{host}{draw.choice(_PAGES)}",
        "Accept-Encoding: gzip, deflate, br",
        f"Accept-Language: {draw.choice(_LANGUAGES)}",
    ]
    if draw.random() < 0.8:
        crumbs = [f"_ga=GA1.1.{draw.randrange(10**9)}.{draw.randrange(10**9)}"]
        crumbs += [f"session={_hex(draw, 64)}"] if draw.random() < 0.7 else []
        crumbs += [f"csrftoken={_hex(draw, 32)}", "theme=dark"] if draw.random() < 0.5 else []
        crumbs += [f"consent={_hex(draw, draw.randrange(40, 400))}"] if page else []
        lines.append(f"Cookie: {'; '.join(crumbs)}")
    if draw.random() < 0.3:
        lines.append(f'If-None-Match: W/"{_hex(draw, 16)}"')
    if draw.random() < 0.3:
        lines.append("Cache-Control: max-age=0")
    return "\r\n".join([*lines, ""])


def _api(draw: Random, host: str) -> str:
    lines = [
        f"GET {draw.choice(_CALLS)}?page={draw.randrange(20)} HTTP/1.1",
        f"host: {host}",
        f"user-agent: {draw.choice(_CLIENTS).format(draw.randrange(30))}",
        f"accept: {draw.choice(('application/json', '*/*', 'application/vnd.api+json'))}",
        f"authorization: Bearer {_hex(draw, draw.choice((40, 64, 500)))}",
        f"traceparent: 00-\0{_hex(draw, 16)}-\0-01",
    ]
    more = [
        f"tracestate: vendor={_hex(draw, 16)}",
        "x-request-id: \0",
        f"x-api-key: {_hex(draw, 32)}",
        f"x-tenant: customer-{draw.randrange(500)}",
        "content-type: application/json",
        "accept-encoding: gzip",
        f"x-client-version: 4.{draw.randrange(40)}.1",
        "cache-control: no-cache",
        f"x-b3-sampled: {draw.randrange(2)}",
        f"baggage: userId={draw.randrange(10**6)},region=eu-west-{draw.randrange(3)}",
    ]
    draw.shuffle(more)
    return "\r\n".join([*lines, *more[: draw.randrange(2, 9)], ""])


def _answer(draw: Random) -> list[str]:
    size = draw.choice((64, 200, 500, 900, 1500))
    kind = draw.choice(("application/json", "text/html; charset=utf-8", "text/css", "image/webp"))
    more = [
        f"Server: {draw.choice(('gunicorn', 'nginx', 'envoy', 'Kestrel'))}",
        f"Cache-Control: {draw.choice(('no-store', 'public, max-age=31536000', 'private'))}",
        f'ETag: W/"{_hex(draw, 16)}"',
        f"Vary: {draw.choice(('Accept-Encoding', 'Origin, Cookie'))}",
        f"Set-Cookie: session={_hex(draw, 64)}; Path=/; HttpOnly; Secure; SameSite=Lax",
        "Strict-Transport-Security: max-age=63072000; includeSubDomains",
        "X-Content-Type-Options: nosniff",
        "X-Frame-Options: DENY",
        "Content-Security-Policy: default-src 'self'; img-src 'self' data: https:",
        "Referrer-Policy: strict-origin-when-cross-origin",
        f"Server-Timing: db;dur={draw.randrange(90)}.{draw.randrange(10)}",
        "Access-Control-Allow-Origin: *",
    ]
    draw.shuffle(more)
    return [
        "HTTP/1.1 200 OK",
        f"Content-Type: {kind}",
        f"Content-Length: {size + len(END)}",
        "X-Request-Id: \0",
        f"Date: Mon, {draw.randrange(10, 29)} Jul 2024 10:{draw.randrange(10, 59)}:00 GMT",
        *more[: draw.randrange(2, 12)],
        "",
        "y" * size + END.decode(),
    ]
