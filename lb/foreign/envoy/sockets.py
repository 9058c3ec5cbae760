"""How Envoy speaks to each backend, TLS and PROXY headers: a transport socket for each way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lb.aside import is_address
from lb.config import BackendTable, Scenario, host_and_port
from lb.config.values import UNIX
from lb.foreign import common
from lb.foreign.envoy.words import EXTENSIONS, TYPE

TLS = EXTENSIONS + "transport_sockets.tls.v3"
SYSTEM_CA = "/etc/ssl/certs/ca-certificates.crt"
MATCHED = "envoy.transport_socket_match"
"""Metadata of endpoints that choose a socket."""


@dataclass(frozen=True)
class Sockets:
    """One transport socket for all backends, or several that endpoints choose by metadata."""

    ways: list[dict[str, Any]]
    """Those that differ; empty is plain."""
    chosen: list[int]
    """Which of them each backend has."""

    def cluster(self) -> dict[str, Any]:
        """Fields of the cluster. What matches none is plain."""
        if len(self.ways) == 1:
            return {"transport_socket": self.ways[0]} if self.ways[0] else {}
        return {
            "transport_socket_matches": [
                {"name": _name(at), "match": {"way": _name(at)}, "transport_socket": way}
                for at, way in enumerate(self.ways)
                if way
            ]
        }

    def endpoint(self, number: int) -> dict[str, Any]:
        """Fields of a backend's endpoint."""
        at = self.chosen[number]
        if len(self.ways) == 1 or not self.ways[at]:
            return {}
        return {"metadata": {"filter_metadata": {MATCHED: {"way": _name(at)}}}}


def sockets(file: Scenario) -> Sockets:
    """Those of all backends."""
    found: list[dict[str, Any]] = []
    chosen: list[int] = []
    for row in file.backends:
        way = {} if row.tls is None else _tls(row)
        if row.proxy_protocol:
            way = _proxied(row.proxy_protocol, way)
        if way not in found:
            found.append(way)
        chosen.append(found.index(way))
    return Sockets(found, chosen)


def certificate(chain: str, key: str) -> dict[str, Any]:
    """A certificate and its key, by their files."""
    return {
        "certificate_chain": {"filename": common.path(chain)},
        "private_key": {"filename": common.path(key)},
    }


def _name(at: int) -> str:
    return f"way{at + 1}"


def _tls(row: BackendTable) -> dict[str, Any]:
    assert row.tls is not None
    tls = row.tls
    inside = row.address.startswith(UNIX)
    host = tls.server_name or (
        "localhost" if inside else host_and_port(common.ascii_address(row.address))[0]
    )
    context: dict[str, Any] = {"alpn_protocols": ["http/1.1"]}
    if tls.verify:
        match = {
            "san_type": "IP_ADDRESS" if is_address(host) else "DNS",
            "matcher": {"exact": host},
        }
        context["validation_context"] = {
            "trusted_ca": {"filename": common.path(tls.ca or SYSTEM_CA)},
            "match_typed_subject_alt_names": [match],
        }
    if tls.certificate is not None:
        context["tls_certificates"] = [certificate(tls.certificate, str(tls.key))]
    config: dict[str, Any] = {TYPE: f"{TLS}.UpstreamTlsContext", "common_tls_context": context}
    if not is_address(host):
        config["sni"] = host
    return {"name": "envoy.transport_sockets.tls", "typed_config": config}


def _proxied(version: str, inner: dict[str, Any]) -> dict[str, Any]:
    raw = {
        "name": "envoy.transport_sockets.raw_buffer",
        "typed_config": {TYPE: EXTENSIONS + "transport_sockets.raw_buffer.v3.RawBuffer"},
    }
    return {
        "name": "envoy.transport_sockets.upstream_proxy_protocol",
        "typed_config": {
            TYPE: EXTENSIONS + "transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport",
            "config": {"version": version.upper()},
            "transport_socket": inner or raw,
        },
    }
