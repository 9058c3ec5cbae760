"""A grid over a scenario: its axes, and the scenario of every cell."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

from lb import __version__
from lb.config import MOST_BALANCERS, Scenario, changed, multiplied
from lb.errors import ConfigError, UsageError, nearest
from lb.strategies import parse

Axes = Mapping[str, Sequence[Any]]
"""What is varied, by name: "load", "rate", "backends", "balancers", "p2c:choices", or the dotted
path of any key of the file; and its values."""

WITHOUT_EFFECT = {"server", "limits", "expect", "verdict", "calibration"}
"""Tables that change nothing of what a simulation gives."""

ALIKE = (
    ("load", "rate"),
    ("rate", "traffic.arrivals.rate"),
    ("load", "traffic.arrivals.rate"),
    ("balancers", "run.balancers"),
)
MOST_OF_EACH = MOST_BALANCERS
"""Backends too: each has a row in every cell."""
MOST = 10_000
"""Cells: all are made before the first is simulated, a millisecond or more each."""


@dataclass(frozen=True)
class Cell:
    """One place of the grid."""

    parameters: dict[str, Any]
    scenario: Scenario
    algorithms: tuple[str, ...]

    @cached_property
    def key(self) -> str:
        """A hash of everything that its result depends on, data files included."""
        given = self.scenario.model_dump(mode="json", by_alias=True, exclude=WITHOUT_EFFECT)
        contents = [Path(name).read_bytes() for name in _files(given)]
        text = json.dumps([__version__, given, self.algorithms], sort_keys=True)
        digest = hashlib.sha256(text.encode())
        for content in contents:
            digest.update(hashlib.sha256(content).digest())
        return digest.hexdigest()[:32]


def _files(value: object) -> Iterator[str]:
    match value:
        case dict():
            for name, inner in value.items():
                if name == "file" and isinstance(inner, str):
                    yield inner
                yield from _files(inner)
        case list():
            for inner in value:
                yield from _files(inner)


def cells(scenario: Scenario, algorithms: Sequence[str], axes: Axes) -> list[Cell]:
    """Every combination, the last axis running fastest.

    Backends come before the rate: a load is over the capacity of those that there are then, and
    stays the file's own where only their number changes. Raises UsageError and ConfigError, before
    anything is simulated, with the parameters of the cell that is wrong.
    """
    check(algorithms, axes)
    return [
        _cell(scenario, algorithms, dict(zip(axes, values, strict=True)))
        for values in product(*axes.values())
    ]


def check(algorithms: Sequence[str], axes: Axes) -> None:
    """Raise UsageError for axes that cannot be meant, and where there are none."""
    if isinstance(algorithms, Mapping) or not hasattr(axes, "items"):
        raise UsageError('algorithms come before the axes: sweep(file, ["p2c"], {"load": [0.5]})')
    if not algorithms:
        raise UsageError("no algorithms; name one at least")
    if not axes:
        raise UsageError("nothing to sweep: give --load, --rate, --backends, --balancers or --set")
    for one, other in ALIKE:
        if one in axes and other in axes:
            raise UsageError(f"{one} and {other} say the same in two ways; give one of them")
    for name, values in axes.items():
        if isinstance(values, str) or not hasattr(values, "__len__"):
            raise UsageError(f"{name}: {values!r} is no list of values")
    if (count := prod(map(len, axes.values()))) > MOST:
        raise UsageError(f"a grid of {count} cells; {MOST} are the most")
    for name, values in axes.items():
        if name.partition(".")[0] == "algorithm":
            raise UsageError(f"{name}: algorithms are named beside the grid, with parameters too")
        _check_values(name, values)
        bases = [text.partition(":")[0] for text in algorithms]
        algorithm, colon, _ = name.partition(":")
        if colon and algorithm not in bases:
            raise UsageError(f"{name}: {algorithm} is not simulated; {nearest(algorithm, bases)}")


def _check_values(name: str, values: Sequence[Any]) -> None:
    if not len(values):
        raise UsageError(f"{name}: no values")
    if len({repr(value) for value in values}) < len(values):
        raise UsageError(f"{name}: a value is given twice")
    whole = name in ("backends", "balancers")
    for value in values:
        if whole and (not isinstance(value, int) or value < 1):
            raise UsageError(f"{name}: {value!r} is not a whole number from 1 up")
        if whole and value > MOST_OF_EACH:
            raise UsageError(f"{name}: {value}; {MOST_OF_EACH} are the most")
        number = isinstance(value, int | float) and 0 < value < float("inf")
        if name in ("load", "rate") and not number:
            raise UsageError(f"{name}: {value!r} is not a number above zero")


def _cell(scenario: Scenario, algorithms: Sequence[str], given: dict[str, Any]) -> Cell:
    own = {name: value for name, value in given.items() if ":" in name}
    names = tuple(_with(text, own) for text in algorithms)
    keys = {
        {"balancers": "run.balancers"}.get(name, name): value
        for name, value in given.items()
        if name not in ("load", "rate", "backends", *own)
    }
    there = changed(scenario, keys)
    if "backends" in given:
        load = there.utilisation
        there = multiplied(there, given["backends"])
        paced = there.offered().arrivals is not None  # the rate of users follows by itself
        if paced and not {"rate", "load"} & given.keys():
            there = there.at_load(load)
    if "rate" in given:
        there = there.at_rate(given["rate"])
    if "load" in given:
        there = there.at_load(given["load"])
    keyless = [] if there.offered().keyed else there.keyless(names)
    lacking = [*keyless, *there.endless()]
    if lacking:
        raise ConfigError([f"{line} ({told(given)})" for line in lacking])
    for name in names:
        there.setup(name)
        if names.count(name) > 1:
            raise UsageError(f"algorithm {name!r} is given twice ({told(given)})")
    return Cell(given, there, names)


def told(parameters: Mapping[str, Any]) -> str:
    """`load = 0.7, backends = 10`."""
    return ", ".join(f"{name} = {shown(value)}" for name, value in parameters.items())


def shown(value: object) -> str:
    """A value of an axis, as short as it was written."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def short_names(axes: Mapping[str, Any]) -> dict[str, str]:
    """The last part of each axis's name, or all of it where two would be alike."""
    ends = [name.rpartition(".")[2] for name in axes]
    return {
        name: end if ends.count(end) == 1 else name for name, end in zip(axes, ends, strict=True)
    }


def _with(text: str, settings: Mapping[str, Any]) -> str:
    """An algorithm, with those of `settings` that are its own."""
    name = text.partition(":")[0]
    mine = {
        key.partition(":")[2]: value
        for key, value in settings.items()
        if key.partition(":")[0] == name
    }
    if not mine:
        return text
    name, before = parse(text)
    both = {**before, **mine}
    return f"{name}:{','.join(f'{key}={_spec(value)}' for key, value in both.items())}"


def _spec(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
