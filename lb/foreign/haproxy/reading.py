"""HAProxy's configuration read into a file of ours: a pool, its frontends, what holds for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from lb.errors import ConfigError, nearest
from lb.foreign.haproxy.fields import identified, trusted
from lb.foreign.haproxy.fronts import listening, logged, port_of
from lb.foreign.haproxy.known import BODY, FULL, TIMEOUTS, WHY, is_done
from lb.foreign.haproxy.servers import health, servers
from lb.foreign.haproxy.sticking import STICKS, sticking
from lb.foreign.haproxy.words import Section, seconds, sections
from lb.foreign.imported import Directive, Draft, Imported, percent, whole
from lb.units import duration

KIND = "haproxy"
RETRY = {
    "conn-failure": ("connect",),
    "empty-response": ("reset",),
    "junk-response": ("reset",),
    "response-timeout": ("timeout",),
    "all-retryable-errors": ("connect", "reset", "timeout", 500, 501, 502, 503, 504),
}
BASED = {"crt-base": ("crt",), "ca-base": ("ca-file",)}
"""What is looked for there, unless its path is a whole one."""
RETRIES = 3
"""HAProxy's default."""
LINE_WITHOUT_END = 10_000
NOTES = (
    "Where HAProxy has no such thing, lb's own is off: [panic], and [outliers] but for observe.",
)


def imported(text: str, source: str, pool: str | None) -> Imported:
    """One pool of a file: the one called `pool`, else the first that clients come to.

    Raises ConfigError.
    """
    found = _with_defaults(_based(sections(text, source)))
    chosen = _chosen(found, source, pool)
    draft = Draft(KIND, source)
    fronts = _fronts(found, chosen)
    alone = [*fronts, chosen] if chosen not in fronts else fronts
    mode = chosen.last("mode")
    if mode is None:
        draft.lacks(chosen.header, "has no mode, which is tcp; lb balances HTTP alone")
    elif mode.rest != ("http",):
        raise mode.wrong("lb balances HTTP alone; give mode http, or --pool with another one")
    _global(found, draft)
    listening(fronts, draft)
    trusted(alone, draft)
    identified(alone, draft)
    for section in alone:
        _times(section, draft)
    for section in fronts:
        if (row := section.last("maxconn")) is not None:
            draft.put("limits.client_connections", row.read(row.value, whole), row)
    health(chosen, draft)
    servers(chosen, draft, port_of(fronts))
    _algorithm(chosen, draft)
    _retries(chosen, draft)
    _line(alone, chosen, draft)
    _the_rest(alone, chosen, draft)
    _others(found, alone, draft)
    draft.put("panic.threshold", 0.0)
    return draft.done(chosen.name, NOTES)


def _with_defaults(found: list[Section]) -> list[Section]:
    """What `defaults` say stands in each section below, before its own.

    The last ones hold, or those that a section names: `backend web from http`.
    """
    latest: list[Directive] = []
    named: dict[str, list[Directive]] = {}
    for section in found:
        words = section.header.words
        source = words[words.index("from") + 1 :][:1] if "from" in words else ()
        if source and source[0] not in named:
            raise section.header.wrong(f"no defaults before it are called {source[0]}")
        inherited = named[source[0]] if source else latest
        if section.kind == "defaults":
            section.rows[:0] = inherited if source else ()
            latest = named[section.name] = list(section.rows)
        elif section.kind in ("frontend", "backend", "listen"):
            section.rows[:0] = inherited
    return found


def _based(found: list[Section]) -> list[Section]:
    """Files of certificates by their whole paths, as `crt-base` and `ca-base` say."""
    bases = {
        word: row.value
        for section in found
        for row in section.rows
        for word in BASED.get(row.name, ())
        if section.kind == "global" and row.rest
    }
    for section in found if bases else ():
        section.rows[:] = [_whole(row, bases) for row in section.rows]
    return found


