"""HAProxy's binds and logs as places to listen and an access log of ours."""

from __future__ import annotations

import re
from collections.abc import Iterable

from lb.foreign.haproxy.words import Section, key_of
from lb.foreign.imported import Directive, Draft


def logged(row: Directive, draft: Draft) -> None:
    """Where lines go."""
    target = row.value
    if "access_log" in draft.data:
        draft.lacks(row, "lines go to one place")
    elif target in ("stdout", "stderr"):
        draft.put("access_log.file", target, row)
    elif target.startswith("/"):
        draft.put("access_log.file", f"syslog:{target}", row)
    else:
        host, _, port = target.rpartition(":") if ":" in target else (target, "", "514")
        draft.put("access_log.file", f"syslog:{host}:{port}", row)


VALUED = frozenset(
    {
        *("interface", "maxconn", "ciphers", "ciphersuites", "ca-file", "verify", "backlog"),
        *("user", "group", "uid", "gid", "process", "thread", "nice", "id", "crt-list", "level"),
        *("curves", "ecdhe", "crl-file", "ca-verify-file", "ssl-max-ver", "mss", "namespace"),
    }
)
"""Words of a bind that have a value behind them."""
FROM = re.compile(r"(?:reject unless|expect-proxy layer4 if) \{ src (.+) \}")
PORTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
MOST_PORTS = 100


def listening(fronts: Iterable[Section], draft: Draft) -> None:
    """All that is bound."""
    plain: list[str] = []
    for section in fronts:
        proxied = _proxied(section, draft)
        for row in section.all("bind"):
            for address in row.value.split(","):
                _bound(row, address, proxied, plain, draft)
    if plain:
        draft.put("server.listen", plain[0] if len(plain) == 1 else plain)


def _proxied(section: Section, draft: Draft) -> dict[str, object]:
    """Who may send PROXY headers there, as keys of a `[[listener]]`."""
    expected = section.last("tcp-request", "connection", "expect-proxy")
    table: dict[str, object] = {} if expected is None else {"proxy_protocol": True}
    for row in (*section.all("tcp-request", "connection", "reject"), expected):
        if row is None:
            continue
        networks = FROM.fullmatch(" ".join(row.words[2:]))
        if expected is not None and networks is not None:
            table["proxy_from"] = networks[1].split()
        elif row is not expected or row.words[3:] != ("layer4",):
            draft.lacks(row, "clients are not told apart by their addresses")
    return table


def _bound(
    row: Directive, address: str, proxied: dict[str, object], plain: list[str], draft: Draft
) -> None:
    found = _addresses(row, address)
    if not found:
        draft.lacks(row, f"{address} is no address that lb could listen on")
        return
    if "ssl" in row.rest and "crt" not in row.rest:
        draft.lacks(row, f"{address} is left out: name its certificates one by one, with crt")
        return
    table = {**proxied, **_options(row, draft)}
    if not table:
        plain += found
        return
    for one in found:
        draft.append("listener", {"address": one, **table}, row)


def _options(row: Directive, draft: Draft) -> dict[str, object]:
    """What stands behind the address, as keys of a `[[listener]]`."""
    table: dict[str, object] = {}
    words = iter(row.rest[1:])
    tls: dict[str, object] = {}
    pairs: list[dict[str, object]] = []
    for word in words:
        if word == "mode":
            table["mode"] = f"0{next(words, '').removeprefix('0')}"
        elif word == "accept-proxy":
            table["proxy_protocol"] = True
        elif word == "crt":
            path = next(words, "")
            if path.endswith("/"):
                draft.lacks(row, f"{path} is a folder; name each certificate in it")
            pairs.append({"certificate": path, "key": key_of(path)})
        elif word == "ssl-min-ver":
            tls["min_version"] = next(words, "").removeprefix("TLSv")
        elif word == "alpn":
            names = next(words, "")
            if names != "http/1.1":
                draft.lacks(row, f"HTTP/1.1 alone is spoken, not {names}")
        elif word == "name":
            next(words, "")
        elif word not in ("ssl", "v6only", "v4v6"):
            draft.lacks(row, f"{word} has no equivalent")
            if word in VALUED:
                next(words, "")
    if pairs:
        tls |= pairs[0] if len(pairs) == 1 else {"certificates": pairs}
    if tls:
        table["tls"] = tls
    return table


def _addresses(row: Directive, text: str) -> list[str]:
    """All that it stands for; `::` is all addresses of IPv4 as well, unless it says `v6only`."""
    for prefix in ("ipv4@", "ipv6@"):
        text = text.removeprefix(prefix)
    if "@" in text and not text.startswith("unix@"):
        return []
    if text.startswith(("unix@", "/")):
        return [f"unix:{text.removeprefix('unix@')}"]
    host, _, port = text.rpartition(":")
    match = PORTS.fullmatch(port)
    if match is None:
        raise row.wrong(f"{text!r} is no address with a port that can be read")
    ports = range(int(match[1]), int(match[2] or match[1]) + 1)
    if len(ports) > MOST_PORTS:
        raise row.wrong(f"{len(ports)} ports are more than lb listens on; {MOST_PORTS} at most")
    host = host.strip("[]")
    hosts = [f"[{host}]" if ":" in host else "0.0.0.0" if host in ("", "*") else host]
    if host == "::" and "v6only" not in row.words:
        hosts.insert(0, "0.0.0.0")
    return [f"{it}:{number}" for number in ports for it in hosts]


def port_of(fronts: Iterable[Section]) -> str:
    """That of the first place where clients come, or nothing."""
    for section in fronts:
        for row in section.all("bind"):
            port = row.value.split(",")[0].rpartition(":")[2]
            if port.isdecimal():
                return port
    return ""
