"""Mistakes in a file, each with its place: `file:line key: why`.

Pydantic says what is wrong and where in the data; the text says on which line that is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from lb.errors import nearest

Place = tuple[str | int, ...]

_HEADER = re.compile(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"\s*([A-Za-z0-9_\-.]+)\s*=")


RENAMED = {"verify": "verdict"}
"""Tables that have another name than they once had."""


def problems(text: str, source: str, error: ValidationError, root: type[BaseModel]) -> list[str]:
    """One line per mistake in `text`, in the order of the lines; `source` is the file's name."""
    lines = _lines(text)
    found = []
    for details in error.errors():
        path, keys = _in_the_file(details["loc"], root)
        prefixes = (path[:n] for n in range(len(path), 0, -1))
        line = next((lines[prefix] for prefix in prefixes if prefix in lines), None)
        where = source if line is None else f"{source}:{line}"
        key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
        found.append(
            (line or 0, f"{where} {key.removeprefix('.') or 'file'}: {_why(details, keys)}")
        )
    return [problem for _, problem in sorted(found)]


def _lines(text: str) -> dict[Place, int]:
    """Line number of every table and key, by path."""
    places: dict[Place, int] = {}
    counts: dict[str, int] = {}
    table: Place = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            name = header[2]
            if header[1] == "[[":
                counts[name] = counts.get(name, -1) + 1
            table = tuple(_with_indices(name, counts))
            places.setdefault(table[:1], number)
            places.setdefault(table, number)
        elif key := _KEY.match(line):
            places.setdefault((*table, *key[1].split(".")), number)
    return places


def _with_indices(name: str, counts: Mapping[str, int]) -> Iterator[str | int]:
    parts = name.split(".")
    for i, part in enumerate(parts, 1):
        yield part
        if (prefix := ".".join(parts[:i])) in counts:
            yield counts[prefix]


def _in_the_file(loc: Place, root: type[BaseModel]) -> tuple[Place, list[str]]:
    """The path as the file has it, and the keys its last table knows.

    Pydantic's path has one more level for each table chosen by its `law` or `process`.
    """
    path: list[str | int] = []
    tables: list[type[BaseModel]] = [root]
    keys = list(_keys(root))
    for part in loc:
        chosen = [table for table in tables if part in _tags(table)]
        if chosen:
            tables = chosen
            continue
        path.append(part)
        if isinstance(part, str) and tables:
            fields = _keys(tables[0])
            keys = list(fields)
            tables = _tables_in(fields.get(part))
    return tuple(path), keys


def _keys(table: type[BaseModel]) -> dict[str, Any]:
    return {field.alias or name: field.annotation for name, field in table.model_fields.items()}


def _tags(table: type[BaseModel]) -> tuple[object, ...]:
    for tag in ("law", "process"):
        if tag in table.model_fields:
            return get_args(table.model_fields[tag].annotation)
    return ()


def _tables_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [table for part in get_args(annotation) for table in _tables_in(part)]


def _why(error: Any, keys: list[str]) -> str:
    given = error["input"]
    match error["type"]:
        case "extra_forbidden":
            key = str(error["loc"][-1])
            if error["loc"] in {(name,) for name in RENAMED}:
                return f"this table is called [{RENAMED[key]}]"
            return f"unknown key; {nearest(key, keys)}"
        case "missing":
            return "missing"
        case "value_error":
            return str(error["ctx"]["error"])
        case "union_tag_invalid":
            tag = error["ctx"]["discriminator"].strip("'")
            known = error["ctx"]["expected_tags"].replace("'", "").split(", ")
            return f"unknown {tag} {error['ctx']['tag']!r}; {nearest(error['ctx']['tag'], known)}"
        case "union_tag_not_found":
            return f"key {error['ctx']['discriminator']} is missing"
        case "literal_error":
            known = error["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", ")
            return f"{given!r} is none of: {', '.join(known)}"
    reason = error["msg"].removeprefix("Input should be ").removeprefix("a valid ")
    return f"should be {reason}, not {given!r}"
