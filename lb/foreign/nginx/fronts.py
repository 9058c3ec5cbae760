"""nginx's `listen` and certificates as places to listen of ours."""

from __future__ import annotations

from lb.foreign.imported import Directive, Draft


def listening(servers: list[Directive], http: tuple[Directive, ...], draft: Draft) -> None:
    """All that they listen on; certificates may stand in the `http` block around them."""
    plain: list[str] = []
    for server in servers:
        tls = _certificate(server, http, draft)
        for row in (it for it in server.inside if it.name == "listen" and it.rest):
            table: dict[str, object] = {}
            for word in row.rest[1:]:
                if word == "ssl":
                    table["tls"] = tls
                elif word == "proxy_protocol":
                    table["proxy_protocol"] = True
                    networks = [it.value for it in server.inside if it.name == "allow"]
                    if networks:
                        table["proxy_from"] = networks
                elif word in ("http2", "quic"):
                    draft.lacks(row, f"HTTP/1.1 alone is spoken, not {word}")
                elif word not in ("default_server", "ipv6only=on", "ipv6only=off", "reuseport"):
                    draft.lacks(row, f"{word} has no equivalent")
            if not table:
                plain += _addresses(row)
                continue
            for address in _addresses(row):
                draft.append("listener", {"address": address, **table}, row)
    plain = list(dict.fromkeys(plain))
    if plain:
        draft.put("server.listen", plain[0] if len(plain) == 1 else plain)


def _certificate(server: Directive, http: tuple[Directive, ...], draft: Draft) -> dict[str, object]:
    own = {row.name for row in server.inside}
    around = [row for row in http if row.name.startswith("ssl_") and row.name not in own]
    pairs: dict[str, list[str]] = {"ssl_certificate": [], "ssl_certificate_key": []}
    tls: dict[str, object] = {}
    for row in (*around, *server.inside):
        if row.name in pairs and row.rest:
            pairs[row.name].append(row.value)
            if len(pairs[row.name]) > 1:
                draft.lacks(row, "one certificate for all: the first")
        elif row.name == "ssl_protocols":
            tls["min_version"] = "1.3" if row.rest == ("TLSv1.3",) else "1.2"
            if set(row.rest) - {"TLSv1.2", "TLSv1.3"}:
                draft.lacks(row, "TLS 1.2 is the oldest that is spoken")
    for name, key in (("ssl_certificate", "certificate"), ("ssl_certificate_key", "key")):
        if pairs[name]:
            tls[key] = pairs[name][0]
    return tls


def _addresses(row: Directive) -> list[str]:
    """All that it stands for: `[::]` is all addresses of IPv4 as well with `ipv6only=off`."""
    text = row.value
    if text.startswith("unix:"):
        return [text]
    if text.isdecimal():
        return [f"0.0.0.0:{text}"]
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal():
        host, port = text, "80"
    both = host == "[::]" and "ipv6only=off" in row.rest
    hosts = ["0.0.0.0", host] if both else ["0.0.0.0" if host in ("*", "") else host]
    return [f"{it}:{port}" for it in hosts]
