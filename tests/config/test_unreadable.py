"""Files that cannot be read, and text that is not TOML."""

from __future__ import annotations

from pathlib import Path

import pytest

from lb.config import Scenario
from lb.errors import ConfigError
from tests.config.test_file import complaints


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for path, why in [(tmp_path / "none.toml", "no such file"), (tmp_path, "directory")]:
        with pytest.raises(ConfigError) as error:
            Scenario.load(path)
        assert f"{path}: cannot be read: " in str(error.value)
        assert why in str(error.value)


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "lb.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not UTF-8 text"):
        Scenario.load(path)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("algorithm = ", 1),
        ("# one\n[server", 2),
        ("a = 1\na = 2\n", 2),
        ("[a]\n[b]\n[a]\n", 3),
        ("just words", 1),
        ('a = """\n\n', 2),
        (f"a = 1\nb = {'9' * 5000}\n", 2),
        (f"a = {'[' * 5000}", 1),
    ],
)
def test_what_is_not_toml_is_called_so_on_its_line(text: str, line: int) -> None:
    (problem,) = complaints(text)
    assert problem.startswith(f"lb.toml:{line} file: not TOML")
    assert "\n" not in problem


def test_what_an_editor_puts_before_the_first_line_is_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "lb.toml"
    path.write_text('\ufeffkey = "path"\n', encoding="utf-8")
    assert Scenario.load(path).key == "path"
