"""What a certificate says of itself: for how long it is valid, and for which names (RFC 5280).

The standard library shows that only of certificates whose issuer it trusts, and a server need not
trust its own. So the few fields that are needed are found here; that the whole is sound OpenSSL
has seen to before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address

TIME_OF_TWO_DIGITS, VERSION, EXTENSIONS = 0x17, 0xA0, 0xA3
DNS_NAME, IP_ADDRESS = 0x82, 0x87
SUBJECT_ALT_NAME = bytes((0x55, 0x1D, 0x11))
"""2.5.29.17."""

Element = tuple[int, bytes]
"""A tag of DER, and what it holds."""


@dataclass(frozen=True)
class Said:
    """Times are in seconds since 1970."""

    begins: float
    ends: float
    names: tuple[str, ...]
    """DNS names, as they are written there, and addresses."""

    def is_for(self, name: str) -> bool:
        """Whether it is valid for a server that is called so (RFC 6125, 6.4)."""
        name = name.lower()
        above = name.partition(".")[2]
        return any(
            one == name or (one.startswith("*.") and above != "" and one[2:] == above)
            for one in map(str.lower, self.names)
        )


def read(der: bytes) -> Said:
    """Of one certificate. Raises ValueError."""
    try:
        ((_, whole),) = _elements(der)
        _, signed = next(_elements(whole))
        fields = list(_elements(signed))
        if fields[0][0] == VERSION:
            del fields[0]
        begins, ends = map(_time, _elements(fields[3][1]))
        extensions = next((body for tag, body in fields if tag == EXTENSIONS), b"")
        return Said(begins, ends, tuple(_names(extensions)))
    except (IndexError, StopIteration, ValueError) as error:
        raise ValueError("not a certificate as X.509 has it") from error


def _elements(der: bytes) -> Iterator[Element]:
    at = 0
    while at < len(der):
        tag, size = der[at], der[at + 1]
        at += 2
        if size & 0x80:  # that many bytes of length follow
            count = size & 0x7F
            size = int.from_bytes(der[at : at + count], "big")
            at += count
        yield tag, der[at : at + size]
        at += size


def _time(element: Element) -> float:
    tag, digits = element
    text = digits.decode("ascii").removesuffix("Z")
    if tag == TIME_OF_TWO_DIGITS:  # RFC 5280, 4.1.2.5.1
        text = ("20" if text < "50" else "19") + text
    return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=UTC).timestamp()


def _names(extensions: bytes) -> Iterator[str]:
    for _, rows in _elements(extensions):
        for _, row in _elements(rows):
            parts = list(_elements(row))
            if parts[0][1] != SUBJECT_ALT_NAME:
                continue
            for _, names in _elements(parts[-1][1]):
                for tag, name in _elements(names):
                    if tag == DNS_NAME:
                        yield name.decode("ascii")
                    elif tag == IP_ADDRESS:
                        yield str(ip_address(name))
