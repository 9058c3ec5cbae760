"""HAProxy's servers and their checks, as backends and `[health]` of ours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import gcd
from typing import Any

from lb.foreign.haproxy.words import Section, key_of, seconds
from lb.foreign.imported import Directive, Draft, whole
from lb.units import duration

INTERVAL = 2.0
"""HAProxy's default, in seconds."""
TIMES = {"inter": "interval", "fastinter": "fast_interval"}
NUMBERS = {"rise": "rise", "fall": "fall", "port": "port"}
TAKES = frozenset(
    {
        *(
            "weight",
            "maxconn",
            "inter",
            "fastinter",
            "downinter",
            "rise",
            "fall",
            "port",
            "ca-file",
        ),
        *("crt", "sni", "verify", "verifyhost", "slowstart", "observe", "error-limit", "on-error"),
        *("cookie", "id", "maxqueue", "minconn", "addr", "resolvers", "init-addr", "alpn", "proto"),
        *(
            "pool-purge-delay",
            "on-marked-down",
            "on-marked-up",
            "resolve-prefer",
            "track",
            "source",
        ),
        *("pool-max-conn", "ssl-min-ver", "ssl-max-ver", "ciphers", "redir", "check-sni", "group"),
        *("pool-low-conn", "agent-port", "agent-inter", "agent-addr", "shard", "ws", "namespace"),
    }
)
"""Words of a server that have a value behind them."""
READ = frozenset(
    {
        *("weight", "maxconn", "inter", "fastinter", "rise", "fall", "port", "check", "backup"),
        *("ssl", "verify", "verifyhost", "sni", "ca-file", "crt", "send-proxy", "send-proxy-v2"),
        *("slowstart", "observe", "error-limit", "on-error", "cookie", "pool-purge-delay", "id"),
        *("check-ssl", "check-send-proxy", "no-check", "disabled", "resolve-prefer"),
        *("check-sni", "init-addr", "resolvers"),
    }
)
BEFORE = {
    "server": (3, "a server has a name and an address"),
    "server-template": (4, "a server-template has a prefix, a number and a name with a port"),
}
"""Words in front of those that it is told, and what they are."""
EXPECT = re.compile(r"\d{3}(-\d{3})?(,\d{3}(-\d{3})?)*")


def health(chosen: Section, draft: Draft) -> None:
    """What checks ask and expect."""
    asked = chosen.last("option", "httpchk")
    if asked is None:
        return
    draft.put("health.kind", "http", asked)
    draft.put("health.path", "/", asked)
    words = asked.words[2:]
    if len(words) == 1:
        draft.put("health.path", words[0], asked)
    elif words:
        draft.put("health.path", words[1], asked)
        _method(asked, words[0], draft)
        host = re.search(r"[Hh]ost:\s*(\S+)", " ".join(words[2:]))
        if host is not None:
            draft.put("health.host", host[1], asked)
    draft.put("health.expect", "200-399", asked)
    for row in chosen.all("http-check"):
        if row.words[1:2] == ("send",):
            _sent(row, draft)
        elif row.words[1:2] == ("expect",):
            _expected(row, draft)
        else:
            draft.lacks(row, "checks are one request each, and its answer")


def _method(row: Directive, method: str, draft: Draft) -> None:
    if method != "GET":
        draft.lacks(row, f"checks are GET, not {method}")


def _sent(row: Directive, draft: Draft) -> None:
    words = iter(row.words[2:])
    for word in words:
        value = next(words, "")
        if word == "meth":
            _method(row, value, draft)
        elif word == "uri":
            draft.put("health.path", value, row)
        elif word == "hdr":
            text = next(words, "")
            if value.lower() == "host" and text == "%[srv_name]":
                continue  # each its own, which is what lb says
            if value.lower() == "host" and "%" not in text:
                draft.put("health.host", text, row)
            else:
                draft.lacks(row, f"checks carry no {value}")
        elif word != "ver":
            draft.lacks(row, f"checks carry no {word}")


