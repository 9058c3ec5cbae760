"""A whole file as it takes effect: every key with its value, what the file leaves out included.

What comes of it can be read again, and is the same scenario.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lb.config.scenario import Scenario
from lb.config.toml import Unsaid, toml
from lb.config.values import WRITTEN

FIRST = ("process", "law", "kind", "address", "name")
"""Keys that stand before the others of their table."""
LAST = (
    *("backend", "discovery", "shared", "traffic", "fault", "run", "expect", "verdict"),
    "calibration",
)
"""Tables that stand behind all others, in this order."""


def _checks_nobody_reads(file: Scenario) -> list[str]:
    return ["path", "expect"] if file.health.kind == "tcp" else []


def _pace_of_checks(file: Scenario) -> list[str]:
    """Given, it holds for backends with an interval of their own as well."""
    return ["fast_interval"] if any(row.health for row in file.backends) else []


def _tries_without_budget(file: Scenario) -> list[str]:
    return ["max"] if file.retries.budget == file.retries.min_per_second == 0 else []


def _where_else_it_listens(file: Scenario) -> list[str]:
    return ["listen"] if file.listeners else []


IMPLIED: tuple[tuple[str, Callable[[Scenario], list[str]]], ...] = (
    ("server", _where_else_it_listens),
    ("health", _checks_nobody_reads),
    ("health", _pace_of_checks),
    ("retries", _tries_without_budget),
)
"""Keys of a table that say more, or contradict others, when a file gives them: who leaves them out
finds them left out."""


def effective(file: Scenario) -> dict[str, Any]:
    """Its tables as a file has them, every key of them but those that are off or implied."""
    tables: dict[str, Any] = _without(_tables(file))
    return tables


def effective_text(file: Scenario) -> str:
    """The same as TOML; what is implied stands there as a comment."""
    return toml(_tables(file))


def _tables(file: Scenario) -> dict[str, Any]:
    data = file.model_dump(by_alias=True, exclude_none=True, context=WRITTEN)
    for row, written in zip(file.backends, data["backend"], strict=True):
        if row.health is not None:  # names what differs from [health], and nothing else
            written["health"] = row.health.model_dump(
                by_alias=True, exclude_unset=True, exclude_none=True, context=WRITTEN
            )
    for source, written in zip(file.discovery, data["discovery"], strict=True):
        for (key, *deeper), _ in source.useless():
            if not deeper:
                written.pop(key)
        written["backend"] = source.backend.model_dump(  # what backends do not say themselves
            by_alias=True, exclude_unset=True, exclude_none=True, context=WRITTEN
        )
        if not written["backend"]:
            del written["backend"]
    for name, implied in IMPLIED:
        given = getattr(file, name).model_fields_set
        for key in implied(file):
            if key not in given:
                data[name][key] = Unsaid(data[name][key])
    if not file.algorithm.settings:
        data["algorithm"] = file.algorithm.name
    settled = {name: data.pop(name) for name in LAST if name in data}
    tables = {name: table for name, table in {**data, **settled}.items() if table not in ((), {})}
    return {name: _kind_first(table) for name, table in tables.items()}


def _kind_first(value: Any) -> Any:
    """Tables of several kinds say first which one they are, and rows who."""
    if isinstance(value, dict):
        order = [*(key for key in FIRST if key in value), *value]
        return {key: _kind_first(value[key]) for key in order}
    return [_kind_first(it) for it in value] if isinstance(value, list | tuple) else value


def _without(value: Any) -> Any:
    """`value` as JSON has it, without what is unsaid."""
    if isinstance(value, dict):
        kept = {key: it for key, it in value.items() if not isinstance(it, Unsaid)}
        return {key: _without(it) for key, it in kept.items()}
    return [_without(it) for it in value] if isinstance(value, list | tuple) else value