def _whole(row: Directive, bases: Mapping[str, str]) -> Directive:
    if row.name not in ("bind", "server", "default-server", "server-template"):
        return row
    words = list(row.words)
    for at, word in enumerate(words[:-1]):
        if word in bases and not words[at + 1].startswith(("/", "@")):
            words[at + 1] = f"{bases[word].rstrip('/')}/{words[at + 1]}"
    return replace(row, words=tuple(words))


def _chosen(found: list[Section], source: str, pool: str | None) -> Section:
    pools = [it for it in found if it.kind in ("backend", "listen") and _has_servers(it)]
    if not pools:
        raise ConfigError([f"{source}: no backend has a server; there is no pool to read"])
    if pool is not None:
        named = [it for it in pools if it.name == pool]
        if not named:
            names = [it.name for it in pools]
            raise ConfigError([f"{source}: no pool is called {pool!r}; {nearest(pool, names)}"])
        return named[0]
    spoken = [it for it in pools if it.last("mode") is None or it.last("mode", "http")]
    for section in found:
        row = section.last("default_backend") if section.kind in ("frontend", "listen") else None
        for it in spoken:
            if (row is not None and it.name == row.value) or it is section:
                return it
    return (spoken or pools)[0]


def _has_servers(section: Section) -> bool:
    return any(row.name in ("server", "server-template") for row in section.rows)


def _fronts(found: list[Section], chosen: Section) -> list[Section]:
    if chosen.kind == "listen":
        return [chosen]
    used = []
    for section in found:
        if section.kind in ("frontend", "listen"):
            rows = (*section.all("default_backend"), *section.all("use_backend"))
            if any(row.rest and row.value == chosen.name for row in rows):
                used.append(section)
    return used


def _global(found: list[Section], draft: Draft) -> None:
    simple: Mapping[str, Callable[[Directive], None]] = {
        "nbthread": lambda row: draft.put("server.workers", row.read(row.value, whole), row),
        "hard-stop-after": lambda row: draft.put(
            "timeouts.drain", duration(row.read(row.value, seconds)), row
        ),
        "spread-checks": lambda row: draft.put("health.jitter", row.read(row.value, percent), row),
        "log": lambda row: logged(row, draft),
        "maxconn": lambda row: draft.put(
            "limits.client_connections", row.read(row.value, whole), row
        ),
    }
    for section in found:
        for row in section.rows if section.kind == "global" else ():
            if row.name in simple and row.rest:
                simple[row.name](row)
            elif row.name not in BASED:
                draft.lacks(row, WHY.get(row.name, "has no equivalent"))


def _times(section: Section, draft: Draft) -> None:
    for word, path in TIMEOUTS.items():
        row = section.last("timeout", word)
        if row is not None and len(row.words) > 2:
            draft.put(path, duration(row.read(row.words[2], seconds)), row)


def _algorithm(chosen: Section, draft: Draft) -> None:
    row = chosen.last("balance")
    method, words = ("roundrobin", ()) if row is None else (row.value, row.rest)
    match = re.fullmatch(r"([\w-]+)(?:\((.*)\))?", method)
    name, argument = match.groups() if match is not None else (method, None)
    equal = len(draft.weights) == 1
    key = _key(name, argument, words)
    sequence = "static" if name == "static-rr" else "fwrr"
    turns = {"name": "weighted_round_robin", "sequence": sequence}
    algorithm: dict[str, object] = {"name": "round_robin"} if equal else {**turns}
    if name == "leastconn":
        algorithm = {"name": "least_connections", "load": "idle_first"}
    elif name == "random":
        draws = row.read(argument, whole) if row is not None and argument else 2
        single = "random" if equal else "weighted_random"
        algorithm = {"name": "p2c", "choices": draws, "replacement": True}
        algorithm = {"name": single} if draws == 1 else algorithm
    elif key:
        algorithm = {"name": "consistent_hash"}
        draft.put("key", key, row)
        factor = chosen.last("hash-balance-factor")
        if factor is not None:
            algorithm["balance_factor"] = factor.read(factor.value, percent)
        kind = chosen.last("hash-type")
        if row is not None and (kind is None or kind.value != "consistent"):
            draft.lacks(kind or row, "a ring takes the place of the map: fewer keys move")
    elif name not in ("roundrobin", "static-rr") and row is not None:
        draft.lacks(row, f"{name} has no equivalent; backends take turns")
    placed = sticking(chosen, algorithm, draft, lambda it: _key("hash", None, ("hash", it)))
    draft.put("algorithm", placed if len(placed) > 1 else placed["name"], row)


