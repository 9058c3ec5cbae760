"""What an error sentence ends with."""

from __future__ import annotations

import pytest

from lb.errors import nearest, written


@pytest.mark.parametrize(
    ("word", "known", "said"),
    [
        ("b9", ["b2", "b1", "api"], "did you mean 'b1' or 'b2'?"),
        ("b9", [f"b{n}" for n in range(1, 9)], "did you mean 'b1', 'b2' or 'b3'?"),
        ("web-4", ["web-1", "db-1"], "did you mean 'web-1'?"),
        ("10.0.0.1:81", ["10.0.0.1:80", "10.0.0.9:1"], "did you mean '10.0.0.1:80'?"),
        ("zz", ["b2", "b1", "b1"], "known: b1, b2"),
        ("abc", ["xbz"], "known: xbz"),
        ("b", ["x"], "known: x"),
        ("b", [], "known: "),
    ],
)
def test_the_nearest_is_named_else_all(word: str, known: list[str], said: str) -> None:
    assert nearest(word, known) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [(None, "null"), (True, "true"), ({}, "a table"), ([None], "a list"), ("x", "'x'"), (2, "2")],
)
def test_a_value_is_written_as_files_have_it(value: object, said: str) -> None:
    assert written(value) == said
