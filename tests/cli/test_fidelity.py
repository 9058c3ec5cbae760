"""`lb fidelity`: what it prints, what it leaves, what it exits with; the runs took no time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sim.fidelity import study
from sim.fidelity.cases import Case
from sim.fidelity.overhead import Overhead
from tests.cli.conftest import lb, on_a_terminal
from tests.fidelity.rows import instead, of


@pytest.fixture(autouse=True)
def played(monkeypatch: pytest.MonkeyPatch) -> list[Case]:
    return instead(monkeypatch)


def test_json_holds_every_run_and_the_same_is_left(tmp_path: Path, played: list[Case]) -> None:
    options = ("--scenario", "crash", "-a", "p2c,random", "--out", tmp_path / "here", "--json")
    result = lb("fidelity", *options)
    assert result.returncode == 0
    told = json.loads(result.stdout)
    assert (told["schema"], told["target"], told["seconds"], told["cases"]) == (1, "lb", 60.0, 2)
    assert [run["algorithm"] for run in told["runs"]] == ["p2c", "random"]
    assert told["kept"]
    assert told == json.loads((tmp_path / "here" / "fidelity.json").read_text(encoding="utf-8"))
    assert "2 of 2  crash, random: mean +0.1 %, p50 +0.1 %" in result.stderr
    again = lb("fidelity", *options)
    assert "2 of 2 runs are in" in again.stderr
    assert len(played) == 2


def test_ctrl_c_keeps_what_is_done(
    tmp_path: Path, played: list[Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(case: Case, _: Overhead) -> dict[str, Any]:
        if case.algorithm == "random":
            raise KeyboardInterrupt
        return of(case)

    with monkeypatch.context() as patched:
        patched.setattr(study, "run", run)
        stopped = lb("fidelity", "--scenario", "crash", "-a", "p2c,random", "--out", tmp_path)
    assert stopped.returncode == 130
    assert "interrupted: 1 of 2 runs; the same command goes on from there" in stopped.stdout
    assert json.loads((tmp_path / "fidelity.json").read_text(encoding="utf-8"))["runs"]
    assert (
        lb("fidelity", "--scenario", "crash", "-a", "p2c,random", "--out", tmp_path).returncode == 0
    )
    assert [case.algorithm for case in played] == ["random"]


def test_what_is_far_off_and_not_explained_is_exit_status_4(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study, "run", lambda case, _: of(case, errors={"p99": 0.5}))
    result = lb("fidelity", "--scenario", "crash", "-a", "p2c", "--out", tmp_path)
    assert result.returncode == 4
    assert "crash, p2c: p99 +50.0%: nothing that was measured explains it" in result.stdout


def test_it_fits_80_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = on_a_terminal(80, "fidelity", "--quick")
    assert max(map(len, said.splitlines())) <= 80
    assert said.count("predicted/measured") == 13


@pytest.mark.parametrize(
    ("options", "status", "why"),
    [
        (("--target", "caddy"), 2, "unknown target 'caddy'"),
        (("--scenario", "crach"), 2, "did you mean 'crash'?"),
        (("--scenario", "none.toml"), 3, "none.toml: cannot be read"),
        (("--seconds", "1"), 2, "--seconds"),
        (("--target", "nginx", "-a", "peak_ewma"), 2, "nginx has no equal of peak_ewma"),
    ],
)
def test_mistakes_are_one_line(
    tmp_path: Path, options: tuple[str, ...], status: int, why: str
) -> None:
    result = lb("fidelity", "--out", tmp_path / "x", *options)
    assert result.returncode == status
    assert why in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "x").exists()
