"""`lb check` and `lb strategies`, for people and for programs; wrong files of other commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lb.strategies import REGISTRY
from tests.cli.conftest import lb

MODELLED = """\
algorithm = "{algorithm}"
[[backend]]
address = "127.0.0.1:1"
model = {{ service = "exponential:10ms" }}
[traffic]
arrivals = {{ process = "poisson", rate = 10 }}
{traffic}
[run]
{run}
"""


def written(at: Path, algorithm: str = "random", traffic: str = "", run: str = "") -> Path:
    file = at / "lb.toml"
    file.write_text(MODELLED.format(algorithm=algorithm, traffic=traffic, run=run))
    return file


def test_a_file_that_only_simulate_would_refuse_is_refused(tmp_path: Path) -> None:
    file = written(tmp_path, "maglev", run='duration = "10s"\nwarmup = "20s"')
    said = lb("check", file)
    assert said.returncode == 3
    assert f"{file}:5 traffic.keys: missing; maglev needs keys = " in said.stderr
    assert f"{file}:10 run.warmup: is not shorter than the run, about 10 s" in said.stderr


def test_a_warm_up_is_held_against_the_number_of_requests_too(tmp_path: Path) -> None:
    said = lb("check", written(tmp_path, run='requests = 100\nwarmup = "10s"'))
    assert said.returncode == 3
    assert "about 10 s" in said.stderr
    assert lb("check", written(tmp_path, run='requests = 100\nwarmup = "9s"')).returncode == 0


def test_keys_of_a_file_that_cannot_be_simulated_are_not_missed(tmp_path: Path) -> None:
    file = tmp_path / "lb.toml"
    file.write_text('algorithm = "maglev"\nbackend = ["127.0.0.1:1"]')
    assert lb("check", file).returncode == 0


def test_check_as_json_names_every_mistake_by_line_and_key(tmp_path: Path) -> None:
    wrong, gone, fine = tmp_path / "wrong.toml", tmp_path / "gone.toml", written(tmp_path)
    wrong.write_text("[queue]\nlimit = 5\nx = 1")
    said = lb("check", wrong, gone, fine, "--json")
    document = json.loads(said.stdout)
    assert said.returncode == 3
    assert (document["schema"], document["fine"]) == (1, False)
    first, second, third = document["files"]
    assert [row["file"] for row in document["files"]] == [str(wrong), str(gone), str(fine)]
    assert first["problems"] == [{"line": 3, "key": "queue.x", "why": first["problems"][0]["why"]}]
    assert second["problems"][0]["line"] is None
    assert "cannot be read" in second["problems"][0]["why"]
    assert third == {
        "file": str(fine),
        "problems": [],
        "notes": [],
        "warnings": [],
        "ready_to": ["serve", "simulate"],
    }
    assert "fine; random over 1 backend, ready to serve and simulate" in said.stderr


def test_check_takes_the_file_of_the_environment_and_json_with_it(tmp_path: Path) -> None:
    said = lb("check", LB_CONFIG=str(written(tmp_path)), LB_JSON="1")
    assert said.returncode == 0
    assert json.loads(said.stdout)["fine"] is True


@pytest.mark.parametrize("command", ["simulate", "serve", "backend", "check"])
@pytest.mark.parametrize("by_environment", [False, True])
def test_contradictory_tables_are_exit_status_3_of_every_command(
    tmp_path: Path, command: str, by_environment: bool
) -> None:
    file = tmp_path / "lb.toml"
    file.write_text("[outliers]\nmax_share = 0")
    given = [file] if command == "check" else ["-c", file]
    said = lb(command, LB_CONFIG=str(file)) if by_environment else lb(command, *given)
    assert said.returncode == 3
    assert f"{file}:2 outliers.max_share: nobody may ever be ejected" in said.stderr


def test_the_list_of_algorithms_as_json_is_the_registry() -> None:
    document = json.loads(lb("strategies", "--json").stdout)
    rows = {row["name"]: row for row in document["strategies"]}
    assert document["schema"] == 1
    assert rows.keys() >= REGISTRY.keys()
    assert rows["weighted_feedback"]["needs"] == ["reports"]
    assert (rows["random"]["weights"], rows["p2c"]["weights"]) == (False, True)
    assert rows["sticky"]["weights"] is None


def test_one_algorithm_as_json_has_its_parameters() -> None:
    (row,) = json.loads(lb("strategies", "weighted_feedback", "--json").stdout)["strategies"]
    parameters = {it["name"]: it for it in row["parameters"]}
    assert parameters["blackout"]["default"] == "10.0"
    assert parameters["expiry"]["text"]


@pytest.mark.parametrize(
    ("name", "said"), [("p2c", "minded"), ("random", "ignored"), ("sticky", "as the algorithm")]
)
def test_an_algorithm_says_whether_weights_and_slow_start_mean_anything(
    name: str, said: str
) -> None:
    assert f"weights:   {said}" in lb("strategies", name).stdout


FAULT = """
[[fault]]
backend = "127.0.0.1:1"
kind = "slow"
factor = 10
from = "{since}"
to = "400s"
"""


@pytest.mark.parametrize(
    ("run", "since", "end"),
    [
        ("requests = 500", "300s", "about 50 s"),
        ("requests = 500", "76s", "about 50 s"),
        ("requests = 500", "74s", None),
    ],
)
def test_a_fault_that_no_run_sees_is_noted(
    tmp_path: Path, run: str, since: str, end: str | None
) -> None:
    file = written(tmp_path, run=run)
    file.write_text(file.read_text() + FAULT.format(since=since))
    (note,) = lb_json("check", file)["files"][0]["notes"] or [None]
    begun = f"the fault of 127.0.0.1:1 begins at {since[:-1]} s, after the run ends, {end}"
    assert note == (None if end is None else begun)
    said = lb("simulate", "-c", file, "--replications", 1, "--json")
    assert (f"Note: {begun}.\n" in said.stderr) is (end is not None)


def test_a_trace_may_end_before_a_fault_begins(tmp_path: Path) -> None:
    (tmp_path / "trace.csv").write_text("time\n1\n2\n")
    file = written(tmp_path, run='duration = "500s"')
    process = 'process = "poisson", rate = 10'
    traced = file.read_text().replace(process, 'process = "trace", file = "trace.csv"')
    file.write_text(traced + FAULT.format(since="300s"))
    (note,) = lb_json("check", file)["files"][0]["notes"]
    assert note == "the fault of 127.0.0.1:1 begins at 300 s, after the run ends, 2 s"


def test_a_fault_while_the_backends_are_behind_is_not_too_late(tmp_path: Path) -> None:
    file = written(tmp_path, run="requests = 500")
    swamped = file.read_text().replace("rate = 10", "rate = 1000")
    file.write_text(swamped + FAULT.format(since="4s"))
    assert lb_json("check", file)["files"][0]["notes"] == []


@pytest.mark.parametrize(("size", "mean"), [("0.005", "0.005"), ("50", "50"), ("0.06", None)])
def test_sizes_that_look_like_seconds_are_noted(
    tmp_path: Path, size: str, mean: str | None
) -> None:
    (tmp_path / "trace.csv").write_text(f"time,size\n1,{size}\n2,{size}\n")
    file = written(tmp_path)
    process = 'process = "poisson", rate = 10'
    file.write_text(file.read_text().replace(process, 'process = "trace", file = "trace.csv"'))
    (note,) = lb_json("check", file)["files"][0]["notes"] or [None]
    told = (
        f"the sizes of trace.csv average {mean} of the mean service; they are multiples of it, "
        "not seconds"
    )
    assert note == (None if mean is None else told)
    said = lb("simulate", "-c", file, "--replications", 1, "--json")
    assert (f"Note: {told}.\n" in said.stderr) is (mean is not None)


def lb_json(*arguments: object) -> Any:
    return json.loads(lb(*arguments, "--json").stdout)


@pytest.mark.parametrize(("name", "said"), [("p2c", True), ("maglev", False)])
def test_an_algorithm_says_what_several_balancers_cost_it(name: str, said: bool) -> None:
    assert ("several:   of several balancers each" in lb("strategies", name).stdout) is said
    (row,) = lb_json("strategies", name)["strategies"]
    assert (row["partial"] is not None) is said
