"""A strict reading of Envoy's published schema: fields by name, values by type.

`envoy_v3.json` holds it, as far as exports go: message -> field -> type, where [] is a list of it,
{} a map to it, and `any` names its type itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

BOOTSTRAP = "envoy.config.bootstrap.v3.Bootstrap"
PREFIX = "type.googleapis.com/"
SCALARS = {
    "string": lambda it: isinstance(it, str),
    "bool": lambda it: isinstance(it, bool),
    "uint": lambda it: str(it).isdecimal() and not isinstance(it, bool),
    "int": lambda it: re.fullmatch(r"-?\d+", str(it)) is not None and not isinstance(it, bool),
    "number": lambda it: isinstance(it, int | float) and not isinstance(it, bool),
    "duration": lambda it: isinstance(it, str) and re.fullmatch(r"\d+(\.\d+)?s", it) is not None,
    "struct": lambda it: isinstance(it, dict),
}


@cache
def schema() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(__file__).with_name("envoy_v3.json").read_text())
    return found


def strangers(value: Any, kind: str = BOOTSTRAP, path: str = "") -> Iterator[str]:
    """What is not as the schema has it, by its path."""
    if kind.startswith("[]"):
        if not isinstance(value, list):
            yield f"{path}: no list"
            return
        for number, row in enumerate(value):
            yield from strangers(row, kind[2:], f"{path}[{number}]")
    elif kind.startswith("{}"):
        for key, row in value.items():
            yield from strangers(row, kind[2:], f"{path}.{key}")
    elif kind in SCALARS:
        if not SCALARS[kind](value):
            yield f"{path}: {value!r} is no {kind}"
    elif kind in schema()["enums"]:
        if value not in schema()["enums"][kind]:
            yield f"{path}: {value!r} is none of {kind}"
    elif kind == "any":
        inner = {key: it for key, it in value.items() if key != "@type"}
        yield from strangers(inner, value.get("@type", "").removeprefix(PREFIX), path)
    elif kind not in schema()["messages"]:
        yield f"{path}: unknown type {kind!r}"
    else:
        fields = schema()["messages"][kind]
        for key, row in value.items():
            if key not in fields:
                yield f"{path}.{key}: unknown field of {kind}"
            else:
                yield from strangers(row, fields[key], f"{path}.{key}")
