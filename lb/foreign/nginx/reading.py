"""nginx's configuration read into a file of ours: one upstream, and the servers that pass to it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from lb.errors import ConfigError, nearest
from lb.foreign.imported import Directive, Draft, Imported, whole
from lb.foreign.nginx import keys
from lb.foreign.nginx.fronts import listening
from lb.foreign.nginx.trust import PROXY, trusted
from lb.foreign.nginx.upgrades import upgrades
from lb.foreign.nginx.upstream import Ran, key_of, one_server, upstream
from lb.foreign.nginx.words import directives, seconds, size
from lb.units import duration

KIND = "nginx"
PASS = re.compile(r"(https?)://([^/]+)(/.*)?")
RETRY = {"error": ("connect", "reset"), "timeout": ("timeout",), "invalid_header": ("reset",)}
DONE = frozenset(
    {
        *("proxy_http_version", "proxy_pass", "keepalive_requests", "listen", "pid", "log_format"),
        *("client_body_temp_path", "proxy_temp_path", "fastcgi_temp_path", "uwsgi_temp_path"),
        *("scgi_temp_path", "error_log", "sendfile", "tcp_nopush", "tcp_nodelay", "default_type"),
        *("types", "types_hash_max_size", "proxy_ssl_session_reuse", "proxy_ssl_verify_depth"),
        *("ssl_certificate", "ssl_certificate_key", "ssl_protocols", "set_real_ip_from"),
        *(
            "real_ip_header",
            "real_ip_recursive",
            "underscores_in_headers",
            "ssl_session_cache",
            "ssl_session_timeout",
            "server_tokens",
        ),
    }
)
"""What is read elsewhere, and what makes no difference."""
HEADERS = frozenset(
    {
        *("host", "connection", "upgrade", "x-forwarded-for", "x-forwarded-proto", "x-real-ip"),
        *("x-forwarded-host", "forwarded"),
    }
)
"""Fields that lb writes itself, or passes on."""
WHY = {
    "user": "lb is whoever starts it: lb init service",
    "proxy_set_header": "fields of requests are passed on as they come",
    "add_header": "fields of answers are passed on as they come",
    "server_name": "requests are not told apart by their names",
    "gzip": "answers are passed on as they come",
    "location": "requests are not told apart by their paths",
    "map": "there are no variables",
    "set": "there are no variables",
    "return": "lb answers nothing of its own",
    "rewrite": "requests are passed on as they come",
    "if": "requests are not told apart",
    "root": "lb serves no files",
    "index": "lb serves no files",
    "try_files": "lb serves no files",
    "http2": "HTTP/1.1 alone is spoken",
    "proxy_cache": "nothing is cached",
    "limit_req": "clients are not held back one by one",
    "limit_conn": "clients are not held back one by one",
    "allow": "clients are not told apart by their addresses",
    "deny": "clients are not told apart by their addresses",
    "auth_basic": "nobody is asked who they are",
}
IDS = (("$request_id",), ("$lb_id",))
"""What makes a field of requests one that carries an id."""
OTHER = frozenset({"stream", "mail"})
"""Blocks of what is not HTTP."""
MOST_BODY = 1024**2
"""nginx's default."""
NOTES = (
    "As there: [health] and [panic] are off, and a few failures take a backend out for a time.",
)


@dataclass(frozen=True)
class Passing:
    """A `proxy_pass`, and the blocks that it stands in, the outermost first."""

    row: Directive
    blocks: tuple[Directive, ...]
    scheme: str
    target: str
    path: str


