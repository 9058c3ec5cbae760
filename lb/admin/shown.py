"""What there is to see: the whole report, the file in force, and what the proxy's port tells."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from lb import __version__
from lb.admin.traffic import traffic
from lb.balancing import BackendView, Pick
from lb.config import Scenario, effective
from lb.measures import Report
from lb.measures.endpoints import stats

SECRET = 8
"""Characters of a key that may be a secret which are shown."""
SHARES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}


def snapshot(report: Report) -> dict[str, Any]:
    """Everything: what `/lb-stats` tells, and what was measured."""
    _, told = stats(report)
    settings = report.snapshot.settings
    whole = traffic(report)
    return {
        "schema": 1,
        "version": __version__,
        **told,
        "settings": {name: _plain(value) for name, value in settings.items()},
        "retry_budget": report.snapshot.retry_budget,
        "dropped": dict(report.dropped),
        "certificates": dict(report.certificates),
        "traffic": whole,
        "latency": latency(report),
        "backends": [_row(row, report) for row in told["backends"]],
    }


def latency(report: Report) -> dict[str, float | None]:
    """Of good answers since the start, in seconds, as clients saw it; null while there is none."""
    return {name: report.good.quantile(share) for name, share in SHARES.items()}


def _row(row: dict[str, Any], report: Report) -> dict[str, Any]:
    connections = report.connections.get(row["name"])
    busy, idle = (0, 0) if connections is None else (connections.busy, connections.idle)
    return {**row, "open_connections": {"active": busy, "idle": idle}}


def picks(found: Sequence[Pick], now: float, *, secret: bool) -> dict[str, Any]:
    """The object of `/v1/picks`, the newest first; keys that are `secret` only begin there."""
    return {
        "schema": 1,
        "picks": [
            {"seconds_ago": max(now - pick.now, 0.0), **pick.as_dict(SECRET if secret else None)}
            for pick in reversed(found)
        ],
    }


def config(scenario: Scenario, report: Report) -> dict[str, Any]:
    """The tables in force, as a file has them, with what was changed since it was read.

    Of secrets it names the files alone.
    """
    told: dict[str, Any] = _without_passwords(effective(scenario))
    snapshot = report.snapshot
    settings = {name: _plain(value) for name, value in snapshot.settings.items()}
    told["algorithm"] = {"name": snapshot.algorithm, **settings}
    rows = zip(scenario.backends, told.get("backend", ()), strict=True)
    written = {backend.label: row for backend, row in rows}
    told["backend"] = [
        {**written.get(backend.name, _added(backend)), "weight": backend.weight}
        for backend in snapshot.backends
    ]
    return told


def _added(backend: BackendView) -> dict[str, Any]:
    return {
        "address": backend.address,
        "name": "" if backend.name == backend.address else backend.name,
        "priority": backend.priority,
        "zone": backend.zone,
        **({} if backend.max_in_flight is None else {"max_in_flight": backend.max_in_flight}),
    }


_USER = re.compile(r"(?<=://)[^/@\s]*@")


def _without_passwords(value: Any) -> Any:
    """URLs may have some."""
    if isinstance(value, dict):
        return {key: _without_passwords(it) for key, it in value.items()}
    if isinstance(value, list):
        return [_without_passwords(it) for it in value]
    return _USER.sub("***@", value) if isinstance(value, str) else value


def _plain(value: object) -> object:
    return value if isinstance(value, str | int | float | bool) else str(value)
