"""How nginx speaks to backends: in one way to all, so those that speak otherwise are left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from lb.aside import is_address
from lb.config import BackendTable, Scenario, host_and_port
from lb.foreign import common
from lb.foreign.exported import Lacks
from lb.foreign.nginx.words import word

SYSTEM_CA = "/etc/ssl/certs/ca-certificates.crt"


def alike(file: Scenario, lacks: Lacks) -> list[int]:
    """Numbers of the backends that can be spoken to in one way; the others are told.

    The way is that of most who come first, so never are only backups left.
    """
    ways = [_way(row) for row in file.backends]
    first = [way for way, rank in zip(ways, common.priorities(file), strict=True) if not rank]
    among, overall = Counter(first), Counter(ways)
    chosen = max(among, key=lambda way: (not way[-1], among[way], overall[way]))
    kept = [number for number, way in enumerate(ways) if way == chosen]
    like = file.backends[kept[0]]
    for number, row in enumerate(file.backends):
        if number in kept:
            continue
        key: tuple[str, ...] = () if row.tls is None else ("tls",)
        why = f"left out: one way is for all, and that is {_words(like, row)} of {like.label}"
        if row.proxy_protocol and not like.proxy_protocol:
            key, why = ("proxy_protocol",), "left out: only its stream module writes PROXY headers"
        lacks.add(("backend", number, *key), why)
    if like.tls is not None and like.tls.verify and is_address(_name(like)):
        why = "certificates for an address are never accepted: give the name that is in it"
        lacks.add(("backend", kept[0], "tls", "server_name"), why)
    return kept


def _way(row: BackendTable) -> tuple[object, ...]:
    """What has to be the same; at the end whether PROXY headers are wanted, which it cannot."""
    wants = row.proxy_protocol is not None
    if row.tls is None:
        return (None, wants)
    tls = row.tls
    named = _name(row) if tls.verify else tls.server_name
    return (tls.verify, tls.verify and tls.ca, named, tls.certificate, tls.key, wants)


def _words(like: BackendTable, row: BackendTable) -> str:
    """In what the two differ, told of the one that is kept."""
    if like.tls is None:
        return "the plain HTTP"
    return "the TLS" if row.tls is None else "the [backend.tls]"


def _name(row: BackendTable) -> str:
    assert row.tls is not None
    if row.tls.server_name or common.unix_path(row.address):
        return row.tls.server_name or "localhost"
    return host_and_port(common.ascii_address(row.address))[0]


def secure(row: BackendTable) -> Iterator[str]:
    """Its TLS, which is everybody's."""
    tls = row.tls
    if tls is None:
        return
    yield "proxy_ssl_server_name on;"
    yield f"proxy_ssl_name {_name(row)};"
    yield "proxy_ssl_session_reuse on;"
    if tls.verify:
        yield "proxy_ssl_verify on;"
        yield "proxy_ssl_verify_depth 5;"
        yield f"proxy_ssl_trusted_certificate {word(common.path(tls.ca or SYSTEM_CA))};"
    if tls.certificate is not None:
        yield f"proxy_ssl_certificate {word(common.path(tls.certificate))};"
        yield f"proxy_ssl_certificate_key {word(common.path(str(tls.key)))};"
