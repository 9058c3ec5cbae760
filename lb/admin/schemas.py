"""What the control plane takes and gives, as JSON Schema (2020-12)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lb.admin.control import STATES

Schema = Mapping[str, Any]

ANY: Schema = {"type": "object"}
TEXT: Schema = {"type": "string"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_NUMBER: Schema = {"type": "number"}
_BOOLEAN: Schema = {"type": "boolean"}
_MAYBE: Schema = {"type": ["number", "null"]}
_COUNTS: Schema = {"type": "object", "additionalProperties": _COUNT}
_WEIGHT: Schema = {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1e9}


def _object(properties: Mapping[str, Schema], **more: Any) -> Schema:
    """All of these, and maybe others."""
    return {"type": "object", "properties": properties, "required": list(properties), **more}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


ERROR = _object({"error": TEXT, "message": TEXT, "hint": TEXT})
_COMMON: Mapping[str, Schema] = {
    "address": TEXT,
    "name": TEXT,
    "state": {"enum": ["up", "down", "drain", "maint", "ejected", "unknown"]},
    "healthy": _BOOLEAN,
    "connections": _COUNT,
    "response_time_ms": _MAYBE,
}
BACKEND = _object(
    {
        **_COMMON,
        "weight": _NUMBER,
        "effective_weight": _NUMBER,
        "last_health_check": _MAYBE,
        "reason": TEXT,
        "checks": _COUNT,
        "checks_failed": _COUNT,
        "checks_lost": _COUNT,
        "went_down": _COUNT,
        "last_change": _MAYBE,
        "change_reason": TEXT,
        "usable": _BOOLEAN,
        "panic": _BOOLEAN,
        "draining": _BOOLEAN,
        "priority": _COUNT,
        "zone": TEXT,
        "max_in_flight": {"type": ["integer", "null"]},
        "ejected": _BOOLEAN,
        "ejections": _COUNT,
        "ejected_for": _MAYBE,
        "picked": _COUNT,
        "succeeded": _COUNT,
        "failed": _COUNT,
        "gone": _COUNT,
        "cancelled": _COUNT,
    }
)
WORKER = _object(
    {
        "pid": _COUNT,
        "started_at": _NUMBER,
        "clients": _COUNT,
        "requests": _COUNT,
        "loop_lag": _NUMBER,
        "descriptors": _COUNT,
    }
)
HEALTH = _object(
    {
        "status": {"enum": ["ok", "unavailable"]},
        "healthy_backends": _COUNT,
        "total_backends": _COUNT,
        "backends": _list(_object(_COMMON)),
    }
)
_STATS: Mapping[str, Schema] = {
    "algorithm": TEXT,
    "build": TEXT,
    "requests": _COUNT,
    "retried": _COUNT,
    "retry_refused": _COUNTS,
    "backing_off": _COUNT,
    "hedged": _COUNT,
    "hedges_won": _COUNT,
    "hedge_refused": _COUNTS,
    "refused": _COUNTS,
    "connections_refused": _COUNTS,
    "turned_away": _COUNT,
    "left_line": _COUNT,
    "waiting": _COUNT,
    "panic": _BOOLEAN,
    "loop_lag": _NUMBER,
    "shedding": _NUMBER,
    "ejections_withheld": _COUNT,
    "workers": _list(WORKER),
    "backends": _list(BACKEND),
    "departed": _COUNTS,
}
STATS = _object(_STATS)
PICKS = _object(
    {
        "schema": {"const": 1},
        "picks": _list(
            _object(
                {
                    "seconds_ago": _NUMBER,
                    "key": TEXT,
                    "avoided": _list(TEXT),
                    "backend": {"type": ["string", "null"]},
                    "why": TEXT,
                    "rule": {"enum": ["lowest", "highest", "drawn", "found", ""]},
                    "measure": TEXT,
                    "candidates": _list(
                        _object(
                            {
                                "backend": TEXT,
                                "figure": _MAYBE,
                                "in_flight": _COUNT,
                                "weight": _NUMBER,
                            }
                        )
                    ),
                }
            )
        ),
    }
)
SNAPSHOT = _object(
    {
        **_STATS,
        "schema": {"const": 1},
        "version": TEXT,
        "settings": ANY,
        "retry_budget": _NUMBER,
        "dropped": _COUNTS,
        "certificates": {"type": "object", "additionalProperties": _NUMBER},
        "traffic": ANY,
        "latency": {"type": "object", "additionalProperties": _MAYBE},
    }
)
FORECAST = _object(
    {"schema": {"const": 1}, "state": {"enum": ["none", "working", "ready", "failed"]}}
)
CONFIG = _object({"algorithm": _object({"name": TEXT}), "server": ANY, "backend": _list(ANY)})
CHANGE: Schema = {
    "type": "object",
    "properties": {"state": {"enum": list(STATES)}, "weight": _WEIGHT},
    "additionalProperties": False,
    "minProperties": 1,
}
NEW_BACKEND: Schema = {
    "type": "object",
    "properties": {
        "address": TEXT,
        "name": TEXT,
        "weight": _WEIGHT,
        "priority": _COUNT,
        "zone": TEXT,
        "max_in_flight": {"anyOf": [{"type": "integer", "minimum": 1}, {"const": "adaptive"}]},
    },
    "required": ["address"],
    "additionalProperties": False,
}
REMOVED = _object(
    {"name": TEXT, "address": TEXT, "state": {"const": "removed"}, "connections": _COUNT}
)
NEW_ALGORITHM: Schema = {
    "type": "object",
    "properties": {"name": TEXT},
    "required": ["name"],
    "additionalProperties": {"type": ["string", "number", "boolean"]},
}
ALGORITHM = _object({"name": TEXT, "settings": ANY, "notes": _list(TEXT)})
RELOADED = _object({"reloaded": {"const": True}, "not_changed": _list(TEXT)})
STOPPING = _object({"stopping": {"const": True}})
