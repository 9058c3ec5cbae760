"""`lb simulate` on several cores, and what an interrupt leaves of it."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from unittest import mock

import pytest
from rich.progress import Progress

from tests.cli.conftest import Running, Start, lb
from tests.cli.scenario import TEXT
from tests.cli.test_simulate import document, here, without_wall

__all__ = ["here"]


@pytest.mark.parametrize("given", [["--workers", 2], ["--workers", "auto"]])
def test_the_figures_do_not_depend_on_the_number_of_workers(given: list[object]) -> None:
    several = document("-a", "random", "-a", "p2c", *given)
    one = document("-a", "random", "-a", "p2c", LB_WORKERS="1")
    assert without_wall(several) == without_wall(one)


@pytest.mark.parametrize("given", ["0", "-1", "many", "2.5", "²"])
def test_what_is_no_number_of_workers(given: str) -> None:
    result = lb("simulate", f"--workers={given}")
    assert result.returncode == 2
    assert result.stderr == (f"lb: --workers: {given!r} is neither a number from 1 on nor auto\n")
    assert lb("simulate", LB_WORKERS=given).returncode == 2


def interrupted(after: int, *arguments: object) -> tuple[int, str, str]:
    """Status, stdout and stderr of a run that Ctrl-C ends."""
    steps = [None] * (after - 1) + [KeyboardInterrupt]
    with mock.patch.object(Progress, "advance", side_effect=steps):
        result = lb("simulate", "-c", "lb.toml", "--workers", 1, "-a", "random,p2c", *arguments)
    return result.returncode, result.stdout, result.stderr


def test_interrupted_it_tells_of_the_replications_that_are_done(here: Path) -> None:
    status, told, errors = interrupted(6, "--replications", 4, "--out", "there")
    assert (status, errors) == (130, "")
    assert "interrupted: 2 of 4 replications\n" in told
    page = (here / "there" / "report.html").read_text()
    assert "<li>interrupted: 2 of 4 replications</li>" in page
    assert ", 2 replications\n" in told
    left = json.loads((here / "there" / "result.json").read_text())
    assert left["scenario"]["run"]["replications"] == 2
    assert (here / "there" / "latency_ccdf.png").exists()


def test_with_json_too() -> None:
    status, told, errors = interrupted(5, "--replications", 4, "--json")
    assert status == 130
    assert "interrupted: 2 of 4 replications\n" in errors
    whole = document("-a", "random,p2c", "--replications", 2)
    assert without_wall(json.loads(told)) == without_wall(whole)


def test_without_a_whole_replication_there_is_nothing_to_tell() -> None:
    status, told, errors = interrupted(1, "--replications", 40, "--json", "--quiet")
    assert (status, told) == (130, "")
    assert errors == "interrupted: 0 of 40 replications, nothing to show\n"


def test_a_real_interrupt_leaves_no_traceback(here: Path, start: Start) -> None:
    (here / "lb.toml").write_text(TEXT)
    arguments = ("-a", "random,p2c", "--requests", 300_000, "--workers", 2)
    running = start(Running, "simulate", "-c", here / "lb.toml", *arguments)
    running.until("Offered load")
    running.tell(signal.SIGINT)
    assert running.ended() == 130


def test_sigterm_leaves_what_ctrl_c_would(here: Path, start: Start) -> None:
    (here / "lb.toml").write_text(TEXT)
    many = ("-a", "random", "--requests", 20_000, "--replications", 2_000, "--workers", 2)
    running = start(Running, "simulate", "-c", here / "lb.toml", *many, "--json")
    running.until("Offered load")
    time.sleep(1.5)
    running.tell(signal.SIGTERM)
    assert running.ended() == 143
    assert [line for line in running.seen if line.startswith("interrupted: ")]
    assert not [line for line in running.seen if "Warning" in line or "leaked" in line]


def test_sigterm_at_a_moment_of_our_choice_keeps_the_replications(here: Path) -> None:
    def terminate(*_: object, **__: object) -> None:
        nonlocal calls
        calls += 1
        if calls == 6:
            signal.raise_signal(signal.SIGTERM)

    calls = 0
    before = signal.getsignal(signal.SIGTERM)
    with mock.patch.object(Progress, "advance", side_effect=terminate):
        result = lb("simulate", "-a", "random,p2c", "--replications", 4, "-c", "lb.toml", "--json")
    assert result.returncode == 143
    assert "interrupted: 2 of 4 replications\n" in result.stderr
    assert json.loads(result.stdout)["scenario"]["run"]["replications"] == 2
    assert signal.getsignal(signal.SIGTERM) is before
