"""What strategies that hash see of a request."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from lb.config import Scenario
from lb.proxy.http.keys import key_of

PEER, HOST, TARGET = b"192.0.2.7", b"Shop.example", b"/basket/7?x=1&y=/"
TRUSTED = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]


def fields(*pairs: tuple[bytes, bytes]) -> bytes:
    return b"".join(b"\r\n%b: %b" % pair for pair in pairs)


HEAD = fields(
    (b"Accept", b"*/*"),
    (b"X-LB-Key", b"42"),
    (b"cookie", b"theme=dark; Session=no; session=a=b"),
    (b"X-Many", b"one"),
    (b"x-many", b"two"),
    (b"Cookie", b"late=1"),
)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("client_ip", PEER),
        ("path", b"/basket/7"),
        ("uri", TARGET),
        ("header:X-LB-Key", b"42"),
        ("header:x-lb-key", b"42"),
        ("header:X-Many", b"one, two"),
        ("header:host", b"shop.example"),
        ("header:X-Absent", PEER),
        ("cookie:session", b"a=b"),
        ("cookie:Session", b"no"),
        ("cookie:late", b"1"),
        ("cookie:absent", PEER),
    ],
)
def test_each_key_reads_its_part(key: str, expected: bytes) -> None:
    assert Scenario.parse(f'key = "{key}"').key == key
    assert key_of(key)(PEER, TARGET, HOST, HEAD) == expected


@pytest.mark.parametrize(
    ("target", "path"), [(b"/", b"/"), (b"/?", b"/"), (b"/a%3Fb?c?d", b"/a%3Fb"), (b"*", b"*")]
)
def test_the_path_ends_at_the_query(target: bytes, path: bytes) -> None:
    assert key_of("path")(PEER, target, HOST, b"") == path


@pytest.mark.parametrize(
    "cookie", [b"", b";", b"=", b"=session", b"session", b"session=", b"a; ;b"]
)
def test_a_cookie_that_is_none_counts_as_absent(cookie: bytes) -> None:
    assert key_of("cookie:session")(PEER, TARGET, HOST, fields((b"Cookie", cookie))) == PEER


@pytest.mark.parametrize(
    ("peer", "chain", "client"),
    [
        (PEER, [], PEER),
        (PEER, [b"203.0.113.9"], PEER),  # not a proxy of ours: whatever it says
        (b"10.0.0.1", [], b"10.0.0.1"),
        (b"10.0.0.1", [b"203.0.113.9"], b"203.0.113.9"),
        (b"10.0.0.1", [b"6.6.6.6, 203.0.113.9, 10.9.9.9"], b"203.0.113.9"),  # the first is a claim
        (b"10.0.0.1", [b"6.6.6.6", b"203.0.113.9", b"fd00::1"], b"203.0.113.9"),
        (b"10.0.0.1", [b"10.2.2.2, 10.3.3.3"], b"10.2.2.2"),
        (b"10.0.0.1", [b"203.0.113.9, unknown"], b"unknown"),
        (b"10.0.0.1", [b" , "], b"10.0.0.1"),
    ],
)
def test_behind_trusted_proxies_the_client_is_whom_they_name(
    peer: bytes, chain: list[bytes], client: bytes
) -> None:
    head = fields(*[(b"X-Forwarded-For", part) for part in chain])
    assert key_of("client_ip", TRUSTED)(peer, TARGET, HOST, head) == client
    assert key_of("header:X-Absent", TRUSTED)(peer, TARGET, HOST, head) == client


def test_nobody_is_trusted_unless_named() -> None:
    head = fields((b"X-Forwarded-For", b"203.0.113.9"))
    assert key_of("client_ip")(b"127.0.0.1", TARGET, HOST, head) == b"127.0.0.1"
