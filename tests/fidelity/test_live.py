"""Short live runs: whose they are, and what is told of them. Figures are for a quiet machine."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from lb.errors import LbError, UsageError
from sim.analysis.statistics import FIGURES
from sim.fidelity import runs
from sim.fidelity.cases import cases
from sim.fidelity.overhead import Overhead
from sim.fidelity.runs import run
from sim.live import balancers, verdict
from sim.live.balancers import HIDDEN, command, program

GUESS = Overhead(0.001, 0.5)


@pytest.mark.parametrize(
    ("target", "scenario", "algorithm"),
    [
        ("lb", "balancers", "p2c"),
        ("haproxy", "users", "static-rr"),
        ("nginx", "hot_keys", "hash consistent"),
    ],
)
def test_a_run_is_told_beside_its_prediction(
    target: str, scenario: str, algorithm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if target != "lb" and not (shutil.which(target) or shutil.which(target, path=HIDDEN)):
        pytest.skip(f"{target} is not installed")
    monkeypatch.setattr(runs, "REPLICATIONS", 5)
    monkeypatch.setattr(verdict, "REPLICATIONS", 5)
    (case,) = cases(target, [scenario], [algorithm])
    row = run(replace(case, seconds=1.0), GUESS)
    assert (row["scenario"], row["algorithm"], row["target"]) == (scenario, algorithm, target)
    assert set(row["figures"]) <= set(FIGURES)
    assert row["failed"]["measured"] == 0
    shares = [one["measured"] for one in row["shares"].values()]
    assert sum(shares) == pytest.approx(1.0), "every answer names its backend"
    if algorithm == "hash consistent":  # whose keys have the very homes that were predicted
        assert shares == pytest.approx(
            [one["predicted"] for one in row["shares"].values()], abs=0.06
        )


def test_a_balancer_that_is_missing_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(balancers, "HIDDEN", "")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(LbError, match=r"nginx is not installed: it is neither in PATH nor in "):
        program("nginx")


def test_kinds_that_nobody_knows(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown kind of balancer 'envoi': known: haproxy, lb"):
        command("envoi", tmp_path / "a.toml", "http://127.0.0.1:1", tmp_path)
