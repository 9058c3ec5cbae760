"""The PROXY protocol, versions 1 and 2: a header that says between whom a connection really is.

Its specification is HAProxy's `doc/proxy-protocol.txt`; the sections named here are of that text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from struct import pack, unpack_from
from typing import Literal

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LONGEST_LINE = 107
"""Bytes of a header of version 1, its end included (2.1)."""
FIXED = 16
"""Bytes of a header of version 2 before what depends on the family of addresses (2.2)."""
LOCAL, PROXY = 0x20, 0x21
"""Version 2 and command."""
TCP4, TCP6, UNIX, UNSPECIFIED = 0x11, 0x21, 0x31, 0x00
_SIZES = {TCP4: 12, TCP6: 36, UNIX: 216, UNSPECIFIED: 0}
_LINE = re.compile(rb"PROXY (TCP[46]) ([0-9A-Fa-f.:]+) ([0-9A-Fa-f.:]+) (\d{1,5}) (\d{1,5})")

Version = Literal["v1", "v2"]


@dataclass(frozen=True)
class Ends:
    """The two ends of a connection, as its two sides see it."""

    source: str
    source_port: int
    target: str
    target_port: int


def unmapped(address: str) -> str:
    """One of IPv4 that is written as one of IPv6 (RFC 4291, 2.5.5.2), as what it is."""
    if not address.startswith("::ffff:"):
        return address
    mapped = IPv6Address(address).ipv4_mapped
    return address if mapped is None else str(mapped)


class WrongHeader(ValueError):
    """What a connection begins with is no PROXY header."""


def read(data: bytes) -> tuple[Ends | None, bytes] | None:
    """Who is connected, and what came behind the header; None while more of it is to come.

    The ends are None where the header leaves it at those that the connection has itself. Raises
    WrongHeader.
    """
    if data.startswith(SIGNATURE[: len(data)]):
        return None if len(data) < FIXED else _version_2(data)
    if data.startswith(b"PROXY"[: len(data)]):
        return _version_1(data)
    raise WrongHeader("does not begin with a PROXY header")


def _version_1(data: bytes) -> tuple[Ends | None, bytes] | None:
    line, end, rest = data[:LONGEST_LINE].partition(b"\r\n")
    if not end:
        if len(data) >= LONGEST_LINE or b"\n" in line:
            raise WrongHeader("the PROXY line does not end")
        return None
    rest = data[len(line) + 2 :]
    if line == b"PROXY UNKNOWN" or line.startswith(b"PROXY UNKNOWN "):
        return None, rest
    match = _LINE.fullmatch(line)
    if match is None:
        raise WrongHeader("the PROXY line cannot be read")
    kind = IPv4Address if match[1] == b"TCP4" else IPv6Address
    source_port, target_port = int(match[4]), int(match[5])
    try:
        source, target = str(kind(match[2].decode())), str(kind(match[3].decode()))
    except ValueError:
        raise WrongHeader("the PROXY line has no addresses") from None
    if max(source_port, target_port) > 65535:
        raise WrongHeader("the PROXY line has no ports")
    return Ends(unmapped(source), source_port, unmapped(target), target_port), rest


def _version_2(data: bytes) -> tuple[Ends | None, bytes] | None:
    command, family, size = data[12], data[13], int.from_bytes(data[14:16], "big")
    if command not in (LOCAL, PROXY):
        raise WrongHeader("a PROXY header of another version or command")
    if command == PROXY and size < _SIZES.get(family, size + 1):
        raise WrongHeader("a PROXY header of a family that is not known, or too short for it")
    if len(data) < FIXED + size:
        return None
    rest = data[FIXED + size :]
    if command == LOCAL or family in (UNIX, UNSPECIFIED):
        return None, rest
    width = 4 if family == TCP4 else 16
    at = FIXED + 2 * width
    source = unmapped(str(ip_address(data[FIXED : FIXED + width])))
    target = unmapped(str(ip_address(data[FIXED + width : at])))
    source_port, target_port = unpack_from("!HH", data, at)
    return Ends(source, source_port, target, target_port), rest


def written(version: Version, ends: Ends | None) -> bytes:
    """The header for a connection on behalf of somebody, or of ourselves without `ends`."""
    if ends is None:
        return b"PROXY UNKNOWN\r\n" if version == "v1" else SIGNATURE + pack("!BBH", LOCAL, 0, 0)
    # What follows a % is a zone, which means something on this machine alone.
    source = ip_address(ends.source.partition("%")[0])
    target = ip_address(ends.target.partition("%")[0])
    if source.version != target.version:
        return written(version, None)
    if version == "v1":
        line = f"PROXY TCP{source.version} {source} {target} {ends.source_port} {ends.target_port}"
        return line.encode() + b"\r\n"
    family = TCP4 if source.version == 4 else TCP6
    addresses = source.packed + target.packed + pack("!HH", ends.source_port, ends.target_port)
    return SIGNATURE + pack("!BBH", PROXY, family, len(addresses)) + addresses