def imported(text: str, source: str, pool: str | None) -> Imported:
    """One upstream of a file: the one called `pool`, else the first that requests are passed to.

    Raises ConfigError.
    """
    draft = Draft(KIND, source)
    rows = directives(text, source, draft.lacks)
    rest, rows = rows, tuple(row for row in rows if row.name not in OTHER)
    passes = list(_passes(rows, ()))
    pools = {row.value: row for row in _all(rows, "upstream") if row.rest}
    name = _chosen(source, pools, passes, pool)
    used = [it for it in passes if it.target == name]
    ran = Ran()
    if name in pools:
        upstream(pools[name], keys.read(_all(rows, "map"), key_of), draft, ran)
    else:
        one_server(used[0].row, name, used[0].scheme, draft)
    servers = list(dict.fromkeys(_server(it) for it in used if _server(it) is not None))
    scopes = _scopes(rows, used)
    http = next((row.inside for row in rows if row.name == "http"), rows)
    listening([it for it in servers if it is not None], http, draft)
    _underscores(scopes, draft)
    trusted(_all(rows, "geo"), scopes, draft)
    upgrades(_all(rows, "map"), scopes, draft)
    draft.put("limits.body", MOST_BODY)
    for scope in scopes:
        proxied = any(row.name == "listen" and PROXY in row.rest for row in scope)
        for row in scope:
            if row.name != "allow" or not proxied:  # then it says who may send the header
                _one(row, draft)
    silence = draft.data.get("timeouts", {}).get("response")
    send = _last(scopes, "proxy_send_timeout")
    if send is not None and duration(_number(send, seconds)) != silence:
        draft.lacks(send, "timeouts.response is the limit in both directions")
    _retries(scopes, draft, len(draft.data.get("backend", [])))
    if any(it.scheme == "https" for it in used):
        _secure(scopes, draft)
    for it in used:
        if it.path not in ("", "/"):
            draft.lacks(it.row, f"the path {it.path} is not put before requests' own")
    _others(rows, pools, name, servers, used, draft)
    for row in rest:
        if row.name in OTHER:
            draft.lacks(row, "lb balances HTTP alone")
    draft.put("health.enabled", value=False)
    draft.put("panic.threshold", 0.0)
    header = any(row.words[:2] == ("add_header", "X-Backend-Server") for it in scopes for row in it)
    draft.put("server.backend_header", header)
    return draft.done(name, NOTES)


def _all(rows: tuple[Directive, ...], name: str) -> Iterator[Directive]:
    for row in rows:
        if row.name == name:
            yield row
        yield from _all(row.inside, name)


def _passes(rows: tuple[Directive, ...], blocks: tuple[Directive, ...]) -> Iterator[Passing]:
    for row in rows:
        match = PASS.fullmatch(row.value) if row.name == "proxy_pass" and row.rest else None
        if match is not None:
            yield Passing(row, blocks, match[1], match[2], match[3] or "")
        yield from _passes(row.inside, (*blocks, row))


def _chosen(
    source: str, pools: Mapping[str, Directive], passes: list[Passing], pool: str | None
) -> str:
    targets = [it.target for it in passes if "$" not in it.target]
    if pool is not None:
        known = [*pools, *targets]
        if pool not in known:
            hint = nearest(pool, known) if known else "there is none"
            raise ConfigError([f"{source}: no upstream is called {pool!r}; {hint}"])
        return pool
    for target in targets:
        if target in pools:
            return target
    if targets:
        return targets[0]
    if pools:
        return next(iter(pools))
    why = "no upstream, and no proxy_pass http://...; there is no pool to read"
    raise ConfigError([f"{source}: {why}"])


def _server(it: Passing) -> Directive | None:
    return next((block for block in it.blocks if block.name == "server"), None)


def _scopes(rows: tuple[Directive, ...], used: list[Passing]) -> list[tuple[Directive, ...]]:
    """What holds for requests that are passed on, the outermost first."""
    scopes = [rows]
    http = next((row for row in rows if row.name == "http"), None)
    events = next((row for row in rows if row.name == "events"), None)
    scopes += [block.inside for block in (events, http) if block is not None]
    for it in used:
        scopes += [block.inside for block in it.blocks if block.name in ("server", "location")]
    return list(dict.fromkeys(scopes))


def _number(row: Directive, convert: Callable[[str], float]) -> float:
    return row.read(row.value, convert)


TIMES = {
    "proxy_connect_timeout": "timeouts.connect",
    "proxy_read_timeout": "timeouts.response",
    "client_header_timeout": "timeouts.header",
    "keepalive_timeout": "timeouts.client_idle",
    "worker_shutdown_timeout": "timeouts.drain",
}
SECURE = {
    "proxy_ssl_verify": "verify",
    "proxy_ssl_trusted_certificate": "ca",
    "proxy_ssl_name": "server_name",
    "proxy_ssl_certificate": "certificate",
    "proxy_ssl_certificate_key": "key",
}
ELSEWHERE = frozenset(
    {
        *("proxy_next_upstream", "proxy_next_upstream_tries", "proxy_ssl_server_name", "upstream"),
        "proxy_send_timeout",
        *("server", "location", "http", "events", *SECURE),
    }
)


