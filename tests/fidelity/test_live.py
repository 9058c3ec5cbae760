"""Short live runs: whose they are, and what is told of them. Figures are for a quiet machine."""

from __future__ import annotations

import shutil
import socket
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
from sim.live.balancers import HIDDEN, command, last_words, program
from sim.live.system import LiveSystem

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


@pytest.mark.parametrize(
    ("name", "says", "why"),
    [
        ("haproxy", "HA-Proxy version 2.4.22 2023/02/14", "haproxy 2.4.22; it takes 2.6 or later"),
        ("haproxy", "HAProxy version 2.10.1", ""),
        ("nginx", "nginx version: nginx/1.18.0", "nginx 1.18.0; it takes 1.19.5 or later"),
        ("nginx", "nginx version: nginx/1.22.1", ""),
        ("nginx", "a fork that does not tell", ""),
    ],
)
def test_one_that_is_too_old_is_one_line(
    name: str, says: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / name
    file.write_text(f"#!/bin/sh\necho '{says}' >&2\n")
    file.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}")
    if not why:
        assert program(name) == str(file)
        return
    with pytest.raises(LbError, match=f"{file} is {why}"):
        program(name)


def test_one_that_does_not_run_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "haproxy"
    file.write_bytes(b"\x7fELF")
    file.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}")
    with pytest.raises(LbError, match="haproxy does not run: "):
        program("haproxy")


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (
            "[NOTICE] (7) : version is 2.6.12\n[ALERT]    (7) : cannot bind\n[ALERT]  (7) : end\n",
            "cannot bind",
        ),
        ("2026/11/29 07:38:33 [emerg] 5#5: unknown directive\nx\n", "unknown directive"),
        ("one\ntwo\n", "two"),
        ("", "no message"),
        ("[ALERT] (7) : " + "a" * 999, "a" * 200 + "..."),
    ],
)
def test_of_what_one_says_at_its_end_the_reason_is_told(log: str, said: str) -> None:
    assert last_words(log) == said


def test_nobody_is_taken_for_a_balancer_that_is_not(tmp_path: Path) -> None:
    if shutil.which("nginx", path=HIDDEN) is None:
        pytest.skip("nginx is not installed")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        file = tmp_path / "a.toml"
        file.write_text(
            f'[server]\nlisten = "127.0.0.1:{port}"\n[[backend]]\n'
            f'address = "127.0.0.1:{balancers.free_port()}"\n'
            '[backend.model]\nservice = { law = "deterministic", mean = "1ms" }\n'
        )
        with (
            pytest.raises(LbError, match=f"nginx cannot listen on 127.0.0.1:{port}: somebody"),
            LiveSystem(file, tmp_path, target="nginx"),
        ):
            pass


def test_kinds_that_nobody_knows(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown kind of balancer 'envoi': known: haproxy, lb"):
        command("envoi", tmp_path / "a.toml", "http://127.0.0.1:1", tmp_path)
