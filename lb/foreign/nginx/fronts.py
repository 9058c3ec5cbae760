"""nginx's `listen` and certificates as places to listen of ours."""

from __future__ import annotations

from lb.foreign.imported import Directive, Draft


def listening(servers: list[Directive], draft: Draft) -> None:
    """All that they listen on."""
    plain: list[str] = []
    for server in servers:
        tls = _certificate(server, draft)
        for row in (it for it in server.inside if it.name == "listen" and it.rest):
            table: dict[str, object] = {"address": _address(row)}
            for word in row.rest[1:]:
                if word == "ssl":
                    table["tls"] = tls
                elif word == "proxy_protocol":
                    table["proxy_protocol"] = True
                    networks = [it.value for it in server.inside if it.name == "allow"]
                    if networks:
                        table["proxy_from"] = networks
                elif word not in ("default_server", "ipv6only=on"):
                    draft.lacks(row, f"{word} has no equivalent")
            if len(table) == 1:
                plain.append(str(table["address"]))
            else:
                draft.data.setdefault("listener", []).append(table)
    plain = list(dict.fromkeys(plain))
    if plain:
        draft.put("server.listen", plain[0] if len(plain) == 1 else plain)


def _certificate(server: Directive, draft: Draft) -> dict[str, object]:
    pairs: dict[str, list[str]] = {"ssl_certificate": [], "ssl_certificate_key": []}
    tls: dict[str, object] = {}
    for row in server.inside:
        if row.name in pairs and row.rest:
            pairs[row.name].append(row.value)
            if len(pairs[row.name]) > 1:
                draft.lacks(row, "one certificate for all: the first")
        elif row.name == "ssl_protocols":
            tls["min_version"] = "1.2" if "TLSv1.2" in row.rest else "1.3"
    for name, key in (("ssl_certificate", "certificate"), ("ssl_certificate_key", "key")):
        if pairs[name]:
            tls[key] = pairs[name][0]
    return tls


def _address(row: Directive) -> str:
    text = row.value
    if text.startswith("unix:"):
        return text
    if text.isdecimal():
        return f"0.0.0.0:{text}"
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal():
        host, port = text, "80"
    return f"{'0.0.0.0' if host in ('*', '') else host}:{port}"
