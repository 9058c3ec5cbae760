"""Fields of requests that say who a client is, and which request it is."""

from __future__ import annotations

import re
from collections.abc import Iterable

from lb.foreign.haproxy.words import Section
from lb.foreign.imported import Directive, Draft

FIELD = "x-forwarded-for"
TRUSTED = re.compile(r"X-Forwarded-For unless \{ src (.+) \}", re.IGNORECASE)
UNIQUE = "%[unique-id]"


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


def identified(alone: Iterable[Section], draft: Draft) -> None:
    """The field that carries a request's id."""
    for section in alone:
        for row in section.rows:
            if row.name == "unique-id-header":
                draft.put("tracing.request_id", row.value, row)
            elif row.words[:2] == ("http-request", "set-header") and UNIQUE in row.words[3:4]:
                draft.put("tracing.request_id", row.words[2], row)
