"""Mistakes in what a backend is called, and in where it is."""

from __future__ import annotations

import pytest

from lb.config import Scenario
from tests.config.test_file import complaints

MISTAKES = {
    # the text, where the complaint points, and what it must say
    "a backend nobody can reach": (
        '[[backend]]\naddress = "127.0.0.1:0"\n',
        "lb.toml:2 backend[0].address",
        "nobody can be reached at port 0",
    ),
    "the same in short": (
        'backend = ["[::1]:0*2"]\n',
        "lb.toml:1 backend[0]",
        "nobody can be reached at port 0",
    ),
    "an address that cannot be printed": (
        '[[backend]]\naddress = "h\\u0001:1"\n',
        "lb.toml:2 backend[0].address",
        "'h\\x01:1' is not host:port",
    ),
    "a name of two lines": (
        '[[backend]]\naddress = "h:1"\nname = "a\\nb"\n',
        "lb.toml:3 backend[0].name",
        "'a\\nb' has letters that cannot be printed",
    ),
    "a name that leads elsewhere": (
        '[[backend]]\naddress = "h:1"\nname = ".."\n',
        "lb.toml:3 backend[0].name",
        "'..' means something else in a path",
    ),
    "a zone of two lines": (
        '[[backend]]\naddress = "h:1"\nzone = "a\\nb"\n',
        "lb.toml:3 backend[0].zone",
        "'a\\nb' has letters that cannot be printed",
    ),
    "a blank name": (
        '[[backend]]\naddress = "h:1"\nname = " "\n',
        "lb.toml:3 backend[0].name",
        "' ' is blank",
    ),
    "an endless name": (
        f'[[backend]]\naddress = "h:1"\nname = "{"n" * 301}"\n',
        "lb.toml:3 backend[0].name",
        "301 letters are too many for a name; at most 300",
    ),
    "the name of one, the address of another": (
        '[[backend]]\naddress = "h:1"\nname = "h:2"\n[[backend]]\naddress = "h:2"\nname = "x"\n',
        "lb.toml:3 backend[0].name",
        "h:2 is the address of backend[1]",
    ),
}


@pytest.mark.parametrize(("text", "where", "why"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_with_its_place(text: str, where: str, why: str) -> None:
    (line,) = complaints(text)
    assert line.startswith(f"{where}: ")
    assert why in line


def test_on_paper_a_backend_may_be_anywhere() -> None:
    model = '[[backend]]\naddress = "b:0"\nmodel.service = "exponential:10ms"\n'
    assert Scenario.parse(model, "lb.toml").backends[0].address == "b:0"


def test_a_backend_may_have_its_own_address_for_a_name() -> None:
    file = Scenario.parse('[[backend]]\naddress = "h:1"\nname = "h:1"\n', "lb.toml")
    assert file.backends[0].label == "h:1"
