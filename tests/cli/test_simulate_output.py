"""`lb simulate`: where it cannot write, what it says when it is to be quiet, how wide."""

from __future__ import annotations

import errno
import json
import re
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest

from lb.strategies import REGISTRY
from tests.cli.conftest import environment, lb, on_a_terminal
from tests.cli.scenario import TEXT


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory a command is run in; it holds a scenario."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lb.toml").write_text(TEXT)
    return tmp_path


# --- where it cannot write


@pytest.mark.parametrize(
    ("out", "where", "why"),
    [
        ("lb.toml", "lb.toml", "not a directory"),
        ("lb.toml/deep/er", "lb.toml/deep/er", "not a directory"),
        ("taken", "taken/result.json", "is a directory"),
        ("dangling", "dangling", "not a directory"),
        ("/proc/there", "/proc/there", "no such file or directory"),
    ],
)
def test_where_nothing_can_be_written_is_told_before_it_simulates(
    here: Path, monkeypatch: pytest.MonkeyPatch, out: str, where: str, why: str
) -> None:
    (here / "taken" / "result.json").mkdir(parents=True)
    (here / "dangling").symlink_to("nowhere")
    before = sorted(here.rglob("*"))
    monkeypatch.setattr("sim.simulate", lambda *_, **__: pytest.fail("it was simulated"))
    result = lb("simulate", "-c", "lb.toml", "--out", out)
    assert result.returncode == 1
    assert result.stderr == f"lb: cannot write to {where}: {why}\n"
    assert sorted(here.rglob("*")) == before


def test_what_cannot_be_written_after_all_is_one_line(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "full", "there/backends.png")

    monkeypatch.setattr("sim.output.plots.pictures.draw_all", full)
    result = lb("simulate", "-c", "lb.toml", "--out", "there")
    assert result.returncode == 1
    assert result.stderr == "lb: cannot write to there/backends.png: no space left on device\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is full")
@pytest.mark.parametrize("flags", [[], ["--json"], ["--json", "--quiet"]], ids=" ".join)
def test_a_full_stdout_is_one_line_and_status_1(flags: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "lb", "simulate", "-c", "lb.toml", *flags],
            env=environment({}),
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    assert ran.returncode == 1
    assert ran.stderr.splitlines()[-1] == b"lb: stdout: no space left on device"
    assert b"Traceback" not in ran.stderr


# --- quiet


@pytest.mark.parametrize("how", ["-q", "--quiet", "LB_QUIET"])
def test_a_quiet_run_leaves_its_files_and_says_nothing(here: Path, how: str) -> None:
    flags, variables = ([], {how: "1"}) if how.startswith("LB_") else ([how], {})
    result = lb("simulate", "-c", "lb.toml", "--out", "there", *flags, **variables)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert (here / "there" / "result.json").exists()


def test_a_quiet_run_prints_json_and_its_status_tells(here: Path) -> None:
    with (here / "lb.toml").open("a") as file:
        file.write('[expect]\np50 = "1us"\n')
    result = lb("simulate", "-c", "lb.toml", "--json", "-q", "--replications", 5)
    assert (result.returncode, result.stderr) == (4, "")
    assert len(json.loads(result.stdout)["runs"]) == 1


def test_a_quiet_run_tells_errors() -> None:
    result = lb("simulate", "-c", "none.toml", "-q")
    assert result.returncode == 3
    assert result.stderr == "none.toml: cannot be read: no such file or directory\n"


# --- the width of the terminal


@pytest.mark.parametrize("columns", [60, 80, 120])
@pytest.mark.parametrize("many", [1, 4, 12])
def test_nothing_is_cut_on_a_terminal(here: Path, columns: int, many: int) -> None:
    names = [name for name in REGISTRY if not REGISTRY[name].needs & {"key", "sets_cookie"}]
    names = sorted(names, key=len, reverse=True)[:many]
    (here / "lb.toml").write_text(TEXT.replace('"two"', f'"two.{"x" * 40}"'))
    flags = ("--requests", 100, "--out", "o", *(part for name in names for part in ("-a", name)))
    shown = on_a_terminal(columns, "simulate", "-c", "lb.toml", *flags)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)  # of the progress bar
    assert "…" not in shown
    assert max(map(len, shown.splitlines())) <= columns
    words = shown.split()
    assert f"two.{'x' * 40}" in words
    assert all(words.count(name) >= 2 for name in names)


# --- without a trace


def test_without_a_trace_there_are_figures_and_the_pictures_of_them(here: Path) -> None:
    command = ("simulate", "-c", "lb.toml", "--requests", "20000", "--json")
    result = lb(*command, "--no-trace", "--out", "kept")
    names = {"result.json", "report.html", "latency_percentiles.png", "backends.png"}
    assert {path.name for path in (here / "kept").iterdir()} == names
    assert "what is drawn from each of them is left out" in (here / "kept/report.html").read_text()
    run = json.loads(result.stdout)["runs"][0]
    whole = json.loads(lb(*command).stdout)["runs"][0]
    assert run["requests"] == run["completed"] == whole["completed"] == 20000
    for name in ("mean", "p50"):
        value = whole["latency"][name]["value"]
        assert run["latency"][name]["value"] == pytest.approx(value, rel=0.05)


def test_a_timeline_is_refused_without_a_trace() -> None:
    result = lb("simulate", "-c", "lb.toml", "--no-trace", "--timeline")
    assert result.returncode == 2
    assert result.stderr.endswith("--timeline shows what --no-trace drops; give one of them\n")


def test_the_file_that_cannot_be_written_is_the_one_that_was_asked_for(here: Path) -> None:
    refused = PermissionError(errno.EPERM, "", str(here / "tmp1234"))
    with mock.patch("lb.system.TemporaryFile", side_effect=refused):
        report = lb("simulate", "--json", "--report", here / "page.html")
        out = lb("simulate", "--out", here / "there")
    assert report.stderr.splitlines()[-1] == (
        f"lb: cannot write to {here / 'page.html'}: operation not permitted"
    )
    assert out.stderr == f"lb: cannot write to {here / 'there'}: operation not permitted\n"
    assert (report.returncode, out.returncode) == (1, 1)