def _key(name: str, argument: str | None, words: tuple[str, ...]) -> str:
    """What is hashed, in our words, or nothing."""
    if name == "source":
        return "client_ip"
    if name == "uri":
        return "uri" if "whole" in words else "path"
    if name == "hdr" and argument:
        return f"header:{argument}"
    if name == "hash" and len(words) > 1:
        fetch = re.fullmatch(r"(?:req\.)?(\w+)(?:\(([^)]*)\))?", words[1])
        if fetch is not None:
            kind, of = fetch.groups()
            simple = {"src": "client_ip", "path": "path", "url": "uri", "pathq": "uri"}
            named = {"cook": "cookie", "hdr": "header", "fhdr": "header"}
            return f"{named[kind]}:{of}" if kind in named and of else simple.get(kind, "")
    return ""


def _retries(chosen: Section, draft: Draft) -> None:
    row = chosen.last("retries")
    most = RETRIES if row is None else row.read(row.value, whole)
    on: list[str | int] = []
    told = chosen.last("retry-on")
    for word in told.rest if told is not None else ("conn-failure",):
        if word.isdecimal():
            on.append(int(word))
        elif word in RETRY:
            on += RETRY[word]
        elif word != "none" and told is not None:
            draft.lacks(told, f"{word} is not told apart")
    if not most or not on:
        draft.put("retries.max", 0, row)
        return
    draft.put("retries.max", most, row)
    draft.put("retries.on", list(dict.fromkeys(on)), told)
    if chosen.last("option", "redispatch") is None:
        where = row or told or chosen.header
        draft.lacks(where, "without option redispatch the same server is tried; lb tries another")


def _line(alone: Iterable[Section], chosen: Section, draft: Draft) -> None:
    """Who waits when all servers are full: everybody, unless a rule says how many."""
    limit = 0
    backends = draft.data.get("backend", [])
    if any("max_in_flight" in row for row in backends):
        limit = LINE_WITHOUT_END
    for row in chosen.all("http-request", "deny"):
        match = FULL.search(" ".join(row.words))
        if match is not None:
            limit = int(match[1])
    for section in alone:
        for row in section.all("http-request", "deny"):
            size = BODY.search(" ".join(row.words))
            if size is not None:
                draft.put("limits.body", int(size[1]), row)
    if limit:
        draft.put("queue.limit", limit)
    if (
        limit
        and "timeout" not in draft.data["queue"]
        and "connect" in draft.data.get("timeouts", {})
    ):
        draft.put("queue.timeout", draft.data["timeouts"]["connect"])
    if not limit and not any("max_in_flight" in row for row in backends):
        draft.data.pop("queue", None)


def _the_rest(alone: Iterable[Section], chosen: Section, draft: Draft) -> None:
    """Everything that was not asked for."""
    told: set[int] = set()
    header = False
    for section in alone:
        for row in section.rows:
            header |= row.words[:3] == ("http-response", "set-header", "X-Backend-Server")
            if row.name == "monitor-uri":
                draft.put("server.health_path", row.value, row)
            sticks = section is chosen and row.name in STICKS
            if row.line in told or sticks or is_done(row):
                continue
            told.add(row.line)
            both = " ".join(row.words[:2])
            draft.lacks(row, WHY.get(both, WHY.get(row.name, "has no equivalent")))
    draft.put("server.backend_header", header)


def _others(found: list[Section], alone: Iterable[Section], draft: Draft) -> None:
    read = list(alone)
    for section in found:
        if section in read or section.kind in ("global", "defaults"):
            continue
        pool = section.kind in ("backend", "listen") and _has_servers(section)
        why = f"one pool is read; this one: --pool {section.name}" if pool else "is not read"
        draft.lacks(section.header, why)
