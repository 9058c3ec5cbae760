"""Where in a TOML text everything stands, however it is written."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lb.config.places import Origin, Place, lines_of

WRITTEN = {
    "tables and keys": (
        "# first\na = 1\n\n[b]\nc = 2 # d = 5\n",
        {("a",): 2, ("b",): 4, ("b", "c"): 5},
    ),
    "lists of tables, and tables in them": (
        "[[a]]\nb = 1\n[a.c]\nd = 1\n[[a]]\n[[a.e]]\n[[a.e]]\nf = 1\n",
        {
            ("a",): 1,
            ("a", 0): 1,
            ("a", 0, "b"): 2,
            ("a", 0, "c"): 3,
            ("a", 0, "c", "d"): 4,
            ("a", 1): 5,
            ("a", 1, "e"): 6,
            ("a", 1, "e", 0): 6,
            ("a", 1, "e", 1): 7,
            ("a", 1, "e", 1, "f"): 8,
        },
    ),
    "dotted keys": (
        "a.b = 1\na . c = 2\n[d.e]\nf.g = 1\n",
        {
            ("a",): 1,
            ("a", "b"): 1,
            ("a", "c"): 2,
            ("d",): 3,
            ("d", "e"): 3,
            ("d", "e", "f"): 4,
            ("d", "e", "f", "g"): 4,
        },
    ),
    "quoted keys": (
        '"a.b" = 1\n\'c]\' = 2\n["d \\"e\\""]\nf = 1\n[ g . "h" ]\n"" = 1\n',
        {
            ("a.b",): 1,
            ("c]",): 2,
            ('d "e"',): 3,
            ('d "e"', "f"): 4,
            ("g",): 5,
            ("g", "h"): 5,
            ("g", "h", ""): 6,
        },
    ),
    "inline tables": (
        "a = { b = 1, c.d = { e = 2 }, f = {} }\ng = 1\n",
        {
            ("a",): 1,
            ("a", "b"): 1,
            ("a", "c"): 1,
            ("a", "c", "d"): 1,
            ("a", "c", "d", "e"): 1,
            ("a", "f"): 1,
            ("g",): 2,
        },
    ),
    "lists over several lines": (
        'a = [ # ]\n  "x", # y,\n  [1,\n2],\n\n  { b = 1 },\n]\nc = []\n',
        {
            ("a",): 1,
            ("a", 0): 2,
            ("a", 1): 3,
            ("a", 1, 0): 3,
            ("a", 1, 1): 4,
            ("a", 2): 6,
            ("a", 2, "b"): 6,
            ("c",): 8,
        },
    ),
    "strings that look like something else": (
        'a = "b = 1 # [c] \\" "\nd = \'\\\'\ne = ""\nf = 1\n',
        {("a",): 1, ("d",): 2, ("e",): 3, ("f",): 4},
    ),
    "strings over several lines": (
        'a = """\n[b]\nc = 1 \\"""\n"""""\nd = \'\'\'\ne = "\n\'\'\'\nf = """"""\ng = 1\n',
        {("a",): 1, ("d",): 5, ("f",): 8, ("g",): 9},
    ),
    "values of every kind": (
        "a = 1979-05-27 07:32:00\nb = -1.5e3\nc = true\nd = [inf, nan]",
        {("a",): 1, ("b",): 2, ("c",): 3, ("d",): 4, ("d", 0): 4, ("d", 1): 4},
    ),
    "nothing": ("\n# only words\n", {}),
}


@pytest.mark.parametrize(("text", "expected"), WRITTEN.values(), ids=WRITTEN)
def test_everything_is_found_on_its_line(
    text: str, expected: dict[tuple[str | int, ...], int]
) -> None:
    assert lines_of(text) == expected
    assert lines_of(text.replace("\n", "\r\n")) == expected


def test_what_is_not_there_is_placed_in_what_would_hold_it() -> None:
    origin = Origin("lb.toml", lines_of("\n[a]\nb = 1\n"))
    assert origin.at(("a", "b")) == "lb.toml:3 a.b"
    assert origin.at(("a", "c", 0, "d")) == "lb.toml:2 a.c[0].d"
    assert origin.at(("e",)) == "lb.toml:1 e"
    assert origin.at(()) == "lb.toml:1 file"
    assert Origin().at(("a", 1, "b")) == "a[1].b"
    assert Origin().at(("a", "b c\nd.e")) == 'a."b c\\nd.e"'


def test_where_something_was_written_is_no_part_of_what_was_written() -> None:
    assert Origin("lb.toml", {("a",): 1}) == Origin()


BLANK = st.sampled_from(["", " ", "  # ], }", "\n", "\n # = [x]\n\n"])
KEY = st.sampled_from(["a", "b", "c-1", '"d.e"', "'f]'", '"g \\" ="', "1"])
DOTTED = st.lists(KEY, min_size=1, max_size=3).map(" . ".join)
LEAF = st.sampled_from(
    [
        "1",
        "-2.5e3",
        "true",
        "1979-05-27 07:32:00",
        '"}, # "',
        "'\\'",
        '"""\na = 1\n\\""" ]"""',
        "'''\n[b]\n'''",
        '""',
    ]
)


def lists_and_tables(value: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    spaced = st.tuples(BLANK, value, BLANK).map(lambda parts: "\n".join(parts))
    lists = st.lists(spaced, max_size=3).map(lambda parts: f"[{','.join(parts)}\n]")
    pairs = st.tuples(DOTTED, value).map(" = ".join)
    return lists | st.lists(pairs, max_size=3).map(lambda parts: f"{{ {', '.join(parts)} }}")


LINE = st.one_of(
    st.tuples(DOTTED, st.recursive(LEAF, lists_and_tables, max_leaves=6)).map("=".join),
    DOTTED.map("[{}]".format),
    DOTTED.map("[[{}]]".format),
    BLANK,
)


def paths(data: object, path: Place = ()) -> Iterator[Place]:
    inside = (
        data.items()
        if isinstance(data, dict)
        else enumerate(data)
        if isinstance(data, list)
        else ()
    )
    for key, value in inside:
        yield (*path, key)
        yield from paths(value, (*path, key))


@given(st.lists(LINE, max_size=12).map("\n".join))
def test_all_that_is_in_a_file_and_nothing_else_has_a_line(text: str) -> None:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        assume(False)
    lines = lines_of(text)
    assert set(lines) == set(paths(data))
    assert all(1 <= line <= text.count("\n") + 1 for line in lines.values())
