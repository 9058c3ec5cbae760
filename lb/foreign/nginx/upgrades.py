"""Which upgrades of a connection nginx passes on, as `upgrades` of ours."""

from __future__ import annotations

import re
from collections.abc import Iterable

from lb.foreign.imported import Directive, Draft

OURS = "$lb_upgrade"
_NAME = re.compile(r"~\*\^(?P<name>.+)\$")


def upgrades(maps: Iterable[Directive], scopes: list[tuple[Directive, ...]], draft: Draft) -> None:
    """None, unless the field is passed on; which of them, only a map of ours says."""
    rows = [row for scope in scopes for row in scope if row.name == "proxy_set_header"]
    passed = [row.rest[1:] for row in rows if row.rest[:1] and row.value.lower() == "upgrade"]
    if not any(word for rest in passed for word in rest):
        draft.put("server.upgrades", [])
        return
    for row in maps:
        if row.words[2:3] != (OURS,):
            continue
        names = [match["name"] for it in row.inside if (match := _NAME.fullmatch(it.name))]
        whatever = ("default", "$http_upgrade") in [it.words for it in row.inside]
        plain = [re.sub(r"\\(.)", r"\1", name) for name in names]
        draft.put("server.upgrades", ["*"] if whatever else plain)
