"""What a balancer says about itself to whoever asks: /lb-health and /lb-stats, of a report."""

from __future__ import annotations

from typing import Any

from lb.balancing import BackendView, Snapshot
from lb.balancing.departures import total
from lb.measures.report import Report

Told = tuple[int, dict[str, Any]]
"""A status, and a document for JSON."""


def health(snapshot: Snapshot) -> Told:
    """200 while some backend is usable, and not for want of others only; 503 otherwise."""
    backends = snapshot.backends
    usable = any(backend.usable and not backend.panic for backend in backends)
    return 200 if usable else 503, {
        "status": "ok" if usable else "unavailable",
        "healthy_backends": sum(backend.healthy for backend in backends),
        "total_backends": len(backends),
        "backends": [_common(backend) for backend in backends],
    }


def stats(report: Report) -> Told:
    """All that is counted; each backend's books balance, and so do those of the whole."""
    snapshot = report.snapshot
    return 200, {
        "algorithm": snapshot.algorithm,
        "build": report.build,
        "requests": snapshot.requests,
        "retried": snapshot.retried,
        "retry_refused": dict(snapshot.retry_refused),
        "backing_off": snapshot.backing_off,
        "hedged": snapshot.hedged,
        "hedges_won": snapshot.hedges_won,
        "hedge_refused": dict(snapshot.hedge_refused),
        "refused": {**snapshot.refused, **report.refused},
        "connections_refused": dict(report.connections_refused),
        "turned_away": snapshot.turned_away,
        "left_line": snapshot.left_line,
        "waiting": snapshot.waiting,
        "panic": snapshot.panic,
        "loop_lag": round(report.lag, 6),
        "shedding": rounded(snapshot.shedding),
        "ejections_withheld": snapshot.ejections_withheld,
        "dropped": dict(report.dropped),
        "workers": workers(report),
        "backends": [row(backend) for backend in snapshot.backends],
        "departed": departed(snapshot),
        **({} if report.shadow is None else {"shadow": report.shadow}),
    }


def departed(snapshot: Snapshot) -> dict[str, int]:
    """Of all backends that have left: what balances the books of the whole."""
    counts = total(snapshot.departed.values())
    return {
        "connections": counts.connections,
        "picked": counts.picked,
        "succeeded": counts.succeeded,
        "failed": counts.failed,
        "gone": counts.gone,
        "cancelled": counts.cancelled,
    }


def workers(report: Report) -> list[dict[str, Any]]:
    """The processes that serve."""
    return [
        {
            "pid": worker.pid,
            "started_at": rounded(worker.started_at),
            "clients": worker.clients,
            "requests": worker.requests,
            "loop_lag": round(worker.lag, 6),
            "descriptors": worker.descriptors,
        }
        for worker in report.workers
    ]


def row(backend: BackendView) -> dict[str, Any]:
    """All that is known of one backend."""
    return {
        **_common(backend),
        "weight": backend.weight,
        "effective_weight": backend.effective_weight,
        "last_health_check": rounded(backend.last_check),
        "reason": backend.why,
        "checks": backend.checks,
        "checks_failed": backend.checks_failed,
        "checks_lost": backend.checks_lost,
        "went_down": backend.went_down,
        "last_change": rounded(backend.last_change),
        "change_reason": backend.change,
        "usable": backend.usable,
        "panic": backend.panic,
        "draining": backend.draining,
        "priority": backend.priority,
        "zone": backend.zone,
        "max_in_flight": backend.max_in_flight,
        "ejected": backend.ejected,
        "ejections": backend.ejections,
        "ejected_for": rounded(backend.ejected_for),
        "picked": backend.picked,
        "succeeded": backend.succeeded,
        "failed": backend.failed,
        "gone": backend.gone,
        "cancelled": backend.cancelled,
    }


def _common(backend: BackendView) -> dict[str, Any]:
    seconds = backend.response_time
    return {
        "address": backend.address,
        "name": backend.name,
        "state": backend.state,
        "healthy": backend.healthy,
        "connections": backend.connections,
        "response_time_ms": None if seconds is None else rounded(seconds * 1e3),
    }


def rounded(number: float | None) -> float | None:
    """To a thousandth."""
    return None if number is None else round(number, 3)
