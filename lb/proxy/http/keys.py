"""What a strategy that hashes sees of a request: the file's `key`, turned into a function.

A request that lacks the field or the cookie is known by its client's address, so that those who
have none yet do not all meet at one backend.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address

from lb.proxy.http.rules import pairs

KeyOf = Callable[[bytes, bytes, bytes, bytes], bytes]
"""Of the peer's address, the target in origin form, the host, and the lines of the other fields,
each beginning with CRLF; X-Forwarded-For only as a trusted proxy says it.
"""


def key_of(
    key: str,
    trusted: Sequence[IPv4Network | IPv6Network] = (),
    *,
    newcomers_apart: bool = False,
) -> KeyOf:
    """The function for a `key` of the file, which is checked; `trusted` are proxies' networks.

    With `newcomers_apart` those who lack the cookie have no key at all.
    """
    client = _client_behind(trusted) if trusted else peer_alone
    kind, _, name = key.partition(":")
    match kind:
        case "path":
            return _path
        case "uri":
            return _uri
        case "header" if name.lower() == "host":
            return _host
        case "header":
            return _header(name.lower().encode(), client)
        case "cookie":
            return _cookie(name.encode(), _nobody if newcomers_apart else client)
    return client


def peer_alone(peer: bytes, target: bytes, host: bytes, lines: bytes) -> bytes:
    """The client's address; who has that at hand need not call it."""
    return peer


def _nobody(peer: bytes, target: bytes, host: bytes, lines: bytes) -> bytes:
    return b""


def _path(peer: bytes, target: bytes, host: bytes, lines: bytes) -> bytes:
    return target.partition(b"?")[0]


def _uri(peer: bytes, target: bytes, host: bytes, lines: bytes) -> bytes:
    return target


def _host(peer: bytes, target: bytes, host: bytes, lines: bytes) -> bytes:
    return host.lower()


def _header(name: bytes, client: KeyOf) -> KeyOf:
    def value(peer: bytes, target: bytes, host: bytes, lines: bytes) -> bytes:
        # Several fields of one name are one list (RFC 9110, 5.3).
        return b", ".join(_values(name, lines)) or client(peer, target, host, lines)

    return value


def _cookie(name: bytes, client: KeyOf) -> KeyOf:
    def value(peer: bytes, target: bytes, host: bytes, lines: bytes) -> bytes:
        for field in _values(b"cookie", lines):
            for pair in field.split(b";"):
                given, _, content = pair.strip().partition(b"=")
                if given == name and content:
                    return content
        return client(peer, target, host, lines)

    return value


def _client_behind(trusted: Sequence[IPv4Network | IPv6Network]) -> KeyOf:
    """The last address of the chain that no trusted proxy has; the first when all have."""

    @lru_cache(maxsize=4096)
    def is_trusted(address: bytes) -> bool:
        try:
            parsed = ip_address(address.decode("latin-1"))
        except ValueError:
            return False
        return any(parsed in network for network in trusted)

    def client(peer: bytes, target: bytes, host: bytes, lines: bytes) -> bytes:
        said = b",".join(_values(b"x-forwarded-for", lines))
        chain = [address.strip() for address in said.split(b",") if address.strip()]
        for address in (peer, *reversed(chain)):
            if not is_trusted(address):
                return address
        return chain[0] if chain else peer

    return client


def _values(name: bytes, lines: bytes) -> Iterator[bytes]:
    return (value for given, value in pairs(lines) if given.lower() == name)
