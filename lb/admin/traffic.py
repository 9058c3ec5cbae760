"""What charts are drawn from: counts that only grow, so that whoever looks twice has the rest."""

from __future__ import annotations

from typing import Any

from lb.measures import Report


def traffic(report: Report) -> dict[str, Any]:
    """The key `traffic` of `GET /v1/snapshot`.

    `latency`: good answers by fine bucket of their duration (`lb.measures.histogram`), as clients
    see them. `outcomes`: requests by how they ended, "ok" or the code of an error. `attempts`: of
    each backend, how many attempts ended well, and the seconds that they took.
    """
    attempts: dict[str, dict[str, float]] = {}
    for series, durations in report.client.items():
        if series.outcome == "ok":
            of = attempts.setdefault(series.backend, {"count": 0, "seconds": 0.0})
            of["count"] += durations.count
            of["seconds"] = round(of["seconds"] + durations.sum, 6)
    return {
        "latency": {str(bucket): count for bucket, count in sorted(report.good.fine.items())},
        "outcomes": dict(report.ends),
        "attempts": attempts,
    }
