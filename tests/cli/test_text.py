"""What commands say on a terminal: as wide as it is, and nothing is cut."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from lb.cli import app
from lb.cli.options import algorithms
from tests.cli.conftest import lb, on_a_terminal


def words(printed: str) -> list[str]:
    return printed.split()


@pytest.mark.parametrize("columns", [80, 60])
@pytest.mark.parametrize(
    "arguments",
    [
        ["strategies"],
        ["strategies", "peak_ewma"],
        ["strategies", "consistent_hash"],
        ["verify", "-s", "p2c"],
        ["check", *Path("loadtests/scenarios").glob("*.toml")],
    ],
    ids=lambda arguments: " ".join(map(str, arguments[:2])),
)
def test_no_line_is_wider_than_the_terminal_and_no_word_is_lost(
    columns: int, arguments: list[object]
) -> None:
    shown = on_a_terminal(columns, *arguments)
    assert max(map(len, shown.splitlines())) <= columns
    assert words(shown) == words(lb(*arguments).stdout)


@pytest.mark.parametrize("columns", [80, 60])
def test_help_fits(columns: int) -> None:
    root = get_command(app)
    assert isinstance(root, TyperGroup)
    for command in ([], *([name] for name in root.commands)):
        shown = on_a_terminal(columns, *command, "--help")
        assert max(map(len, shown.splitlines())) <= columns


def test_every_option_has_a_variable() -> None:
    root = get_command(app)
    assert isinstance(root, TyperGroup)
    for name, command in root.commands.items():
        for option in command.params:
            if option.param_type_name == "option" and option.name != "version":
                assert str(option.envvar).startswith("LB_"), (name, option.name)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], []),
        (["a"], ["a"]),
        (["a,b"], ["a", "b"]),
        (["a, b ,"], ["a", "b"]),
        (["a", "b,c"], ["a", "b", "c"]),
        (["p2c:choices=3,replacement=true"], ["p2c:choices=3,replacement=true"]),
        (
            ["p2c:choices=3,replacement=true,random,peak_ewma:decay=5s"],
            ["p2c:choices=3,replacement=true", "random", "peak_ewma:decay=5s"],
        ),
        (
            ["sticky:ttl=1h,inner=p2c:choices=3,my-own.one"],
            ["sticky:ttl=1h,inner=p2c:choices=3", "my-own.one"],
        ),
        (["a:b=1,2,c"], ["a:b=1,2", "c"]),
        (["a:b=1", "c=2"], ["a:b=1", "c=2"]),
    ],
)
def test_commas_between_algorithms_and_inside_them(given: list[str], expected: list[str]) -> None:
    assert algorithms(given) == expected
