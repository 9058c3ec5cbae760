"""Cookies and tables by which HAProxy's clients stick, as `sticky` of ours."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from lb.foreign.haproxy.words import Section
from lb.foreign.imported import Directive, Draft, spelled

STICKS = ("stick", "stick-table")
"""What is read here."""
SIZE = re.compile(r"(\d+)([kmg]?)")
TIMES = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}


def sticking(
    chosen: Section,
    algorithm: Mapping[str, object],
    draft: Draft,
    key_of: Callable[[str], str],
) -> Mapping[str, object]:
    """What `algorithm` is where clients stick; it places newcomers then.

    `key_of` is our key for a fetch of theirs, such as `src`, or nothing.
    """
    key, row = "", chosen.last("cookie")
    if row is not None and "insert" in row.rest:
        key = f"cookie:{row.value}"
    elif row is not None:
        draft.lacks(row, "only a cookie of its own that is inserted has an equivalent")
    settings: dict[str, object] = {}
    for one in chosen.all("stick"):
        found = key_of(one.words[2]) if one.words[1:2] == ("on",) and len(one.words) > 2 else ""
        if found and not key and not found.startswith("cookie:"):
            key, row = found, one
            settings = _table(chosen, draft)
        elif one.words[3:5] != ("if", "!{") or not key:
            draft.lacks(one, "clients stick by a cookie that is inserted, or by one key")
    if (table := chosen.last("stick-table")) is not None and not settings:
        draft.lacks(table, "nothing is kept by key but where clients stick")
    if not key or row is None:
        return algorithm
    if algorithm["name"] == "consistent_hash":
        draft.lacks(row, "newcomers are placed in turn, not by a key")
        algorithm = {"name": "round_robin" if len(draft.weights) == 1 else "weighted_round_robin"}
    draft.put("key", key, row)
    return {"name": "sticky", "inner": spelled(algorithm), **settings}


def _table(chosen: Section, draft: Draft) -> dict[str, object]:
    row = chosen.last("stick-table")
    if row is None:
        return {}
    words = dict(zip(row.words[1:], row.words[2:], strict=False))
    if "expire" in words:
        draft.lacks(row, "no key is forgotten for its age; the one unused for longest makes room")
    return _size(row, words.get("size", ""))


def _size(row: Directive, text: str) -> dict[str, object]:
    match = SIZE.fullmatch(text.lower())
    if match is None or not int(match[1]):
        raise row.wrong("its size cannot be read")
    return {"table": int(match[1]) * TIMES[match[2]]}
