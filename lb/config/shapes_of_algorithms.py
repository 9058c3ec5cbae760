"""What editors are told of algorithms and their parameters, from the rows of the registry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields
from math import inf
from typing import Any, Literal, get_args, get_origin, get_type_hints

from lb.config.shapes import DURATION, Shape
from lb.strategies import Seconds, Spec
from lb.units import duration

PLAIN = {bool: "boolean", int: "integer", float: "number", str: "string"}


def any_of(rows: Mapping[str, Spec], broken: Iterable[str] = ()) -> Shape:
    """One of `rows`: by its name, as `name:parameter=value,...`, or as a table.

    Plug-ins that cannot be loaded, `broken`, are none.
    """
    names = [{"const": row.name, "description": _about(row)} for row in rows.values()]
    known = "|".join(rows)
    texts = {"type": "string", "pattern": rf"^({known}):.*$", "examples": ["p2c:choices=3"]}
    return {"anyOf": [*names, texts, *map(_table, rows.values())]}


def _table(row: Spec) -> Shape:
    hints = get_type_hints(row.params, include_extras=True)
    defaults = {it.name: it.default for it in fields(row.params) if it.default is not MISSING}
    properties: dict[str, Shape] = {"name": {"const": row.name, "description": _about(row)}}
    for name, _, text in row.manual():
        shape = _shape(hints[name])
        default = defaults.get(name)
        if isinstance(default, bool | int | float | str) and default != inf:
            shape["default"] = duration(float(default)) if hints[name] == Seconds else default
        properties[name] = {**shape, "description": " ".join(text.split())}
    return {
        "type": "object",
        "title": row.name,
        "properties": properties,
        "required": ["name"],
        "additionalProperties": False,
    }


def _about(row: Spec) -> str:
    return f"{row.summary}. Wrong when {row.avoid_when}."


def _shape(hint: Any) -> Shape:
    if get_origin(hint) is Literal:
        return {"enum": list(get_args(hint))}
    return dict(DURATION) if hint == Seconds else {"type": PLAIN[hint]} if hint in PLAIN else {}