def _expected(row: Directive, draft: Draft) -> None:
    kind, value = (*row.words[2:4], "", "")[:2]
    if kind == "status" and EXPECT.fullmatch(value):
        draft.put("health.expect", value, row)
    elif kind == "rstatus" and (found := _range(value)):
        draft.put("health.expect", found, row)
    elif kind == "string":
        draft.put("health.match", re.escape(value), row)
    elif kind == "rstring":
        draft.put("health.match", value, row)
    else:
        draft.lacks(row, "a status, a range of them or a text is expected")


def _range(pattern: str) -> str:
    """`^2` or `2..` as 200-299, `(2|3)[0-9][0-9]` as 200-299, 300-399; or nothing."""
    match = re.fullmatch(
        r"\^?(?:([1-5])|[(\[]([1-5|]+)[)\]])(\.\.|\[0-9\]\[0-9\]|\\d\\d)?\$?", pattern
    )
    if match is None:
        return ""
    digits = match[1] or match[2].replace("|", "")
    return ", ".join(f"{digit}00-{digit}99" for digit in digits)


def servers(chosen: Section, draft: Draft, port: str) -> None:
    """All of them; `port` is the clients', which holds where a server has none."""
    common: dict[str, str] = {}
    rows: list[tuple[Directive, dict[str, str]]] = []
    for row in chosen.rows:
        if row.name == "default-server":
            common = {**common, **_words(row, row.rest, draft)}
        elif row.name in BEFORE:
            before, why = BEFORE[row.name]
            if len(row.words) < before:
                raise row.wrong(why)
            rows.append((row, {**common, **_words(row, row.words[before:], draft)}))
    http = "kind" in draft.data.get("health", {})
    checks = [_check(row, words, http=http) for row, words in rows]
    usual: dict[str, object] = next((it for it in checks if it["enabled"]), {"enabled": False})
    for key, value in usual.items():
        if (key, value) != ("enabled", True):
            draft.put(f"health.{key}", value, rows[0][0] if rows else None)
    if not usual["enabled"]:
        draft.data["health"] = {"enabled": False}
    else:
        draft.data["health"].setdefault("timeout", usual["interval"])
    for (row, words), check in zip(rows, checks, strict=True):
        _backend(row, words, check, usual, port, draft)
    _for_all(rows, draft)
    backends: list[dict[str, Any]] = [
        *draft.data.get("backend", []),
        *(it["backend"] for it in draft.data.get("discovery", []) if "backend" in it),
    ]
    factor = gcd(*(it.get("weight", 1) for it in backends))
    for it in backends if factor > 1 else ():
        it["weight"] //= factor
        if it["weight"] == 1:
            del it["weight"]
    _ejections(rows, draft)


def _words(row: Directive, given: tuple[str, ...], draft: Draft) -> dict[str, str]:
    found: dict[str, str] = {}
    words = iter(given)
    for word in words:
        value = next(words, "") if word in TAKES else "yes"
        found[word] = value
        if word not in READ:
            draft.lacks(row, f"{word} has no equivalent")
    return found


def _found(row: Directive, words: Mapping[str, str], keys: dict[str, Any], draft: Draft) -> None:
    """`server-template web 5 web.internal:80`: every address of a name."""
    name = row.words[3]
    table: dict[str, Any] = {"srv" if name.startswith("_") else "dns": name}
    if "srv" in table:
        for key in keys.keys() & {"weight", "priority"}:
            draft.lacks(row, f"each SRV record says its own {key}")
            del keys[key]
    elif "resolve-prefer" in words:
        table["family"] = words["resolve-prefer"]
    if keys:
        table["backend"] = keys
    draft.append("discovery", table, row)
    draft.lacks(row, f"every address of {name} is a backend, however many")


def _check(row: Directive, words: Mapping[str, str], *, http: bool) -> dict[str, object]:
    if "check" not in words or "no-check" in words:
        return {"enabled": False}
    found: dict[str, object] = {"enabled": True}
    if not http:
        found["kind"] = "tcp"
    for word, key in TIMES.items():
        if word in words:
            found[key] = duration(row.read(words[word], seconds))
    found.setdefault("interval", duration(INTERVAL))
    found.setdefault("fast_interval", found["interval"])
    for word, key in NUMBERS.items():
        if word in words and key != "port":
            found[key] = row.read(words[word], whole)
    return found


