"""`lb check` prints the whole effective file, and the JSON Schema of files."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

from lb.config import Scenario
from lb.config.schema import schema
from tests.cli.conftest import lb

PUBLIC = '[server]\nlisten = "0.0.0.0:80"\n[timeouts]\nconnect = "250ms"\n'


def written(at: Path, text: str = PUBLIC) -> Path:
    file = at / "lb.toml"
    file.write_text(text)
    return file


def test_the_effective_file_is_all_that_stdout_has(tmp_path: Path) -> None:
    file = written(tmp_path)
    said = lb("check", "--print-effective", file)
    assert said.returncode == 0
    assert Scenario.parse(said.stdout) == Scenario.load(file)
    assert f"{file}: fine" in said.stderr
    again = tmp_path / "again.toml"
    again.write_text(said.stdout)
    assert lb("check", "--print-effective", again).stdout == said.stdout


def test_as_json_it_stands_beside_the_file(tmp_path: Path) -> None:
    file, other = written(tmp_path), tmp_path / "none.toml"
    said = lb("check", "--json", file, other, LB_PRINT_EFFECTIVE="1")
    first, second = json.loads(said.stdout)["files"]
    text = lb("check", "--print-effective", file).stdout
    assert first["effective"] == tomllib.loads(text)
    assert second["effective"] is None
    assert said.returncode == 3


def test_of_a_wrong_file_nothing_is_printed(tmp_path: Path) -> None:
    said = lb("check", "--print-effective", written(tmp_path, "x = 1"))
    assert (said.returncode, said.stdout) == (3, "")


def test_several_files_are_no_file(tmp_path: Path) -> None:
    file = written(tmp_path)
    said = lb("check", "--print-effective", file, file)
    assert (said.returncode, said.stdout) == (2, "")
    assert said.stderr.startswith("lb: --print-effective: several files are no file")


def test_a_warning_changes_no_status(tmp_path: Path) -> None:
    file = written(tmp_path)
    said = lb("check", file)
    assert said.returncode == 0
    assert f"{file}:1 server.stats_path: warning: /lb-stats tells" in said.stdout
    (row,) = json.loads(lb("check", "--json", file).stdout)["files"]
    assert [it["key"] for it in row["warnings"]] == ["server.stats_path"]
    assert row["problems"] == []


def test_the_schema_is_printed_without_a_file() -> None:
    said = lb("check", "--schema")
    assert (said.returncode, said.stderr) == (0, "")
    assert json.loads(said.stdout) == schema()


def test_a_token_that_cannot_be_had_is_a_mistake_of_the_file(tmp_path: Path) -> None:
    file = written(tmp_path, '[server]\nadmin = "127.0.0.1:0"\nadmin_token_file = "token"\n')
    said = lb("check", file)
    assert said.returncode == 3
    assert said.stderr.startswith(f"{file}:3 server.admin_token_file: {tmp_path / 'token'}: ")
    (tmp_path / "token").touch(0o600)
    assert "is empty" in lb("check", file).stderr
    (tmp_path / "token").write_text("secret\n")
    assert lb("check", file).returncode == 0
