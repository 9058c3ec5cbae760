"""Mistakes in a file, each with its place: `file:line key: why`.

Pydantic says what is wrong and where in the data; the origin says on which line that is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import date, time
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from lb.config.places import Origin, Place
from lb.config.values import Mistakes
from lb.errors import nearest
from lb.errors import written as as_written

MOVED = {
    ("verify",): "this table is called [verdict]",
    ("server", "access_log"): "this is a table of its own, [access_log]",
}
"""What once stood elsewhere, or had another name."""

_KINDS = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "a text in quotes",
    "tuple_type": "a list",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "dict_type": "a table",
}
"""What pydantic wants, as the file calls it."""

_ENDLESS = re.compile(r"[0-9_]{4300,}")


def problems(error: ValidationError, root: type[BaseModel], origin: Origin) -> list[str]:
    """One line per mistake, in the order of the file's lines."""
    return written(mistakes(error, root), origin)


def mistakes(error: ValidationError, root: type[BaseModel]) -> list[tuple[Place, str]]:
    """Where in the file each is, and what."""
    return [mistake for details in error.errors() for mistake in _mistakes(details, root)]


def written(found: Iterable[tuple[Place, str]], origin: Origin) -> list[str]:
    """One line per mistake, in the order of the file's lines."""
    ordered = sorted(found, key=lambda mistake: origin.line(mistake[0]))
    return [f"{origin.at(path)}: {why}" for path, why in ordered]


def wrong_tables(error: ValidationError, root: type[BaseModel]) -> set[str]:
    """The fields of `root` that are wrong in themselves, and keys that it does not know."""
    names = {field.alias or name: name for name, field in root.model_fields.items()}
    keys = {str(details["loc"][0]) for details in error.errors() if details["loc"]}
    return {names.get(key, key) for key in keys}


def not_toml(text: str, source: str, error: Exception) -> str:
    """The line that says so of `text` and of the place where it ends to be TOML."""
    if isinstance(error, RecursionError):
        return f"{source}:1 file: not TOML that can be read: nested too deeply"
    why, at, rest = str(error).partition(" (at ")
    spot = re.fullmatch(r"line (\d+), column (\d+)\)", rest)
    if spot is not None:
        return f"{source}:{spot[1]} file: not TOML: {why} (column {spot[2]})"
    if at:
        return f"{source}:{max(len(text.splitlines()), 1)} file: not TOML: {why} (the file's end)"
    number = _ENDLESS.search(text)  # the one mistake of which tomllib does not know the line
    line = text.count("\n", 0, number.start()) + 1 if number else 1
    return f"{source}:{line} file: not TOML that can be read: a number of too many digits"


def _mistakes(details: Any, root: type[BaseModel]) -> Iterator[tuple[Place, str]]:
    path, keys = _in_the_file(details["loc"], root)
    cause = details.get("ctx", {}).get("error")
    if isinstance(cause, Mistakes):
        for inside, why in cause.found:
            yield (*path, *inside), why
    else:
        yield path, _why(details, keys)


def _in_the_file(loc: Place, root: type[BaseModel]) -> tuple[Place, list[str]]:
    """The path as the file has it, and the keys its last table knows.

    Pydantic's path has one more level for each table chosen by its `law`, `process` or `kind`.
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
            named = tables[0].model_fields.get(part)  # in code, by the name of the attribute
            tables = _tables_in(named.annotation if named else fields.get(part))
    return tuple(path), keys


def _keys(table: type[BaseModel]) -> dict[str, Any]:
    return {field.alias or name: field.annotation for name, field in table.model_fields.items()}


def _tags(table: type[BaseModel]) -> tuple[object, ...]:
    for tag in ("process", "law", "kind"):  # a process may have a law
        if tag in table.model_fields:
            return get_args(table.model_fields[tag].annotation)
    return ()


def _tables_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [table for part in get_args(annotation) for table in _tables_in(part)]


def _why(error: Any, keys: list[str]) -> str:
    value = error["input"]
    given = str(value) if isinstance(value, date | time) else as_written(value)
    match error["type"]:
        case "extra_forbidden":
            key = str(error["loc"][-1])
            if error["loc"] in MOVED:
                return MOVED[error["loc"]]
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
            return f"{given} is none of: {', '.join(known)}"
    kind = _KINDS.get(error["type"])
    reason = kind or error["msg"].removeprefix("Input should be ").removeprefix("a valid ")
    return f"should be {reason}, not {given}"
