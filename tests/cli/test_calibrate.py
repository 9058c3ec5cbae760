"""`lb calibrate`: where the model goes, what is refused, and what an interrupt leaves."""

from __future__ import annotations

import json
import tomllib
from functools import partial
from pathlib import Path
from random import Random

import pytest

from sim.fit import calibrate
from tests.cli.conftest import lb


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes long is tried elsewhere."""
    monkeypatch.setattr(calibrate, "calibrate", partial(calibrate.calibrate, quick=True))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Two backends that are hardly busy, half a minute of them."""
    rng, lines, at = Random(1), [], 1_764_387_803.0
    for number in range(600):
        at += rng.expovariate(20.0)
        took = rng.expovariate(1 / 0.02)
        row = {"arrived": at, "total_ms": 1e3 * took, "backend": f"10.0.0.{1 + number % 2}:80"}
        lines.append(json.dumps({**row, "ended": at + took, "status": 200}))
    file = tmp_path / "log.jsonl"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def test_a_file_that_can_be_simulated(tmp_path: Path, log: Path) -> None:
    into = tmp_path / "model.toml"
    told = lb("calibrate", log, "-o", into, "--json")
    assert told.returncode == 0
    document = json.loads(told.stdout)
    assert (document["schema"], len(document["backends"])) == (1, 2)
    assert f"The scenario is in {into}\n" in told.stderr
    assert json.loads(lb("check", into, "--json").stdout)["files"][0]["ready_to"] == [
        "serve",
        "simulate",
    ]


def test_on_stdout_nothing_stands_beside_it(log: Path) -> None:
    told = lb("calibrate", log, "-o", "-")
    assert len(tomllib.loads(told.stdout)["backend"]) == 2
    assert "600 requests" in told.stderr


def test_what_is_read_is_not_written_over(tmp_path: Path, log: Path) -> None:
    base = tmp_path / "lb.toml"
    base.write_text("", encoding="utf-8")
    for given, why in (
        (("-o", log), f"-o {log}: that is the recording itself; give another name"),
        (("-c", base, "-o", base), f"-o {base}: that is the file of -c; give another name"),
        (("-o", "-", "--json"), "-o - and --json both print on stdout; give one of them"),
    ):
        told = lb("calibrate", log, *given)
        assert (told.returncode, told.stderr) == (2, f"lb: {why}\n")


def test_json_is_printed_where_pictures_cannot_be_written(
    tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "cal")

    monkeypatch.setattr("sim.output.calibrated.write_pictures", full)
    told = lb("calibrate", log, "--out", tmp_path / "cal", "--json")
    assert told.returncode == 1
    assert json.loads(told.stdout)["schema"] == 1
    assert told.stderr.endswith("lb: cal: no space left on device\n")


def test_ctrl_c_says_that_there_is_nothing(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(calibrate, "calibrate", stopped)
    told = lb("calibrate", log)
    assert told.returncode == 130
    assert told.stderr == "interrupted: nothing is calibrated by halves\n"
