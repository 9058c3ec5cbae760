"""The shape of the house: no import circles, and files and functions that one can take in."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

from lb.native.modules import sources
from tests.conftest import ONCE

HOUSE = Path(__file__).parents[1]
LONGEST = 350
"""Lines of a file."""


@cache
def modules() -> dict[str, Path]:
    found = {}
    for path in sorted(file for room in ("lb", "sim") for file in (HOUSE / room).rglob("*.py")):
        parts = path.relative_to(HOUSE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(path: Path) -> Iterator[str]:
    """Everything that a file of ours imports, for types and inside functions too."""
    return names_of(ast.walk(ast.parse(path.read_text())))


def names_of(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(module), level=0, names=names):
                for alias in names:
                    inside = f"{module}.{alias.name}"
                    yield inside if inside in modules() else module


@cache
def graph() -> dict[str, frozenset[str]]:
    return {
        name: frozenset(imported(path)) & modules().keys() - {name}
        for name, path in modules().items()
    }


def way_back(name: str) -> list[str]:
    """The shortest way from a module over its imports to itself; empty without one."""
    ways = [[name]]
    seen = set[str]()
    for way in ways:
        for other in sorted(graph()[way[-1]]):
            if other == name:
                return [*way, name]
            if other not in seen:
                seen.add(other)
                ways.append([*way, other])
    return []


def test_the_graph_is_that_of_the_house() -> None:
    assert "lb.strategies.base" in graph()["lb.strategies.registry"]
    assert "lb.strategies.random" in graph()["lb.strategies.registry"], "from a package"
    assert "sim.checks.verify" in graph()["lb.cli.verify"], "inside a function"


def test_no_module_leads_back_to_itself() -> None:
    ways = [way_back(name) for name in graph()]
    assert not [" -> ".join(way) for way in ways if way]


def test_nobody_needs_a_command() -> None:
    for name, others in graph().items():
        if not name.startswith("lb.cli") and name != "lb.__main__":
            assert not [other for other in others if other.startswith("lb.cli")], name


@pytest.mark.parametrize("room", ["lb", "sim", "loadtests", "tests"])
def test_no_file_is_longer_than_one_can_take_in(room: str) -> None:
    lines = {
        str(path.relative_to(HOUSE)): len(path.read_text().splitlines())
        for path in (HOUSE / room).rglob("*.py")
    }
    assert not {name: count for name, count in lines.items() if count > LONGEST}


def test_no_class_that_is_compiled_has_a_metaclass() -> None:
    """Compiled, all that inherit from ABC share what isinstance remembers."""
    texts = {name: (HOUSE / name).read_text() for name in sources()}
    assert texts
    assert not [name for name, text in texts.items() if re.search(r"\bABC(Meta)?\b", text)]


def test_lb_is_imported_without_the_simulator() -> None:
    """Commands need it inside their functions, and for types."""
    for name, path in modules().items():
        if name.startswith("lb"):
            at_once = names_of(ast.parse(path.read_text()).body)
            assert not [other for other in at_once if other.split(".")[0] == "sim"], name


def test_what_is_tried_on_one_build_only_is_there() -> None:
    assert not [name for name in ONCE if not (HOUSE / "tests" / name).exists()]
    assert not [name for name in ONCE if name.startswith(("balancing", "proxy", "strategies"))]
