"""What editors are told of values that the file writes in a form of its own, as JSON Schema.

A pattern is as strict as it can be; what it lets pass that is wrong, reading the file refuses.
"""

from __future__ import annotations

from typing import Any

from lb.units import SIZES, UNITS

Shape = dict[str, Any]

DURATION: Shape = {
    "type": "string",
    "pattern": rf"^\s*\d+(\.\d+)?\s*({'|'.join(UNITS)})\s*$",
    "examples": ["250ms", "1.5s", "5m"],
}
SIZE: Shape = {
    "anyOf": [
        {
            "type": "string",
            "pattern": rf"^\s*\d+\s*({'|'.join(SIZES)})\s*$",
            "examples": ["8KiB", "1MiB"],
        },
        {"type": "integer", "minimum": 0},
    ]
}
HOST, SOCKET = r"(\[[0-9A-Fa-f:.]+(%\w+)?\]|[^\s:/*\[\]]+)", "unix:/[!-)+-~]*"
PLACE = rf"({HOST}:\d{{1,5}}|{SOCKET})"
BACKEND_PLACE = rf"({HOST}:0*[1-9]\d{{0,4}}|{SOCKET})"
ADDRESS: Shape = {
    "type": "string",
    "pattern": f"^{PLACE}$",
    "examples": ["127.0.0.1:3001", "[::1]:3001", "web.internal:80", "unix:/run/web.sock"],
}
NAME: Shape = {"type": "string", "maxLength": 300, "pattern": r"^[^\x00-\x1f\x7f-\x9f]*$"}
WEIGHT: Shape = {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1e9}
PATH: Shape = {"type": "string", "pattern": "^/[!-~]*$", "examples": ["/health"]}
PATH_OR_NONE: Shape = {"type": "string", "pattern": "^(/[!-~]*)?$"}
KEY: Shape = {
    "type": "string",
    "pattern": r"^(client_ip|path|uri|(header|cookie):[!#$%&'*+.^_`|~0-9A-Za-z-]+)$",
    "examples": ["client_ip", "header:X-User", "cookie:session", "path", "uri"],
}
WORKERS: Shape = {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 256}, {"const": "auto"}]}
IN_FLIGHT: Shape = {"anyOf": [{"type": "integer", "minimum": 1}, {"const": "adaptive"}]}
PORT: Shape = {"type": "integer", "minimum": 1, "maximum": 65535}
STATUS = r"[1-5]\d\d(-[1-5]\d\d)?"
STATUSES: Shape = {
    "anyOf": [
        {
            "type": "string",
            "pattern": rf"^\s*{STATUS}\s*(,\s*{STATUS}\s*)*$",
            "examples": ["200-299", "200,204"],
        },
        {"type": "integer", "minimum": 100, "maximum": 599},
        {"type": "array", "minItems": 1, "items": {"type": ["string", "integer"]}},
    ]
}
LAW: Shape = {
    "type": "string",
    "pattern": r"^\s*[a-z_]+\s*(:.*)?$",
    "examples": ["exponential:20ms", "lognormal:20ms,cv=1"],
}
COUNT: Shape = {"type": "integer", "minimum": 1}
HEDGE: Shape = {
    "type": "string",
    "pattern": rf"^(p\d+|{DURATION['pattern'].strip('^$')})$",
    "examples": ["p95", "50ms"],
}
WARMUP: Shape = {"anyOf": [{"const": "auto"}, DURATION]}
POINTS: Shape = {
    "type": "array",
    "minItems": 1,
    "items": {"type": "array", "prefixItems": [DURATION, {"type": "number"}], "items": False},
}
OUTCOME: Shape = {
    "anyOf": [
        {"enum": ["connect", "reset", "timeout", "server_error"]},
        {"type": "integer", "minimum": 400, "maximum": 599},
    ]
}
BACKEND: Shape = {
    "type": "string",
    "pattern": rf"^\s*{BACKEND_PLACE}(\*\d+(\.\d+)?)?\s*$",
    "examples": ["127.0.0.1:3001", "127.0.0.1:3001*5"],
}


class Also:
    """A form that a value may have instead of what its type says."""

    def __init__(self, *forms: Shape) -> None:
        self._forms = forms

    def __get_pydantic_json_schema__(self, core: Any, handler: Any) -> Shape:
        return {"anyOf": [*self._forms, handler(core)]}
