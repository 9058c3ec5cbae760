"""The file format as JSON Schema, for editors: every key with what its field says of it.

Made from the tables themselves. It knows types, units, names and ranges; what tables say against
each other, only reading a file tells.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from lb.balancing.setup import POLICIES
from lb.config.scenario import Scenario
from lb.config.shapes import DURATION, Shape
from lb.config.values import Table
from lb.strategies.spec import texts_under_fields
from lb.units import duration

DIALECT = GenerateJsonSchema.schema_dialect
"""2020-12."""


def schema() -> Shape:
    """What a file may say. Plug-ins that are installed are among the algorithms."""
    made = Scenario.model_json_schema(by_alias=True)
    tables = {table.__name__: table for table in _tables(Scenario)}
    for name, shape in made["$defs"].items():
        _tell(shape, tables[name])
    _tell(made, Scenario)
    made.update(title="lb.toml", description=_one_line(_Story.of(Scenario)))
    return {"$schema": DIALECT, **_tidied(made)}


def _tables(table: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """It and all that are in it, one by one, some several times."""
    yield table
    for field in table.model_fields.values():
        for inside in _named(field.annotation):
            yield from _tables(inside)


def _named(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [table for part in get_args(annotation) for table in _named(part)]


def _tell(shape: Shape, table: type[BaseModel]) -> None:
    """Put descriptions into what is the schema of `table`, one way to write it or the only one."""
    for form in (shape, *shape.get("anyOf", ())):
        if "properties" not in form:
            continue
        form["description"] = _one_line(_Story.of(table))
        texts = _Story.under_fields(table)
        for name, field in table.model_fields.items():
            told = texts.get(name) or " ".join(map(_Story.of, _named(field.annotation)[:1]))
            if told:
                form["properties"][field.alias or name]["description"] = _one_line(told)


class _Story:
    """What is written of a table and its fields, where they are defined."""

    @staticmethod
    def of(table: type[BaseModel]) -> str:
        text = inspect.cleandoc(table.__doc__ or "")
        return text.partition("\n\n>>> ")[0]

    @staticmethod
    def under_fields(table: type[BaseModel]) -> dict[str, str]:
        """Of a field that has no text here that of the policy which it is part of."""
        texts: dict[str, str] = {}
        names = {field.annotation: name for name, field in Scenario.model_fields.items()}
        if (policy := POLICIES.get(names.get(table, ""))) is not None:
            texts |= texts_under_fields(policy)
        for kind in reversed(table.__mro__):
            if issubclass(kind, Table) and kind is not Table:
                texts |= texts_under_fields(kind)
        return texts


def _one_line(text: str) -> str:
    """Paragraphs as they are, their lines joined."""
    return "\n\n".join(" ".join(part.split()) for part in re.split(r"\n\s*\n", text))


def _tidied(shape: Any) -> Any:
    """Without what TOML has not, null, and with what it is to be read as: a duration is a text."""
    if isinstance(shape, list):
        return [_tidied(it) for it in shape]
    if not isinstance(shape, dict):
        return shape
    tidy = {
        key: _tidied(it) for key, it in shape.items() if not (key == "title" and "type" in shape)
    }
    forms = tidy.get("anyOf")
    if forms is not None:
        forms = [form for form in forms if form != {"type": "null"}]
        tidy = {**tidy, "anyOf": forms} if len(forms) > 1 else {**_left(tidy, "anyOf"), **forms[0]}
    default = tidy.get("default")
    if tidy.get("pattern") == DURATION["pattern"] and isinstance(default, int | float):
        tidy["default"] = duration(default)
    elif default is None or isinstance(default, dict) or default == []:
        tidy.pop("default", None)
    return tidy


def _left(shape: Shape, key: str) -> Shape:
    return {name: it for name, it in shape.items() if name != key}
