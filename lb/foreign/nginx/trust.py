"""Whose word on clients counts: `trusted_proxies` as nginx's lines, and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_network

from lb.config import Scenario
from lb.foreign.imported import Directive, Draft

FIELD = "x-forwarded-for"
PROXY = "proxy_protocol"
TRUSTED = "$lb_trusted"
SAID = (
    ("for", FIELD, "$remote_addr", '"$lb_said_for, $remote_addr"'),
    ("proto", "x-forwarded-proto", "$scheme", "$lb_said_proto"),
    ("host", "x-forwarded-host", "$http_host", "$lb_said_host"),
    ("forwarded", "forwarded", '""', "$lb_said_forwarded"),
)
"""Variable, field, what it is for everybody, and for those who are trusted and say it."""
NAMES = ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded")


def maps(file: Scenario) -> Iterator[str]:
    """Lines of `http`."""
    networks = file.server.trusted_proxies
    if not networks:
        return
    yield f"geo {TRUSTED} {{ default 0; {' '.join(f'{it} 1;' for it in networks)} }}"
    for name, field, usual, said in SAID:
        value = f'"{TRUSTED}:$http_{field.replace("-", "_")}"'
        yield f'map {value} $lb_{name} {{ default {usual}; "~^1:(?<lb_said_{name}>.+)$" {said}; }}'


def fields(file: Scenario) -> Iterator[str]:
    """Lines of a `location`."""
    for title, (name, _, usual, _) in zip(NAMES, SAID, strict=True):
        value = f"$lb_{name}" if file.server.trusted_proxies else usual
        yield f"proxy_set_header {title} {value};"


def trusted(rows: Iterable[Directive], scopes: list[tuple[Directive, ...]], draft: Draft) -> None:
    """Networks whose X-Forwarded-For is believed; who sends PROXY headers is told elsewhere."""
    networks: list[str] = []
    for row in rows:
        if row.words[:2] == ("geo", TRUSTED):
            networks += [it.name for it in row.inside if it.words[1:] == ("1",)]
    headers = [row for scope in scopes for row in scope if row.name == "real_ip_header"]
    said = [row.value.lower() for row in headers if row.rest]
    for row, name in zip(headers, said, strict=False):
        if name not in (FIELD, PROXY):
            draft.lacks(row, "who a client is, only X-Forwarded-For of trusted_proxies says")
    for scope in scopes:
        if any(row.name == "real_ip_header" and PROXY in row.rest for row in scope):
            continue
        for row in scope:
            if row.name == "set_real_ip_from" and FIELD in said and row.rest:
                _network(row, networks, draft)
    if networks:
        draft.put("server.trusted_proxies", list(dict.fromkeys(networks)))
    else:
        _extended(scopes, draft)


def _extended(scopes: list[tuple[Directive, ...]], draft: Draft) -> None:
    for row in (row for scope in scopes for row in scope):
        if row.rest[-1:] == ("$proxy_add_x_forwarded_for",):
            draft.lacks(row, "what clients say is dropped, but for those of trusted_proxies")
            return


def _network(row: Directive, networks: list[str], draft: Draft) -> None:
    try:
        networks.append(str(ip_network(row.value, strict=False)))
    except ValueError:
        draft.lacks(row, f"{row.value} is no network that trusted_proxies could name")