def _one(row: Directive, draft: Draft) -> None:
    """A directive that holds for what is passed on."""
    name = row.name
    if name in TIMES:
        found = _number(row, seconds)
        if found:
            draft.put(TIMES[name], duration(found), row)
    elif name == "client_max_body_size":
        if body := _number(row, size):
            draft.put("limits.body", int(body), row)
        else:
            draft.data["limits"].pop("body", None)
    elif name == "large_client_header_buffers" and len(row.words) == 3:
        each = row.read(row.words[2], size)
        draft.put("limits.request_line", each, row)
        draft.put("limits.header_bytes", each * row.read(row.words[1], whole), row)
    elif name == "worker_processes":
        count = row.value
        draft.put("server.workers", int(count) if count.isdecimal() else "auto", row)
    elif name == "worker_connections":
        draft.put("limits.client_connections", max(1, int(_number(row, size)) // 2), row)
    elif name == "access_log":
        _log(row, draft)
    elif name == "proxy_set_header" and row.rest[1:] in IDS:
        draft.put("tracing.request_id", row.value, row)
    elif not _is_done(row):
        draft.lacks(row, WHY.get(name, "has no equivalent"))


def _log(row: Directive, draft: Draft) -> None:
    target = row.value if row.rest else "off"
    if target == "off":
        draft.data.pop("access_log", None)
        return
    target = {"/dev/stdout": "stdout", "/dev/stderr": "stderr"}.get(target, target)
    syslog = re.match(r"syslog:server=(?:unix:)?([^,]+)", target)
    if target in ("stdout", "stderr") or syslog:
        draft.put("access_log.file", f"syslog:{syslog[1]}" if syslog else target, row)
        formats = [word for word in row.rest[1:] if "=" not in word]
        if formats in ([], ["combined"]):
            draft.put("access_log.format", "combined", row)
        else:
            draft.lacks(row, "lines are JSON, unless [access_log] format says otherwise")
    else:
        draft.lacks(row, "lines of two kinds in one file; give [access_log] file another one")


def _is_done(row: Directive) -> bool:
    name, first = row.name, row.value if row.rest else ""
    if name == "proxy_set_header":
        return first.lower() in HEADERS
    if name in ("add_header", "proxy_hide_header"):
        return first == "X-Backend-Server"
    if name in ("map", "geo"):
        return row.words[-1].startswith("$lb_")
    if name in ("proxy_buffering", "proxy_request_buffering"):
        return first == "off"
    if name == "server_name":
        return first in ("_", "")
    return name in DONE or name in ELSEWHERE


def _underscores(scopes: list[tuple[Directive, ...]], draft: Draft) -> None:
    """A variable `$http_x_a` is of both X-A and X_A where the latter is let in."""
    row = _last(scopes, "underscores_in_headers")
    key = draft.data.get("key", "")
    if row is not None and row.value == "on" and key.startswith("header:") and "-" in key:
        draft.lacks(row, f"the key is {key}; a field with _ in the place of - is another one here")


def _last(scopes: list[tuple[Directive, ...]], name: str) -> Directive | None:
    found = [row for scope in scopes for row in scope if row.name == name]
    return found[-1] if found else None


def _retries(scopes: list[tuple[Directive, ...]], draft: Draft, backends: int) -> None:
    """By default errors and timeouts are tried at every other server."""
    row = _last(scopes, "proxy_next_upstream")
    tries = _last(scopes, "proxy_next_upstream_tries")
    most = int(_number(tries, size)) if tries is not None else 0
    on: list[str | int] = []
    for word in row.rest if row is not None else ("error", "timeout"):
        status = word.removeprefix("http_")
        if status.isdecimal():
            on.append(int(status))
        elif word in RETRY:
            on += RETRY[word]
        elif word != "off" and row is not None:
            draft.lacks(row, f"{word} has no equivalent")
    extra = most - 1 if most else max(0, backends - 1)
    if not on or not extra:
        draft.put("retries.max", 0, row)
        return
    draft.put("retries.max", extra, tries or row)
    draft.put("retries.on", list(dict.fromkeys(on)), row)


def _secure(scopes: list[tuple[Directive, ...]], draft: Draft) -> None:
    tls: dict[str, object] = {}
    for name, key in SECURE.items():
        row = _last(scopes, name)
        if row is not None:
            tls[key] = row.value == "on" if key == "verify" else row.value
    if not tls.setdefault("verify", False):
        tls = {"verify": False}
    for row in draft.data.get("backend", []):
        row["tls"] = tls


def _others(
    rows: tuple[Directive, ...],
    pools: Mapping[str, Directive],
    name: str,
    servers: list[Directive | None],
    used: list[Passing],
    draft: Draft,
) -> None:
    for other, row in pools.items():
        if other != name:
            draft.lacks(row, f"one pool is read; this one: --pool {other}")
    read = {block for it in used for block in it.blocks}
    for server in _all(rows, "server"):
        if not server.inside:
            continue
        if server not in servers:
            draft.lacks(server, "nothing of it is passed to this pool: not read")
            continue
        for row in _all(server.inside, "location"):
            if row not in read or row.rest != ("/",):
                draft.lacks(row, "requests are not told apart by their paths: all are passed on")
