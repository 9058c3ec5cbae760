"""The tables of the access log and of tracing: what is wrong in them is said with what is right."""

from __future__ import annotations

from pathlib import Path

import pytest

from lb.config import Scenario
from lb.config.access_log import has_no_path
from lb.config.effective import effective
from lb.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[access_log]\nformat = 'jsno'", "did you mean 'json'?"),
        (
            "[access_log]\nformat = '{client} {statu}'",
            "'statu'; did you mean 'status'?",
        ),
        ("[access_log]\nformat = '{client} {'", "a brace itself is written twice"),
        ("[access_log]\nformat = '{client:>9}'", "write its name alone"),
        ("[access_log]\nformat = '{client!r}'", "write its name alone"),
        ("[access_log]\nformat = '{}'", "unknown field ''"),
        ('[access_log]\nformat = "{client}\\n"', "one line"),
        ("[access_log]\nfile = ''", "none of: stderr, stdout"),
        ("[access_log]\nfile = 'syslog:nowhere'", "is not host:port"),
        ("[access_log]\nsample = 1.5", "less than or equal to 1"),
        ("[server]\naccess_log = true", "a table of its own, [access_log]"),
        ("[tracing]\nrequest_id = 'X Y'", "no name of a header field"),
        ("[tracing]\nrequest_id = 'Host'", "means something else"),
        ("[tracing]\notlp = 'collector'", "is no URL"),
        ("[tracing]\notlp = 'http://[::1'", "is no URL"),
    ],
)
def test_what_is_wrong_is_said_with_what_is_right(text: str, why: str) -> None:
    with pytest.raises(ConfigError) as error:
        Scenario.parse(text)
    assert why in str(error.value)
    assert "\n" not in str(error.value)


def test_off_unless_given() -> None:
    scenario = Scenario.parse("")
    assert scenario.access_log is None
    assert not scenario.tracing.traces


@pytest.mark.parametrize(
    ("file", "where"),
    [
        ("stderr", None),
        ("/var/log/lb.log", None),
        ("syslog", "/dev/log"),
        ("syslog:/run/log", "/run/log"),
        ("syslog:10.0.0.9:514", ("10.0.0.9", 514)),
        ("syslog:[::1]:514", ("::1", 514)),
    ],
)
def test_where_it_goes(file: str, where: object) -> None:
    table = Scenario.parse(f"[access_log]\nfile = '{file}'").access_log
    assert table is not None
    assert (table.format, table.sample, table.errors) == ("json", 1.0, True)
    assert table.syslog == where


def test_a_collector_implies_that_requests_are_traced() -> None:
    assert Scenario.parse("[tracing]\notlp = 'http://127.0.0.1:4318'\nsample = 1.0").tracing.traces


@pytest.mark.parametrize("name", ["lb.log", "sub/lb.log", "./stderr", "./syslog:x"])
def test_a_relative_file_counts_from_the_scenario(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lb.toml").write_text(f"[access_log]\nfile = '{name}'")
    table = Scenario.load(tmp_path / "lb.toml").access_log
    assert table is not None
    assert table.file == str(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    scenario = Scenario.load("lb.toml")
    table = scenario.access_log
    assert table is not None
    assert not has_no_path(table.file)
    assert Path(table.file).absolute() == tmp_path / name
    assert effective(scenario)["access_log"]["file"] == str(tmp_path / name)


@pytest.mark.parametrize("file", ["stderr", "stdout", "syslog", "syslog:/run/log"])
def test_what_is_no_file_has_no_folder(file: str, tmp_path: Path) -> None:
    (tmp_path / "lb.toml").write_text(f"[access_log]\nfile = '{file}'")
    scenario = Scenario.load(tmp_path / "lb.toml")
    assert scenario.access_log is not None
    assert scenario.access_log.file == file
    assert effective(scenario)["access_log"].get("file", "stderr") == file
