"""Words of Envoy's schema that its listeners and its clusters share."""

from __future__ import annotations

from typing import Any

from lb.config import UNIX, host_and_port
from lb.foreign import common

TYPE = "@type"
EXTENSIONS = "type.googleapis.com/envoy.extensions."
HTTP = "envoy.filters.http."
HCM = EXTENSIONS + "filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER = {TYPE: EXTENSIONS + "filters.http.router.v3.Router"}


def typed(name: str) -> dict[str, Any]:
    """An empty filter of that type."""
    return {TYPE: f"{EXTENSIONS}filters.{name}"}


def span(seconds: float) -> str:
    """A duration as protobuf's JSON has it: `1.500s`."""
    return f"{seconds:.6f}".rstrip("0").rstrip(".") + "s"


def place(address: str) -> dict[str, Any]:
    """An address, or a Unix socket's."""
    if address.startswith(UNIX):
        return {"pipe": {"path": address.removeprefix(UNIX)}}
    host, port = host_and_port(common.ascii_address(address))
    return {"socket_address": {"address": host, "port_value": port}}
