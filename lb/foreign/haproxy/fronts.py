"""HAProxy's binds and logs as places to listen and an access log of ours."""

from __future__ import annotations

import re
from collections.abc import Iterable

from lb.foreign.haproxy.words import Section
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


TRUSTED = re.compile(r"X-Forwarded-For unless \{ src (.+) \}", re.IGNORECASE)


def trusted(alone: Iterable[Section], draft: Draft) -> None:
    """Networks whose word on clients counts; by itself HAProxy believes everybody's."""
    extended: Directive | None = None
    dropped = False
    for section in alone:
        extended = section.last("option", "forwardfor") or extended
        for row in section.all("http-request", "del-header"):
            text = " ".join(row.words[2:])
            dropped |= text.lower().startswith(FIELD)
            if (match := TRUSTED.fullmatch(text)) is not None:
                draft.put("server.trusted_proxies", match[1].split(), row)
    if extended is not None and not dropped:
        draft.lacks(extended, "what clients say is dropped, but for those of trusted_proxies")


VALUED = frozenset(
    {
        *("interface", "maxconn", "ciphers", "ciphersuites", "ca-file", "verify", "backlog"),
        *("user", "group", "uid", "gid", "process", "thread", "nice", "id", "crt-list", "level"),
        *("curves", "ecdhe", "crl-file", "ca-verify-file", "ssl-max-ver", "mss", "namespace"),
    }
)
"""Words of a bind that have a value behind them."""
FIELD = "x-forwarded-for"
PORTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
MOST_PORTS = 100


def listening(fronts: Iterable[Section], draft: Draft) -> None:
    """All that is bound."""
    plain: list[str] = []
    for section in fronts:
        for row in section.all("bind"):
            for address in row.value.split(","):
                _bound(row, address, plain, draft)
    if plain:
        draft.put("server.listen", plain[0] if len(plain) == 1 else plain)


def _bound(row: Directive, address: str, plain: list[str], draft: Draft) -> None:
    found = _addresses(row, address)
    if not found:
        draft.lacks(row, f"{address} is no address that lb could listen on")
        return
    table = _options(row, draft)
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
    for word in words:
        if word == "mode":
            table["mode"] = f"0{next(words, '').removeprefix('0')}"
        elif word == "accept-proxy":
            table["proxy_protocol"] = True
        elif word == "crt":
            path = next(words, "")
            if path.endswith("/"):
                draft.lacks(row, f"{path} is a folder; name each certificate in it")
            if tls:
                draft.lacks(row, f"one certificate for all; {path} is left out")
            else:
                tls = {"certificate": path, "key": path}
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
