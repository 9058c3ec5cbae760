"""What nginx hashes: a variable, and the lines of `http` that make it what `key` is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from lb.config import Scenario
from lb.foreign import common
from lb.foreign.exported import Lacks
from lb.foreign.imported import Directive

CLIENT = "$remote_addr"
PATH = 'map $request_uri $lb_path { "~^(?<lb_before>[^?]*)" $lb_before; }'
_COOKIE = re.compile(r"~\(\?:\^\|; \*\)(?P<name>[^=]+)=.*")


def written(file: Scenario, lacks: Lacks) -> tuple[str, Sequence[str]]:
    """The variable of the file's key, and what stands before it. Who lacks it has its address."""
    kind, _, name = file.key.partition(":")
    if kind == "path":
        return "$lb_path", (PATH,)
    if kind == "uri":
        return "$request_uri", ()
    if kind == "cookie" and common.plain(name):
        found = f'"~(?:^|; *){re.escape(name)}=(?<lb_value>[^;]+)" $lb_value;'
        return "$lb_key", (f"map $http_cookie $lb_key {{ default {CLIENT}; {found} }}",)
    if kind == "header" and common.plain(name) and "." not in name:
        lines = ["underscores_in_headers on;"] if "_" in name else []
        value = field(name)
        return "$lb_key", (*lines, f'map {value} $lb_key {{ "" {CLIENT}; default {value}; }}')
    if name:
        lacks.add(("key",), f"no {kind} of such a name can be read; clients' addresses are hashed")
    elif file.server.trusted_proxies:
        lacks.add(("key",), "clients behind one of trusted_proxies all have its address")
    return CLIENT, ()


def field(name: str) -> str:
    """The variable that holds a field of requests."""
    return f"$http_{name.lower().replace('-', '_')}"


def read(maps: Iterable[Directive], key_of: Callable[[str], str]) -> dict[str, str]:
    """Our keys by the variables of `map` blocks: those that are what they are made of.

    `key_of` knows the variables that nginx has itself.
    """
    found: dict[str, str] = {}
    for row in (it for it in maps if len(it.words) > 2):
        source, variable = row.words[1:3]
        for case in row.inside:
            cookie = _COOKIE.fullmatch(case.name) if source == "$http_cookie" else None
            if cookie is not None:
                found[variable] = f"cookie:{cookie['name'].replace(chr(92), '')}"
            elif case.words == ("default", source) and (key := key_of(source)):
                found[variable] = key
    return found
