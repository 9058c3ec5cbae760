"""What charts are drawn from: counts that only grow, so that whoever looks twice has the rest."""

from __future__ import annotations

from collections import Counter
from typing import Any

from lb.measures import Report


def traffic(report: Report) -> dict[str, Any]:
    """The key `traffic` of `GET /v1/snapshot`.

    `latency`: good answers by fine bucket of their duration (`lb.measures.histogram`), as clients
    see them. `outcomes`: requests by how they ended, "ok" or the code of an error. `attempts`: of
    each backend, how many attempts ended well, and the seconds that they took.
    """
    latency: Counter[int] = Counter()
    outcomes: Counter[str] = Counter()
    for series, durations in report.server.items():
        outcomes[series.outcome] += durations.count
        if series.outcome == "ok":
            latency.update(durations.fine)
    attempts: dict[str, dict[str, float]] = {}
    for series, durations in report.client.items():
        if series.outcome == "ok":
            of = attempts.setdefault(series.backend, {"count": 0, "seconds": 0.0})
            of["count"] += durations.count
            of["seconds"] = round(of["seconds"] + durations.sum, 6)
    return {
        "latency": {str(bucket): latency[bucket] for bucket in sorted(latency)},
        "outcomes": dict(outcomes),
        "attempts": attempts,
    }
