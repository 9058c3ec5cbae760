"""What the balancer says about itself: /lb-health and /lb-stats."""

from __future__ import annotations

import json
from typing import Any

from lb.balancing import Backend, Balancer


def health(balancer: Balancer[Any]) -> tuple[int, bytes]:
    """200 while some backend is usable, 503 otherwise."""
    backends = balancer.pool.backends
    usable = not balancer.pool.empty
    document = {
        "status": "ok" if usable else "unavailable",
        "healthy_backends": sum(backend.healthy for backend in backends),
        "total_backends": len(backends),
        "backends": [_common(backend) for backend in backends],
    }
    return (200 if usable else 503), _json(document)


def stats(balancer: Balancer[Any], now: float) -> tuple[int, bytes]:
    return 200, _json(
        {
            "algorithm": balancer.algorithm,
            "requests": balancer.admitted,
            "backends": [
                {
                    **_common(backend),
                    "weight": backend.weight,
                    "last_health_check": (
                        None if backend.checked_at is None else round(now - backend.checked_at, 3)
                    ),
                    "name": backend.name,
                    "state": backend.standing,
                    "picked": backend.picked,
                    "succeeded": backend.succeeded,
                    "failed": backend.failed,
                }
                for backend in balancer.pool.backends
            ],
        }
    )


def _common(backend: Backend) -> dict[str, Any]:
    seconds = backend.response_time
    return {
        "address": backend.address,
        "healthy": backend.healthy,
        "connections": backend.active,
        "response_time_ms": None if seconds is None else round(seconds * 1e3, 3),
    }


def _json(document: object) -> bytes:
    return json.dumps(document).encode() + b"\n"
