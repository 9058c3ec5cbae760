"""Watched files: what each state of a file comes to."""

from __future__ import annotations

from pathlib import Path

import pytest

from lb.discovery.file import LARGEST, WatchedFile
from lb.discovery.watching import Sighting

WAITING = Sighting(holds=0.0)
"""Nothing new, and it is looked at again soon."""
TWO = 'backend = ["10.0.0.1:80*2", "10.0.0.2:80"]\n'


def labels(sighting: Sighting) -> list[str] | None:
    return None if sighting.rows is None else [row.label for row in sighting.rows]


def replaced(path: Path, text: str) -> None:
    """By another file, at once."""
    beside = path.with_name("beside")
    beside.write_text(text)
    beside.replace(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "backends.toml"


FORMS = {
    "short": ("b.toml", 'backend = ["h:1*3"]', [("h:1", "", 3)]),
    "tables": ("b.toml", '[[backend]]\naddress = "h:1"\nname = "one"\n', [("h:1", "one", 1)]),
    "JSON, a list": ("b.json", '["h:1*3", {"address": "h:2"}]', [("h:1", "", 3), ("h:2", "", 1)]),
    "JSON, a table": ("b.JSON", '{"backend": ["h:1*1.5"]}', [("h:1", "", 1.5)]),
    "with a mark of bytes' order": ("b.json", '\ufeff["h:1"]', [("h:1", "", 1)]),
}


@pytest.mark.parametrize(("name", "text", "rows"), FORMS.values(), ids=FORMS)
def test_forms(tmp_path: Path, name: str, text: str, rows: list[object]) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    found = WatchedFile(str(path)).look()
    assert [(row.address, row.name, row.weight) for row in found.rows or ()] == rows


def test_what_has_not_changed_is_no_news(path: Path) -> None:
    source = WatchedFile(str(path))
    path.write_text(TWO)
    assert labels(source.look()) == ["10.0.0.1:80", "10.0.0.2:80"]
    assert source.look() == Sighting()
    replaced(path, TWO)
    assert source.look() == Sighting()


def test_another_file_in_its_place_is_taken_at_once(path: Path) -> None:
    source = WatchedFile(str(path))
    path.write_text(TWO)
    source.look()
    replaced(path, 'backend = ["10.0.0.3:80"]')
    assert labels(source.look()) == ["10.0.0.3:80"]


def test_a_file_that_is_written_to_is_taken_when_it_rests(path: Path) -> None:
    source = WatchedFile(str(path))
    path.write_text(TWO)
    source.look()
    with path.open("w") as file:
        file.write('backend = ["10.0.0.1:80"]\n')  # is right, and not all
        file.flush()
        assert source.look() == WAITING
        file.write("# and so on\n")
    assert source.look() == WAITING
    assert labels(source.look()) == ["10.0.0.1:80"]


def test_a_file_that_is_emptied_and_filled_again_is_never_empty(path: Path) -> None:
    source = WatchedFile(str(path))
    path.write_text(TWO)
    source.look()
    path.write_text("")
    assert source.look() == WAITING
    path.write_text(TWO)
    assert source.look() == Sighting()


WRONG = {
    "half of one": ('backend = ["10.0.0.1:80", "10.', ":1 file: not TOML: "),
    "empty": (" \n", ":1 file: empty"),
    "none": ("backend = []", ":1 backend: holds no backends"),
    "a wrong row": (
        '[[backend]]\naddress = "h:1"\nweight = -1\n',
        ":3 backend[0].weight: a weight is a number above zero, not -1",
    ),
    "two wrong rows": ('backend = ["x", "y"]\n', "(and 1 more)"),
    "another table": ('backends = ["h:1"]', ":1 backend: missing (and 1 more)"),
    "one twice": (
        'backend = ["h:1",\n"h:1"]',
        ":2 backend[1].address: backend h:1 is given twice, first as backend[0]",
    ),
}


@pytest.mark.parametrize(("text", "why"), WRONG.values(), ids=WRONG)
def test_a_wrong_file_says_where_and_why_and_is_no_news(path: Path, text: str, why: str) -> None:
    source = WatchedFile(str(path))
    path.write_text(TWO)
    source.look()
    replaced(path, text)
    for _ in range(2):
        sighting = source.look()
        assert sighting.rows is None
        assert sighting.trouble.startswith(str(path))
        assert why in sighting.trouble
    replaced(path, TWO)
    found = source.look()
    assert (labels(found), found.trouble) == (["10.0.0.1:80", "10.0.0.2:80"], "")


WRONG_JSON = {
    "half of one": ('["h:1",\n{"addr', ":2 file: not JSON: "),
    "a wrong row": ('["h:1",\n {"address": "h:2",\n  "weight": 0}]', ":3 backend[1].weight: "),
    "a wrong key": ('{"backend": [{"address": "h:1",\n "na\\/me": 1}]}', ':2 backend[0]."na/me": '),
    "no list": ("3", ":1 file: should be a table, not 3"),
    "brackets without end": ("[" * 100_000, ":1 file: not JSON that can be read"),
}


@pytest.mark.parametrize(("text", "why"), WRONG_JSON.values(), ids=WRONG_JSON)
def test_wrong_json_says_where_and_why(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "backends.json"
    path.write_text(text)
    assert f"{path}{why}" in WatchedFile(str(path)).look().trouble


def test_a_file_that_is_no_text_or_too_large(path: Path) -> None:
    path.write_bytes(b"#\n#\xff")
    assert WatchedFile(str(path)).look().trouble == f"{path}:2 file: not UTF-8 text"
    with path.open("wb") as file:
        file.truncate(LARGEST + 1)
        file.write(b"#")
    assert "larger than 16 MiB" in WatchedFile(str(path)).look().trouble


def test_a_file_that_is_not_there_comes_and_goes(path: Path) -> None:
    source = WatchedFile(str(path))
    missing = Sighting(None, f"{path}: cannot be read: no such file or directory")
    assert source.look() == missing
    path.write_text(TWO)
    assert labels(source.look()) == ["10.0.0.1:80", "10.0.0.2:80"]
    path.unlink()
    assert source.look() == missing
    path.write_text(TWO)
    assert source.look() == Sighting(), "it is as it was"
    path.unlink()
    source.look()
    path.write_text('backend = ["10.0.0.3:80"]')
    assert labels(source.look()) == ["10.0.0.3:80"], "it is another one"


def test_a_directory_that_is_not_there_or_in_its_place(tmp_path: Path) -> None:
    assert "no such file" in WatchedFile(str(tmp_path / "none" / "b.toml")).look().trouble
    assert "is a directory" in WatchedFile(str(tmp_path)).look().trouble


def test_a_thousand_rows(path: Path) -> None:
    source = WatchedFile(str(path))
    rows = [f"10.0.{n // 250}.{n % 250}:80*{1 + n % 7}" for n in range(1000)]
    path.write_text(f"backend = {rows}\n".replace("'", '"'))
    found = source.look().rows
    assert found is not None
    assert [f"{row.address}*{row.weight}" for row in found] == rows
