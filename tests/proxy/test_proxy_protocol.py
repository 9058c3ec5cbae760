"""PROXY headers: read strictly in both versions, written so that others read them."""

from __future__ import annotations

from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.proxy.proxy_protocol import SIGNATURE, Ends, WrongHeader, read, unmapped, written

V4 = Ends("192.0.2.1", 56324, "192.0.2.2", 443)
V6 = Ends("2001:db8::1", 1, "2001:db8::2", 65535)
PACKED = bytes((192, 0, 2, 1, 192, 0, 2, 2)) + pack("!HH", 56324, 443)
MAPPED = b"".join((bytes(10), b"\xff\xff", PACKED[:4], bytes(10), b"\xff\xff", PACKED[4:]))


def header(command: int, family: int, body: bytes) -> bytes:
    return SIGNATURE + pack("!BBH", command, family, len(body)) + body


@pytest.mark.parametrize(
    ("data", "ends", "rest"),
    [
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\nGET", V4, b"GET"),
        (b"PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n", V6, b""),
        (b"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:c000:202 56324 443\r\n", V4, b""),
        (header(0x21, 0x21, MAPPED), V4, b""),
        (b"PROXY UNKNOWN\r\nGET", None, b"GET"),
        (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", None, b""),
        (header(0x21, 0x11, PACKED) + b"GET", V4, b"GET"),
        (header(0x21, 0x11, PACKED + b"\x04\0\1x") + b"GET", V4, b"GET"),  # further fields
        (header(0x20, 0x11, PACKED) + b"GET", None, b"GET"),  # LOCAL: whatever it says
        (header(0x20, 0x00, b"") + b"GET", None, b"GET"),
        (header(0x21, 0x00, b"abc") + b"GET", None, b"GET"),  # UNSPEC
        (header(0x21, 0x31, b"/" * 216) + b"GET", None, b"GET"),  # a Unix socket
    ],
)
def test_a_header_says_between_whom_and_leaves_what_is_behind_it(
    data: bytes, ends: Ends | None, rest: bytes
) -> None:
    assert read(data) == (ends, rest)
    head = data[: len(data) - len(rest)]
    for size in range(len(head)):
        assert read(head[:size]) is None, "more of it is to come"


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03\x01",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 56324\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 65536\r\n",
        b"PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n",
        b"PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
        b"PROXY TCP4 192.0.2.1  192.0.2.2 1 2\r\n",
        b"PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n",
        b"PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n",
        b"PROXY UNKNOWNS\r\n",
        b"PROXY UNKNOWN " + b"x" * 100,
        b"\r\n\r\n\0\r\nQUIT\r",
        header(0x11, 0x11, PACKED),  # version 1 in the form of 2
        header(0x22, 0x11, PACKED),
        header(0x21, 0x12, PACKED),  # datagrams
        header(0x21, 0x11, PACKED[:-1]),
        header(0x21, 0x21, PACKED),
    ],
)
def test_whatever_else_is_no_header(data: bytes) -> None:
    with pytest.raises(WrongHeader):
        read(data)


@given(st.binary(max_size=40), st.sampled_from([b"", b"PROXY TCP4 ", SIGNATURE, SIGNATURE + b"!"]))
def test_nothing_but_a_wrong_header_is_raised(rest: bytes, beginning: bytes) -> None:
    try:
        found = read(beginning + rest)
    except WrongHeader:
        return
    assert found is None or (beginning + rest).endswith(found[1])


@given(
    st.ip_addresses(v=4) | st.ip_addresses(v=6),
    st.integers(0, 65535),
    st.integers(0, 65535),
    st.binary(max_size=9),
)
def test_what_is_written_is_read(address: object, port: int, other: int, rest: bytes) -> None:
    it = unmapped(str(address))
    ends = Ends(it, port, it, other)
    assert read(written("v1", ends) + rest) == (ends, rest)
    assert read(written("v2", ends) + rest) == (ends, rest)
    assert len(written("v1", ends)) <= 107


def test_on_behalf_of_nobody_it_says_so() -> None:
    assert written("v1", None) == b"PROXY UNKNOWN\r\n"
    assert written("v2", None) == header(0x20, 0x00, b"")
    mixed = Ends("192.0.2.1", 1, "2001:db8::2", 2)
    assert written("v1", mixed) == written("v1", None)
    local = Ends("fe80::1%eth0", 1, "fe80::2%eth0", 2)
    assert written("v1", local) == b"PROXY TCP6 fe80::1 fe80::2 1 2\r\n"
