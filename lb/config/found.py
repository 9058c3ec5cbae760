"""A file of backends alone, which somebody else writes: the rows of `[[backend]]`, TOML or JSON."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, ValidationError, field_validator

from lb.config.model import BackendTable, distinct
from lb.config.places import Origin, Place, lines_of, lines_of_json
from lb.config.problems import not_toml, problems
from lb.config.values import Table
from lb.errors import ConfigError

TABLE = "backend"


class _Rows(Table):
    rows: Annotated[tuple[BackendTable, ...], Field(alias=TABLE, strict=False)]

    @field_validator("rows")
    @classmethod
    def _distinct(cls, rows: tuple[BackendTable, ...]) -> tuple[BackendTable, ...]:
        return distinct(rows)


def backends_in(text: str, source: str) -> tuple[BackendTable, ...]:
    """Its backends; JSON where `source`, its path, ends in .json, and may be a bare list there.

    Raises ConfigError, also where it holds none.
    """
    data, lines = _json(text, source) if source.lower().endswith(".json") else _toml(text, source)
    origin = Origin(source, lines)
    try:
        rows = _Rows.model_validate(data, context=origin, by_alias=True, by_name=False).rows
    except ValidationError as error:
        raise ConfigError(problems(error, _Rows, origin)) from None
    if not rows:
        raise ConfigError([f"{origin.at((TABLE,))}: holds no backends"])
    return rows


def _toml(text: str, source: str) -> tuple[Mapping[str, Any], dict[Place, int]]:
    try:
        return tomllib.loads(text), lines_of(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError([not_toml(text, source, error)]) from None


def _json(text: str, source: str) -> tuple[Any, dict[Place, int]]:
    try:
        data = json.loads(text)
        lines = lines_of_json(text)
    except json.JSONDecodeError as error:
        why = f"not JSON: {error.msg} (column {error.colno})"
        raise ConfigError([f"{source}:{error.lineno} file: {why}"]) from None
    except (ValueError, RecursionError):  # digits without end, brackets without end
        raise ConfigError([f"{source}:1 file: not JSON that can be read"]) from None
    if isinstance(data, list):
        return {TABLE: data}, {(TABLE, *place): line for place, line in lines.items()}
    return data, lines
