"""A file with some of its keys changed, or with more or fewer backends."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from lb.config.scenario import Scenario
from lb.errors import ConfigError, UsageError


def changed(scenario: Scenario, changes: Mapping[str, object]) -> Scenario:
    """`scenario` with other values for some keys, each by its dotted path, as a file has them.

    `backend.model.workers` is that of every backend, `backend.0.model.workers` of the first. Raises
    UsageError for a path that leads nowhere and for values that are wrong there.

    >>> changed(Scenario(), {"retries.max": 0, "backend.1.weight": 3}).backends[1].weight
    3
    """
    if not changes:
        return scenario
    data = _written(scenario)
    for path, value in changes.items():
        _put(data, path, path.split("."), value)
    return _read(data, scenario, ", ".join(f"{path}={value}" for path, value in changes.items()))


def multiplied(scenario: Scenario, number: int) -> Scenario:
    """`scenario` with so many backends: the first of the file's, or all of them again and again.

    Those that come again have addresses of their own, which no fault of the file names. Raises
    UsageError when a fault names one that is gone.
    """
    data = _written(scenario)
    rows: list[dict[str, Any]] = data["backend"]
    if not rows:
        raise UsageError("the file has no backends of its own to multiply")
    more = []
    for place in range(len(rows), number):
        row, again = rows[place % len(rows)], place // len(rows) + 1
        port = str(row["address"]).rpartition(":")[2]
        name = f"{scenario.backends[place % len(rows)].label}-{again}"
        more.append({**deepcopy(row), "address": f"{place + 1}.again:{port}", "name": name})
    data["backend"] = [*rows[:number], *more]
    return _read(data, scenario, f"{number} backends")


def enlarged(scenario: Scenario, place: int) -> Scenario:
    """`scenario` with one backend more, like that of its `place`, at an address of its own.

    No fault strikes it. Raises UsageError.
    """
    data = _written(scenario)
    rows: list[dict[str, Any]] = data["backend"]
    like = scenario.backends[place]
    taken = {word for row in scenario.backends for word in (row.label, row.address)}
    number = next(n for n in range(2, len(rows) + 3) if f"{like.label}-{n}" not in taken)
    port = str(like.address).rpartition(":")[2]
    own = {"address": f"{len(rows) + 1}.again:{port}", "name": f"{like.label}-{number}"}
    data["backend"] = [*rows, {**deepcopy(rows[place]), **own}]
    return _read(data, scenario, f"one more like {like.label}")


def reduced(scenario: Scenario, place: int) -> Scenario:
    """`scenario` without the backend of that place, and without the faults that are its alone.

    Raises UsageError.
    """
    data = _written(scenario)
    gone = scenario.backends[place]
    data["backend"] = [row for at, row in enumerate(data["backend"]) if at != place]
    if not data["backend"]:
        raise UsageError(f"without {gone.label} no backend is left")
    faults = []
    for fault, row in zip(scenario.faults, data.get("fault", ()), strict=True):
        others = [name for name in fault.backends if name not in (gone.label, gone.address)]
        if others:
            faults.append({**row, "backend": others})
    if "fault" in data:
        data["fault"] = faults
    return _read(data, scenario, f"without {gone.label}")


def struck(scenario: Scenario, fault: Mapping[str, object]) -> Scenario:
    """`scenario` with one more [[fault]], as a file has it. Raises UsageError."""
    data = _written(scenario)
    data["fault"] = [*data.get("fault", ()), dict(fault)]
    return _read(data, scenario, f"{fault.get('backend')} {fault.get('kind')}")


def _written(scenario: Scenario) -> dict[str, Any]:
    data = scenario.model_dump(by_alias=True, exclude_unset=True)
    data["backend"] = [row.model_dump(exclude_unset=True) for row in scenario.backends]
    return data


def _read(data: dict[str, Any], scenario: Scenario, what: str) -> Scenario:
    try:
        return Scenario.model_validate(data, by_alias=True, by_name=False).standing_at(scenario)
    except ConfigError as error:
        raise UsageError(f"{what}: {'; '.join(error.problems)}") from None


def _put(table: Any, path: str, parts: list[str], value: object) -> None:
    part, *more = parts
    if isinstance(table, list | tuple):
        if not part.isdigit():
            for row in table:
                _put(row, path, parts, value)
        elif int(part) >= len(table):
            raise UsageError(f"{path}: there are {len(table)}, counted from 0")
        elif more:
            _put(table[int(part)], path, more, value)
        else:
            raise UsageError(f"{path}: a whole table; name a key of it")
    elif not isinstance(table, dict):
        raise UsageError(f"{path}: {part!r} is no key of a single value")
    elif more:
        _put(table.setdefault(part, {}), path, more, value)
    else:
        table[part] = value
