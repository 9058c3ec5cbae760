"""Plug-ins: what is on offer, and one line for each that is broken. Nothing is installed here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import EntryPoint
from typing import Any, cast
from unittest import mock

import pytest

from lb.errors import UsageError
from lb.strategies import REGISTRY, all_specs, create, plugins, spec
from lb.strategies.registry import build
from tests.doubles import Draws
from tests.plugin import last_resort

GOOD = "tests.plugin.last_resort:SPEC"
GREEDY = replace(last_resort.SPEC, name="greedy", claims=frozenset({"shares", "everything"}))
"""Claims what no law knows."""


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    plugins.offered.cache_clear()
    yield
    plugins.offered.cache_clear()


def offering(**points: str | tuple[str, ...]) -> mock._patch[mock.Mock]:
    found = [
        EntryPoint(name, value, plugins.GROUP)
        for name, values in points.items()
        for value in ([values] if isinstance(values, str) else values)
    ]
    return mock.patch.object(plugins, "entry_points", return_value=found)


def test_a_plug_in_is_found_by_its_name_and_listed_last() -> None:
    with offering(last_resort=GOOD):
        assert spec("last_resort") is last_resort.SPEC
        assert create("last_resort", Draws()).pick(0.0) is None
        rows, broken = all_specs()
    assert list(rows) == [*REGISTRY, "last_resort"]
    assert broken == []


def test_they_are_looked_for_once_and_only_when_needed() -> None:
    with offering(last_resort=GOOD) as looked:
        spec("p2c")
        looked.assert_not_called()
        spec("last_resort")
        spec("last_resort")
        looked.assert_called_once_with(group="lb.strategies")


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("p2c", GOOD, "has the name of lb's own 'p2c', which stays"),
        ("lost", "tests.plugin.nowhere:SPEC", "cannot be loaded: ModuleNotFoundError: "),
        ("nothing", "tests.plugin.last_resort:NOTHING", "cannot be loaded: AttributeError: "),
        ("no_row", "tests.plugin.last_resort:LastResort", "is no Spec, but type"),
        ("other", GOOD, "calls itself 'last_resort', not 'other'"),
        ("greedy", f"{__name__}:GREEDY", r"claims \['everything'\], which no law knows"),
    ],
)
def test_a_broken_one_is_one_line(name: str, value: str, why: str) -> None:
    with offering(**{name: value}):
        rows, (line,) = all_specs()
        assert list(rows) == list(REGISTRY)
        with pytest.raises(UsageError, match=why):
            plugins.load(name, REGISTRY)
    assert line.startswith(f"plug-in ?: entry point {name} = {value} ")


def test_two_of_one_name_are_refused_and_both_are_said() -> None:
    with (
        offering(last_resort=(GOOD, "another:SPEC")),
        pytest.raises(UsageError, match=r"twice: plug-in .* = another:SPEC; plug-in .* = tests"),
    ):
        spec("last_resort")


def test_an_unknown_name_is_near_that_of_a_plug_in_too() -> None:
    with offering(last_resort=GOOD), pytest.raises(UsageError, match="mean 'last_resort'"):
        spec("last_resrt")


class Above:
    __mypyc_attrs__ = ()
    """As compiled classes have it."""


class Heir(Above):
    def __init__(self, *_: object) -> None:
        raise TypeError("interpreted classes cannot inherit from compiled")


class Clumsy:
    def __init__(self, *_: object) -> None:
        raise TypeError("of another kind")


def test_an_heir_of_what_is_compiled_and_no_base_is_told_what_to_do() -> None:
    row = replace(last_resort.SPEC, name="mine", factory=cast(Any, Heir))
    with pytest.raises(UsageError, match=r"^mine: Heir inherits from Above, which .*: hold one"):
        build(row, Draws())
    with pytest.raises(UsageError, match="inherits from a class, which is compiled"):
        build(replace(row, factory=lambda *_: Heir()), Draws())


def test_any_other_mistake_of_a_plug_in_is_not_called_that() -> None:
    row = replace(last_resort.SPEC, factory=cast(Any, Clumsy))
    with pytest.raises(TypeError, match="of another kind"):
        build(row, Draws())
