"""nginx's upstream block as an algorithm and backends of ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lb.foreign.imported import Directive, Draft, spelled, whole
from lb.foreign.nginx.words import seconds
from lb.units import duration

FAILS, SPAN = 1, 10.0
"""nginx's defaults: failures, and the seconds in which they count and a server is out."""
KEYS = {
    "$remote_addr": "client_ip",
    "$binary_remote_addr": "client_ip",
    "$request_uri": "uri",
    "$uri": "path",
    "$lb_path": "path",
    "$document_uri": "path",
    "$cookie_": "cookie:",
    "$http_": "header:",
}
NOTHING = frozenset({"keepalive", "zone", "keepalive_requests", "keepalive_time"})
"""What makes no difference here."""


class Ran:
    """What was found of the failures that servers may have, and of how slowly they start.

    The first one's holds for all.
    """

    def __init__(self) -> None:
        self.told: tuple[int, float] | None = None
        self.slow: list[tuple[Directive, str]] = []


def upstream(block: Directive, made: Mapping[str, str], draft: Draft, ran: Ran) -> None:
    """The whole block; `made` are keys of ours by variables of the file. Raises ConfigError."""
    method: Directive | None = None
    sticky: Directive | None = None
    for row in block.inside:
        if row.name == "server":
            _server(row, draft, ran)
        elif row.name in ("least_conn", "ip_hash", "random", "hash", "least_time"):
            method = row
        elif row.name == "sticky":
            sticky = row
        elif row.name == "keepalive_timeout":
            draft.put("timeouts.idle", duration(row.read(row.value, seconds)), row)
        elif row.name == "queue":
            draft.put("queue.limit", row.read(row.value, whole), row)
            for word in row.rest[1:]:
                if word.startswith("timeout="):
                    most = duration(row.read(word.removeprefix("timeout="), seconds))
                    draft.put("queue.timeout", most, row)
        elif row.name not in NOTHING:
            draft.lacks(row, "has no equivalent")
    if not draft.data.get("backend") and not draft.data.get("discovery"):
        raise block.wrong("has no server")
    draft.for_all("slow_start.duration", ran.slow)
    _algorithm(method, made, draft)
    if sticky is not None:
        _sticky(sticky, draft)
    fails, span = ran.told or (FAILS, SPAN)
    if not fails:
        draft.put("outliers.enabled", value=False)
        return
    draft.put("outliers.consecutive_failures", fails)
    draft.put("outliers.failure_rate", 0.0)
    draft.put("outliers.counts", ["connect", "reset", "timeout"])
    draft.put("outliers.eject", duration(span))
    draft.put("outliers.max_eject", duration(span))
    draft.put("outliers.max_share", 1.0)


def one_server(row: Directive, target: str, scheme: str, draft: Draft) -> None:
    """A `proxy_pass` that names its server itself. Raises ConfigError."""
    if "$" in target:
        raise row.wrong("the server is a variable; name an upstream")
    port = "443" if scheme == "https" else "80"
    draft.append("backend", {"address": _with_port(target, port)}, row)
    draft.put("outliers.enabled", value=False)


def _algorithm(row: Directive | None, made: Mapping[str, str], draft: Draft) -> None:
    equal = len(draft.weights) < 2
    words = () if row is None else row.words
    name = words[0] if words else ""
    algorithm: object = "round_robin" if equal else "weighted_round_robin"
    if name == "least_conn":
        algorithm = {"name": "least_connections", "load": "before"}
    elif name == "ip_hash":
        algorithm = "ip_hash"
    elif name == "random":
        algorithm = "random" if equal else "weighted_random"
        if "two" in words:
            algorithm = "p2c"
            if words[-1] not in ("two", "least_conn") and row is not None:
                draft.lacks(row, f"two are compared by their requests in flight, not {words[-1]}")
    elif name == "hash" and row is not None:
        algorithm = "consistent_hash"
        variable = words[1] if len(words) > 1 else ""
        key = made.get(variable) or key_of(variable)
        if key:
            draft.put("key", key, row)
        else:
            draft.lacks(row, f"{' '.join(words[1:2])} cannot be a key; clients' addresses are")
        if "consistent" not in words:
            draft.lacks(row, "a ring takes the place of the remainder: fewer keys move")
    elif name == "least_time" and row is not None:
        algorithm = "least_response_time"
        draft.lacks(row, "its averages are not those of least_response_time")
    draft.put("algorithm", algorithm, row)


def _sticky(row: Directive, draft: Draft) -> None:
    """A cookie of its own, in front of the method."""
    if row.rest[:1] != ("cookie",) or len(row.rest) < 2:
        draft.lacks(row, "only a cookie of its own has an equivalent")
        return
    inner = spelled(draft.data["algorithm"])
    if inner in ("ip_hash", "consistent_hash"):
        draft.lacks(row, f"newcomers are placed in turn, not by {inner}")
        inner = "round_robin" if len(draft.weights) < 2 else "weighted_round_robin"
    if row.rest[2:]:
        draft.lacks(row, "the cookie is for the whole site, until the browser is closed")
    draft.put("algorithm", {"name": "sticky", "inner": inner}, row)
    draft.put("key", f"cookie:{row.rest[1]}", row)


def key_of(text: str) -> str:
    """The key that one of nginx's own variables is, or nothing."""
    for variable, key in KEYS.items():
        if text == variable:
            return key
        if key.endswith(":") and text.startswith(variable) and text != variable:
            name = text.removeprefix(variable)
            return key + (name.replace("_", "-") if key == "header:" else name)
    return ""


def _server(row: Directive, draft: Draft, ran: Ran) -> None:
    if not row.rest:
        raise row.wrong("a server has an address")
    table: dict[str, Any] = {"address": _with_port(row.value, "80")}
    fails, span = FAILS, SPAN
    left_out = slow = ""
    for word in row.rest[1:]:
        name, _, value = word.partition("=")
        if name == "weight":
            if (weight := row.read(value, whole)) != 1:
                table["weight"] = weight
        elif name == "max_conns":
            if (most := row.read(value, whole)) > 0:
                table["max_in_flight"] = most
        elif name == "max_fails":
            fails = row.read(value, whole)
        elif name == "fail_timeout":
            span = row.read(value, seconds)
        elif name == "backup":
            table["priority"] = 1
        elif name == "slow_start":
            slow = duration(row.read(value, seconds))
        elif name == "down":
            left_out = "is down: left out"
        else:
            draft.lacks(row, f"{word} has no equivalent")
    if left_out:
        draft.lacks(row, left_out)
        return
    if ran.told is None:
        ran.told = (fails, span)
    elif ran.told != (fails, span):
        draft.lacks(row, "max_fails and fail_timeout are the same for all: the first server's")
    ran.slow.append((row, slow))
    draft.append("backend", table, row)


def _with_port(text: str, port: str) -> str:
    if text.startswith("unix:"):
        return text.removesuffix(":")
    host, colon, own = text.rpartition(":")
    if not colon or not own.isdecimal():
        return f"{text}:{port}"
    return f"{host}:{own}"
