"""What the proxy answers by itself on its own port: /lb-health and /lb-stats."""

from __future__ import annotations

import json

from lb.balancing import Snapshot
from lb.measures import Report, endpoints
from lb.measures.endpoints import Told
from lb.proxy.http.message import Answer


def health(snapshot: Snapshot) -> Answer:
    """Whether somebody would be served."""
    return _json(endpoints.health(snapshot))


def stats(report: Report) -> Answer:
    """All that is counted."""
    return _json(endpoints.stats(report))


def _json(told: Told) -> Answer:
    status, document = told
    return Answer(status, json.dumps(document).encode() + b"\n")
