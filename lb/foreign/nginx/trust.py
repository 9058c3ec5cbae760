"""nginx's real_ip module as `trusted_proxies` of ours."""

from __future__ import annotations

from ipaddress import ip_network

from lb.foreign.imported import Directive, Draft

FIELD = "x-forwarded-for"
PROXY = "proxy_protocol"


def trusted(scopes: list[tuple[Directive, ...]], draft: Draft) -> None:
    """Networks whose X-Forwarded-For is believed; who sends PROXY headers is told elsewhere."""
    headers = [row for scope in scopes for row in scope if row.name == "real_ip_header"]
    said = [row.value.lower() for row in headers if row.rest]
    for row, name in zip(headers, said, strict=False):
        if name not in (FIELD, PROXY):
            draft.lacks(row, "who a client is, only X-Forwarded-For of trusted_proxies says")
    networks: list[str] = []
    for scope in scopes:
        if any(row.name == "real_ip_header" and PROXY in row.rest for row in scope):
            continue
        for row in scope:
            if row.name == "set_real_ip_from" and FIELD in said and row.rest:
                _network(row, networks, draft)
    if networks:
        draft.put("server.trusted_proxies", list(dict.fromkeys(networks)))


def _network(row: Directive, networks: list[str], draft: Draft) -> None:
    try:
        networks.append(str(ip_network(row.value, strict=False)))
    except ValueError:
        draft.lacks(row, f"{row.value} is no network that trusted_proxies could name")
