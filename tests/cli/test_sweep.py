"""`lb sweep`: what it prints, what it leaves, how it goes on, what it exits with."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from rich.progress import Progress

from tests.cli.conftest import lb, lb_process, on_a_terminal
from tests.cli.test_simulate import here

__all__ = ["here"]

GRID = ("-a", "random,p2c", "--load", "0.3,0.8", "--set", "p2c:choices=2,3")


def told(*arguments: object, status: int = 0, **variables: str) -> Any:
    result = lb("sweep", "-c", "lb.toml", "--json", *arguments, **variables)
    assert result.returncode == status
    return json.loads(result.stdout)


def test_json_holds_every_cell() -> None:
    document = told(*GRID)
    assert document["schema"] == 1
    assert document["seed"] == 5
    assert document["axes"] == {"p2c:choices": [2, 3], "load": [0.3, 0.8]}
    assert document["algorithms"] == ["random", "p2c"]
    assert [cell["parameters"] for cell in document["cells"]] == [
        {"p2c:choices": choices, "load": load} for choices in (2, 3) for load in (0.3, 0.8)
    ]
    first = document["cells"][0]
    assert [run["algorithm"] for run in first["runs"]] == ["random", "p2c:choices=2"]
    assert set(first["runs"][0]["latency"]) == {"mean", "p50", "p90", "p95", "p99", "p999"}
    assert set(first["ranking"]) == {"mean", "p50", "p95", "p99"}


def test_the_number_of_workers_changes_nothing() -> None:
    assert told(*GRID, "--workers", 2) == told(*GRID, "--workers", 1)


def test_options_come_from_the_environment_too() -> None:
    variables = {
        "LB_ALGORITHM": "random,p2c",
        "LB_LOAD": "0.3:0.8:0.5",
        "LB_SET": "p2c:choices=2,3",
        "LB_WORKERS": "1",
    }
    assert told(**variables) == told(*GRID)
    assert told(LB_RATE="30", LB_BACKENDS="1,2", LB_BALANCERS="2", LB_REQUESTS="40")["axes"] == {
        "backends": [1, 2],
        "balancers": [2],
        "rate": [30],
    }


def test_words_a_directory_and_all_of_it_in_80_columns(here: Path) -> None:
    screen = on_a_terminal(80, "sweep", "-c", "lb.toml", *GRID, "--metric", "mean")
    assert "4 cells, in each 2 algorithms and 2 replications." in screen
    assert "choices 3, load 0.8" in screen
    assert "p2c: best by mean in 4 of 4 cells" in screen
    assert "lb-sweep/" in screen
    lines = [line for line in screen.splitlines() if "\x1b" not in line]  # no bar
    assert max(map(len, lines)) <= 80
    assert len((here / "lb-sweep" / "cells.jsonl").read_text().splitlines()) == 4
    assert json.loads((here / "lb-sweep" / "sweep.json").read_text()) == told(*GRID)


def test_the_same_command_simulates_nothing_again(here: Path) -> None:
    first = lb("sweep", "-c", "lb.toml", *GRID, "--out", "there")
    assert "already" not in first.stdout
    again = lb("sweep", "-c", "lb.toml", *GRID, "--out", "there")
    assert "4 of them are in there/cells.jsonl already.\n" in again.stdout
    assert len((here / "there" / "cells.jsonl").read_text().splitlines()) == 4
    other = lb("sweep", "-c", "lb.toml", *GRID, "--out", "there", "--seed", 9)
    assert "4 start anew: what there/cells.jsonl holds of them was made with " in other.stdout


def test_interrupted_it_says_how_far_it_came_and_goes_on(here: Path) -> None:
    with mock.patch.object(Progress, "update", side_effect=[None, KeyboardInterrupt]):
        result = lb("sweep", "-c", "lb.toml", *GRID, "--workers", 1)
    assert result.returncode == 130
    assert "interrupted: 2 of 4 cells; the same command goes on from there\n" in result.stdout
    assert "choices 2, load 0.8" in result.stdout
    assert "choices 3" not in result.stdout
    again = lb("sweep", "-c", "lb.toml", *GRID)
    assert again.returncode == 0
    assert "2 of them are in lb-sweep/cells.jsonl already.\n" in again.stdout


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ([], "nothing to sweep: give --load, --rate, --backends, --balancers or --set"),
        (["--load", "0.5", "--rate", "9"], "load and rate say the same in two ways"),
        (["--load", "0.5:0.9"], "--load: '0.5:0.9' is not FROM:TO:STEP, such as 0.5:0.9:0.1"),
        (["--set", "run.sed=1"], "run.sed=1: run.sed: unknown key; did you mean 'seed'?"),
        (["--load", "0.5", "--metric", "p98"], "'p98' is none of: mean, p50, p95, p99"),
        (["--load", "0.5", "--workers", "2", "--scheduler", "h:1"], "give one of them"),
        (["--load", "0.5", "--scheduler", "here"], "'here' is not like tcp://host:8786"),
        (["--load", "0.5", "-a", "p3c"], "did you mean 'p2c'?"),
        (["--rate", "20", "--set", "traffic.arrivals.rate=10"], "rate and traffic.arrivals.rate"),
        (["--load", "0.5", "--set", "traffic.arrivals.rate=10"], "load and traffic.arrivals.rate"),
        (["--balancers", "2", "--set", "run.balancers=3"], "balancers and run.balancers say"),
        (["--requests", "300", "--set", "run.requests=10"], "--requests and --set run.requests "),
        (["--requests", "300", "--set", "run.duration=5s"], "--requests and --set run.duration "),
        (["--replications", "3", "--set", "run.replications=2"], "--set run.replications are"),
        (["--seed", "3", "--set", "run.seed=1,2"], "--seed and --set run.seed are about the same"),
    ],
)
def test_what_cannot_be_meant(here: Path, given: list[str], why: str) -> None:
    result = lb("sweep", "-c", "lb.toml", *given)
    assert result.returncode == 2
    assert why in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (here / "lb-sweep" / "cells.jsonl").exists()


def test_what_the_file_lacks_is_told_with_the_cell() -> None:
    result = lb("sweep", "-c", "lb.toml", "--load", "0.5", "-a", "maglev")
    assert result.returncode == 3
    assert "lb.toml:2 traffic.keys: missing; maglev needs keys" in result.stderr
    assert "(load = 0.5)" in result.stderr


def test_where_nothing_can_be_written_nothing_is_simulated(here: Path) -> None:
    (here / "lb-sweep").write_text("")
    with mock.patch("sim.fit.sweep.simulated", side_effect=AssertionError):
        result = lb("sweep", "-c", "lb.toml", *GRID)
    assert result.returncode == 1
    assert result.stderr == "lb: cannot write to lb-sweep: not a directory\n"


# --- a cluster


@contextmanager
def threads(address: str) -> Iterator[ThreadPoolExecutor]:
    assert address == "tcp://h:1"
    with ThreadPoolExecutor(2) as executor:
        yield executor


def test_a_cluster_gives_the_same() -> None:
    with mock.patch("sim.fit.cluster.cluster", threads):
        assert told(*GRID, "--scheduler", "tcp://h:1") == told(*GRID)


def test_a_cluster_that_is_not_there() -> None:
    pytest.importorskip("distributed", reason="the extra `dask` is not installed")
    result = lb("sweep", "-c", "lb.toml", *GRID, "--scheduler", "tcp://127.0.0.1:1", "--json")
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == (
        "lb: no Dask scheduler at tcp://127.0.0.1:1: connection refused"
    )


def test_a_cluster_without_the_extra() -> None:
    with mock.patch.dict("sys.modules", {"distributed": None}):
        result = lb("sweep", "-c", "lb.toml", *GRID, "--scheduler", "tcp://127.0.0.1:1")
    assert result.returncode == 2
    assert "--scheduler needs the extra: pip install 'lb-twin[dask]'" in result.stderr


def test_a_process_of_its_own() -> None:
    result = lb_process("sweep", "-c", "lb.toml", *GRID, "--workers", 2, "--json", "-q")
    assert (result.returncode, result.stderr) == (0, "")
    assert json.loads(result.stdout) == told(*GRID)


def test_sigterm_ends_it_as_ctrl_c_does() -> None:
    def terminate(*_: object, **__: object) -> None:
        signal.raise_signal(signal.SIGTERM)

    with mock.patch.object(Progress, "update", side_effect=terminate):
        result = lb("sweep", "-c", "lb.toml", *GRID, "--workers", 1)
    assert result.returncode == 143
    assert "interrupted: 1 of 4 cells; the same command goes on from there\n" in result.stdout
