"""What the proxy answers by itself on its own port: /lb-health and /lb-stats."""

from __future__ import annotations

import json
from collections.abc import Callable

from lb.balancing import Snapshot
from lb.config import Server
from lb.measures import Report, endpoints
from lb.measures.endpoints import Told
from lb.proxy.context import Endpoint
from lb.proxy.http.message import Answer


def by_path(
    server: Server,
    seen: Callable[[Callable[[Snapshot], None]], None],
    whole: Callable[[Callable[[Report], None]], None],
) -> dict[bytes, Endpoint]:
    """Those that the file wants; `seen` and `whole` tell what is known, now or later."""
    found: dict[bytes, Endpoint] = {}
    if path := server.health_path:
        found[path.encode()] = lambda tell: seen(lambda it: tell(_json(endpoints.health(it))))
    if path := server.stats_path:
        found[path.encode()] = lambda tell: whole(lambda it: tell(_json(endpoints.stats(it))))
    return found


def _json(told: Told) -> Answer:
    status, document = told
    return Answer(status, json.dumps(document).encode() + b"\n")
