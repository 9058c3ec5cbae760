"""Heads between aiohttp's server, the rules of the proxy, and aiohttp's client.

What a request says is written down as it came and read as `lb serve` reads it, so one set of rules
holds for both: what passes, what is hop-by-hop, what is said for the client, what is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address

from aiohttp import ClientResponse, hdrs, web
from multidict import CIMultiDict

from lb.proxy.http.hop import Intermediary
from lb.proxy.http.message import VIA, Answer
from lb.proxy.http.request import Request, RequestReader
from lb.proxy.http.rules import RESPONSE_RULES, WRITTEN, Field, Rejected, options, pairs, plain_name

_FRAMING = frozenset((b"transfer-encoding", b"trailer", b"te", b"expect"))
"""What aiohttp says, or does not know how to keep."""
_SWITCHING = frozenset((b"connection", b"upgrade"))
PROTO = "X-Forwarded-Proto"


def read(
    request: web.BaseRequest,
    intermediary: Intermediary,
    trusted: Sequence[IPv4Network | IPv6Network],
) -> tuple[bytes, Request, CIMultiDict[str]]:
    """The client's address, its request, and the fields for a backend. Raises Rejected."""
    peer = (request.remote or "unknown").encode()
    known = bool(trusted) and _trusts(trusted, peer.decode())
    reader = RequestReader(peer, intermediary, trusted=known)
    line = f"{request.method} {request.raw_path} HTTP/1.{min(request.version.minor, 1)}\r\n"
    lines = b"".join(b"%b: %b\r\n" % pair for pair in request.raw_headers)
    reader.receive(line.encode("utf-8", "surrogateescape") + lines + b"\r\n")
    asked = reader.next()
    if asked is None:
        raise Rejected(400, "the request head cannot be read")
    dropped = _FRAMING if asked.hop.upgrade else _FRAMING | _SWITCHING
    _, _, head = asked.head.rstrip(b"\r\n").partition(b"\r\n")
    fields: CIMultiDict[str] = CIMultiDict(
        (name.decode(), text(value))
        for name, value in pairs(b"\r\n" + head)
        if name.lower() not in dropped
    )
    if request.secure and not (known and PROTO in request.headers):
        fields[PROTO] = "https"
    return peer, asked, fields


def for_client(response: ClientResponse) -> CIMultiDict[str]:
    """The fields of an answer that pass, and what is said of their way."""
    _, _, named = options(response.headers.get(hdrs.CONNECTION, "").encode(), 1)
    fields: CIMultiDict[str] = CIMultiDict(
        (name.decode(), text(value))
        for name, value in response.raw_headers
        if name.lower() not in named and RESPONSE_RULES.get(plain_name(name), Field.PASS) in WRITTEN
    )
    version = response.version
    fields.add(hdrs.VIA, f"1.{version.minor if version else 1} {VIA.decode()}")
    return fields


def own(answer: Answer) -> web.Response:
    """One of the proxy's own, by aiohttp's server."""
    fields = ((name.decode(), value.decode()) for name, value in pairs(answer.fields))
    return web.Response(status=answer.status, body=answer.body, headers=CIMultiDict(fields))


def text(value: bytes) -> str:
    """What aiohttp writes as the same bytes, if they are UTF-8."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _trusts(trusted: Sequence[IPv4Network | IPv6Network], peer: str) -> bool:
    try:
        address = ip_address(peer)
    except ValueError:
        return False
    return any(address in network for network in trusted)
