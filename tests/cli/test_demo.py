"""`lb demo`: the whole loop, for three seconds."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lb.config import Scenario
from tests.cli.conftest import environment, lb

STATUS = {"passed": 0, "missed": 4, "invalid": 1}
LEFT = {
    "backend.log",
    "backends.png",
    "in_flight.png",
    "latency_ccdf.png",
    "latency_percentiles.png",
    "queues.png",
    "regret.png",
    "report.html",
    "result.json",
    "scenario.toml",
    "serve.log",
    "verdict.json",
    "verdict.measured.npz",
    "verdict.png",
    "verdict.schedule.npz",
}


def processes_with(word: str) -> list[str]:
    """Command lines of running processes that hold `word`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # ended meanwhile
            continue
        if word in line:
            found.append(line)
    return found


def demo(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lb", "demo", *map(str, arguments)],
        env=environment(variables),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def test_it_predicts_measures_and_leaves_everything(tmp_path: Path) -> None:
    there = tmp_path / "there"
    # A variable that is meant for another command reaches none of its processes.
    result = demo("--seconds", 3, "--out", there, LB_PORT="1", LB_ALGORITHM="random")
    assert "Traceback" not in result.stderr
    assert {path.name for path in there.iterdir()} == LEFT
    for path in there.glob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG")
    for name in LEFT - {"verdict.measured.npz", "verdict.schedule.npz"}:
        assert name in result.stdout

    page = (there / "report.html").read_text()
    assert page.index("Measured beside predicted") < page.index("<h2>Latency")
    assert "[traffic]" in page

    verdict: dict[str, Any] = json.loads((there / "verdict.json").read_text())
    assert result.returncode == STATUS[verdict["verdict"]]
    assert f"{verdict['verdict'].upper()}: " in result.stdout
    assert 700 < verdict["requests"] < 1000
    assert verdict["algorithm"] == "least_connections"
    # Three seconds on a busy machine need not pass, but requests were answered by all.
    assert verdict["failed"]["measured"] <= 0.05 * verdict["requests"]
    assert list(verdict["shares"]) == ["fast-1", "fast-2", "slow"]
    assert all(row["measured"] > 0.05 for row in verdict["shares"].values())
    for name, row in verdict["latency"].items():
        (line,) = [li for li in result.stdout.splitlines() if li.strip().startswith(f"{name} (ms)")]
        assert f"{row['measured'] * 1e3:.2f}" in line
        assert f"{row['predicted']['value'] * 1e3:.2f}" in line

    scenario = Scenario.load(there / "scenario.toml")
    assert scenario.utilisation <= 0.6
    assert (scenario.run.duration, scenario.run.seed) == (3.0, 1)
    # The file is what ran: the same figures come out of it again.
    (command,) = [line for line in result.stdout.splitlines() if "`lb simulate " in line]
    again = lb(*command.split("`")[1].split()[1:], "--json")
    told, written = json.loads(again.stdout), json.loads((there / "result.json").read_text())
    for document in (told, written):
        for row in document["runs"]:
            del row["wall_seconds"], row["requests_per_wall_second"]
    assert told == written
    # Nothing was wrong, and nothing is said to have been.
    log = (there / "serve.log").read_text().splitlines()
    said = [line for line in log if "runs as root" not in line]  # as in a container
    assert said
    assert all("level=info" in line for line in said)
    assert processes_with(str(there)) == []
    for place in (scenario.server.listen, *(row.address for row in scenario.backends)):
        host, _, port = place.partition(":")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host, int(port)), 5)


def test_a_wrong_file_is_told_under_its_own_name(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('algorithm = "rondom"\n')
    result = lb("demo", "-c", file, "--out", tmp_path / "there")
    assert result.returncode == 3
    assert result.stderr.startswith(f"{file}:1 algorithm.name: ")
    assert "did you mean 'random'?" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.toml"]


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", "1 traffic"),
        ('[traffic]\narrivals = { process = "poisson", rate = 1 }\n', "3 backend[0].model"),
    ],
)
def test_what_a_file_lacks_is_told_under_its_own_name(
    tmp_path: Path, text: str, where: str
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(f'{text}[[backend]]\naddress = "h:1"\n')
    result = lb("demo", "-c", file, "--out", tmp_path / "there")
    assert result.returncode == 3
    line = result.stderr.splitlines()[0]
    assert line.startswith(f"{file}:{where}: missing; ")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.toml"]


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    file = tmp_path / "none.toml"
    result = lb("demo", "-c", file, "--out", tmp_path / "there")
    assert result.returncode == 3
    assert result.stderr == f"{file}: cannot be read: {os.strerror(2).lower()}\n"


@pytest.mark.parametrize(
    ("flags", "word"), [(["--seconds", "0"], "--seconds"), (["--seed", "-1"], "--seed")]
)
def test_wrong_flags_are_status_2(flags: list[str], word: str, tmp_path: Path) -> None:
    result = lb("demo", *flags, "--out", tmp_path / "there")
    assert result.returncode == 2
    assert word in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_is_a_file_is_told(tmp_path: Path) -> None:
    file = tmp_path / "there"
    file.touch()
    result = lb("demo", "--out", file)
    assert result.returncode == 1
    assert result.stderr == f"lb: cannot write to {file}: not a directory\n"


def test_a_file_that_cannot_be_replaced_is_told_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "verdict.measured.npz").mkdir()
    result = lb("demo", "--out", tmp_path)
    assert result.returncode == 1
    assert result.stdout == ""
    where = tmp_path / "verdict.measured.npz"
    assert result.stderr == f"lb: cannot write to {where}: is a directory\n"
    assert list(tmp_path.iterdir()) == [where]


def test_a_quiet_demo_says_nothing(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        'run = { replications = 2, warmup = "0s", requests = 9 }\n'
        '[[backend]]\naddress = "127.0.0.1:3001"\n'
        'model = { service = { law = "deterministic", mean = "1ms" } }\n'
        '[traffic]\narrivals = { process = "deterministic", rate = 20 }\n'
    )
    result = demo("-c", file, "--seconds", 1, "--out", tmp_path / "there", "-q")
    assert (result.stdout, result.stderr) == ("", "")
    verdict = json.loads((tmp_path / "there" / "verdict.json").read_text())
    assert result.returncode == STATUS[verdict["verdict"]]
    scenario = Scenario.load(tmp_path / "there" / "scenario.toml")
    assert scenario.run.model_dump() == {
        **scenario.run.model_dump(),
        "duration": 1.0,
        "requests": None,
        "replications": 2,
        "warmup": 0.0,
        "seed": 1,
    }