def _backend(
    row: Directive,
    words: Mapping[str, str],
    check: dict[str, object],
    usual: dict[str, object],
    port: str,
    draft: Draft,
) -> None:
    table: dict[str, Any] = {}
    weight = row.read(words.get("weight", "1"), whole)
    if weight == 0:
        draft.lacks(row, "weight 0 is given no requests: left out")
        return
    if "disabled" in words:
        draft.lacks(row, "is disabled: left out")
        return
    if weight != 1:
        table["weight"] = weight
    if words.get("maxconn", "0") != "0":
        table["max_in_flight"] = row.read(words["maxconn"], whole)
    if "backup" in words:
        table["priority"] = 1
    if "port" in words:
        table["health_port"] = row.read(words["port"], whole)
    own = {key: value for key, value in check.items() if usual.get(key) != value}
    if own:
        table["health"] = own
    if "ssl" in words:
        table["tls"] = _tls(row, words, draft)
    for word, version in (("send-proxy", "v1"), ("send-proxy-v2", "v2")):
        if word in words:
            table["proxy_protocol"] = version
    if row.name == "server-template":
        _found(row, words, table, draft)
    elif address := _address(row, row.words[2], port):
        called = {"name": row.words[1]} if row.words[1] != address else {}
        draft.append("backend", {"address": address, **called, **table}, row)
    else:
        draft.lacks(row, f"{row.words[2]} is no address that lb could connect to: left out")


def _tls(row: Directive, words: Mapping[str, str], draft: Draft) -> dict[str, Any]:
    if words.get("verify") == "none":
        return {"verify": False}
    table: dict[str, Any] = {}
    ca = words.get("ca-file", "")
    if ca and not ca.startswith("@"):
        table["ca"] = ca
    name = words.get("verifyhost") or words.get("sni", "").removeprefix("str(").removesuffix(")")
    if name and "(" not in name:
        table["server_name"] = name
    elif name:
        draft.lacks(row, f"sni {name} differs from request to request")
    if "crt" in words:
        table["certificate"], table["key"] = words["crt"], key_of(words["crt"])
    return table


def _for_all(rows: list[tuple[Directive, dict[str, str]]], draft: Draft) -> None:
    """Times that each server may have its own of, and that lb has one of."""
    there = [one for one in rows if "disabled" not in one[1] and one[1].get("weight") != "0"]
    for word, path in (("slowstart", "slow_start.duration"), ("pool-purge-delay", "timeouts.idle")):
        given = [
            (row, duration(row.read(words[word], seconds)) if word in words else "")
            for row, words in there
        ]
        draft.for_all(path, given)


def _ejections(rows: list[tuple[Directive, dict[str, str]]], draft: Draft) -> None:
    """`observe ... on-error mark-down` is the nearest to ejections."""
    for row, words in rows:
        if "observe" in words:
            draft.put(
                "outliers.consecutive_failures", row.read(words.get("error-limit", "10"), whole)
            )
            draft.put("outliers.failure_rate", 0.0)
            if words["observe"] == "layer4":
                draft.put("outliers.counts", ["connect", "reset", "timeout"])
            why = "an ejection ends by itself here, after [outliers] eject, not by checks alone"
            draft.lacks(row, why)
            return
    draft.put("outliers.enabled", value=False)


def _address(row: Directive, text: str, port: str) -> str:
    """Where it is; nothing where that is no place of its own, such as `:8080` or `abns@name`."""
    for prefix in ("ipv4@", "ipv6@"):
        text = text.removeprefix(prefix)
    if text.startswith(("unix@", "/")):
        return f"unix:{text.removeprefix('unix@')}"
    if "@" in text or re.match(r"\*:|:(?!:)|.*:[+-]", text):
        return ""
    host, _, own = text.rpartition(":")
    if not host or not own.isdecimal() or (":" in host and not text.startswith("[") and not own):
        host, own = text, port
    if "$" in text:
        raise row.wrong(f"{text!r} is of the environment; write the address itself")
    if not own:
        raise row.wrong(f"{text!r} has no port; write one")
    return f"[{host.strip('[]')}]:{own}" if ":" in host.strip("[]") else f"{host}:{own}"
