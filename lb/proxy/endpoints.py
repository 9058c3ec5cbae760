"""What the balancer says about itself: /lb-health and /lb-stats."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lb import BUILD
from lb.balancing import BackendView, Snapshot
from lb.proxy.http.message import Answer


def health(snapshot: Snapshot) -> Answer:
    """200 while some backend is usable, and not for want of others only; 503 otherwise."""
    backends = snapshot.backends
    usable = any(backend.usable and not backend.panic for backend in backends)
    document = {
        "status": "ok" if usable else "unavailable",
        "healthy_backends": sum(backend.healthy for backend in backends),
        "total_backends": len(backends),
        "backends": [_common(backend) for backend in backends],
    }
    return _json(200 if usable else 503, document)


def stats(snapshot: Snapshot, refused: Mapping[str, int], loop_lag: float) -> Answer:
    """All that is counted; each backend's books balance, and so do those of the whole.

    `refused` counts what the proxy has told no by itself, by reason;
    `loop_lag` is how late the event loop was when it was looked at last, in seconds.
    """
    return _json(
        200,
        {
            "algorithm": snapshot.algorithm,
            "build": BUILD.name,
            "requests": snapshot.requests,
            "retried": snapshot.retried,
            "retry_refused": snapshot.retry_refused,
            "backing_off": snapshot.backing_off,
            "hedged": snapshot.hedged,
            "hedges_won": snapshot.hedges_won,
            "hedge_refused": snapshot.hedge_refused,
            "refused": {**snapshot.refused, **refused},
            "turned_away": snapshot.turned_away,
            "left_line": snapshot.left_line,
            "waiting": snapshot.waiting,
            "panic": snapshot.panic,
            "loop_lag": round(loop_lag, 6),
            "shedding": _rounded(snapshot.shedding),
            "ejections_withheld": snapshot.ejections_withheld,
            "backends": [
                {
                    **_common(backend),
                    "weight": backend.weight,
                    "effective_weight": backend.effective_weight,
                    "last_health_check": _rounded(backend.last_check),
                    "reason": backend.why,
                    "checks": backend.checks,
                    "checks_failed": backend.checks_failed,
                    "checks_lost": backend.checks_lost,
                    "went_down": backend.went_down,
                    "last_change": _rounded(backend.last_change),
                    "change_reason": backend.change,
                    "usable": backend.usable,
                    "panic": backend.panic,
                    "draining": backend.draining,
                    "priority": backend.priority,
                    "zone": backend.zone,
                    "max_in_flight": backend.max_in_flight,
                    "ejected": backend.ejected,
                    "ejections": backend.ejections,
                    "ejected_for": _rounded(backend.ejected_for),
                    "picked": backend.picked,
                    "succeeded": backend.succeeded,
                    "failed": backend.failed,
                    "gone": backend.gone,
                    "cancelled": backend.cancelled,
                }
                for backend in snapshot.backends
            ],
        },
    )


def _common(backend: BackendView) -> dict[str, Any]:
    seconds = backend.response_time
    return {
        "address": backend.address,
        "name": backend.name,
        "state": backend.state,
        "healthy": backend.healthy,
        "connections": backend.connections,
        "response_time_ms": None if seconds is None else _rounded(seconds * 1e3),
    }


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 3)


def _json(status: int, document: object) -> Answer:
    return Answer(status, json.dumps(document).encode() + b"\n")
