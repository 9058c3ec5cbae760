"""`lb simulate`: what it prints, what it leaves, what it exits with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sim.scenarios import BUILT_IN
from tests.cli.conftest import lb, lb_process
from tests.cli.scenario import TEXT

PICTURES = {
    f"{name}.png"
    for name in ("latency_ccdf", "latency_percentiles", "backends", "in_flight", "queues")
}
DOCUMENTS = ("result.json", "report.html")
WALL = ("wall_seconds", "requests_per_wall_second")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory a command is run in; it holds a scenario."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lb.toml").write_text(TEXT)
    return tmp_path


def document(*arguments: object, **variables: str) -> Any:
    """What `--json` prints."""
    result = lb("simulate", "-c", "lb.toml", "--json", *arguments, **variables)
    assert result.returncode == 0
    return json.loads(result.stdout)


def without_wall(told: Any) -> Any:
    for run in told["runs"]:
        for name in WALL:
            assert run.pop(name) > 0
    return told


# --- what it prints


def test_json_on_stdout_and_words_on_stderr(here: Path) -> None:
    result = lb_process("simulate", "-c", "lb.toml", "-a", "random", "-a", "p2c", "--json")
    assert result.returncode == 0
    told = json.loads(result.stdout)
    assert [run["algorithm"] for run in told["runs"]] == ["random", "p2c"]
    assert told["seed"] == 5
    for words in ("Offered load 0.8 of capacity: 80 requests/s.", "By p99, best first: "):
        assert words in result.stderr
    assert "Traceback" not in result.stderr
    assert [path.name for path in here.iterdir()] == ["lb.toml"], "with --json nothing is drawn"


def test_words_on_stdout_without_json() -> None:
    result = lb("simulate", "-c", "lb.toml", "--out", "there")
    assert result.returncode == 0
    assert result.stderr == ""
    assert "Latency in ms" in result.stdout
    assert "least_connections" in result.stdout
    assert result.stdout.endswith(
        "Plots and result.json are in there/\nAll of it is on one page: there/report.html\n"
    )


def test_overload_is_said_beforehand(here: Path) -> None:
    (here / "lb.toml").write_text(TEXT.replace("rate = 80", "rate = 200"))
    result = lb("simulate", "-c", "lb.toml", "--json")
    assert result.returncode == 0
    assert "The backends cannot keep up: there is no steady state to estimate." in result.stderr


# --- what it leaves


def test_a_directory_gets_pictures_and_the_document(here: Path) -> None:
    result = lb("simulate", "-c", "lb.toml", "-a", "random", "--json", "--out", "made/here")
    there = here / "made" / "here"
    assert {path.name for path in there.iterdir()} == {*PICTURES, *DOCUMENTS}
    for name in PICTURES:
        assert (there / name).read_bytes().startswith(b"\x89PNG")
    assert json.loads((there / "result.json").read_text()) == json.loads(result.stdout)


def test_without_a_file_the_built_in_scenario_is_drawn(here: Path) -> None:
    result = lb_process("simulate", "--requests", "300", "--replications", "2")
    assert result.returncode == 0
    assert {path.name for path in (here / "lb-report").iterdir()} == {*PICTURES, *DOCUMENTS}
    told = json.loads((here / "lb-report" / "result.json").read_text())
    assert [run["algorithm"] for run in told["runs"]] == ["least_connections"]
    assert [row["name"] for row in told["scenario"]["backend"]] == ["fast-1", "fast-2", "slow"]
    assert 'algorithm = "least_connections"' in BUILT_IN


@pytest.mark.parametrize(
    ("given", "page"),
    [
        (("--report",), "lb-report/report.html"),
        (("--report", "--seed", "3"), "lb-report/report.html"),
        (("--report", "--out", "there"), "there/report.html"),
        (("--report", "made/page.html"), "made/page.html"),
        (("--report=page.html",), "page.html"),
    ],
)
def test_a_report_goes_where_it_is_asked_for(here: Path, given: list[str], page: str) -> None:
    result = lb("simulate", "-c", "lb.toml", "-a", "random", "--json", *given)
    assert result.returncode == 0
    json.loads(result.stdout)
    assert f"All of it is on one page: {page}\n" in result.stderr
    assert (here / page).read_text().startswith("<!DOCTYPE html>")
    assert (here / "lb-report" / "result.json").exists() is False


def test_a_report_tells_the_command_that_makes_it_again(here: Path) -> None:
    flags = ("-a", "p2c:choices=3", "-a", "random", "--requests", 300)
    result = lb("simulate", "-c", "lb.toml", *flags, "-q", "--report", "x.html", LB_SEED="9")
    assert result.returncode == 0
    page = (here / "x.html").read_text()
    again = (
        "lb simulate --config lb.toml --algorithm p2c:choices=3 --algorithm random "
        "--requests 300 --seed 9</code>"
    )
    assert again in page
    assert page == (here / "lb-report" / "report.html").read_text()
    assert "process = &quot;poisson&quot;" in page, "the file as it is written"


def test_a_report_that_cannot_be_written_is_said_before_anything_is_simulated(here: Path) -> None:
    result = lb("simulate", "-c", "lb.toml", "--json", "--report", ".")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "lb: cannot write to .: is a directory\n"


# --- what is simulated


def test_a_seed_settles_everything() -> None:
    one = without_wall(document("-a", "random", "--seed", 9))
    assert one == without_wall(document("-a", "random", "--seed", 9))
    other = without_wall(document("-a", "random", "--seed", 10))
    assert (one["seed"], other["seed"]) == (9, 10)
    assert one["runs"] != other["runs"]


def test_flags_win_over_the_environment_and_that_over_the_file() -> None:
    def run(*flags: object, **variables: str) -> tuple[Any, ...]:
        told = document(*flags, **variables)
        (only,) = told["runs"]
        settings = told["scenario"]["run"]
        return only["algorithm"], only["requests"], settings["replications"], told["seed"]

    outside = {
        "LB_ALGORITHM": "random",
        "LB_REQUESTS": "60",
        "LB_REPLICATIONS": "3",
        "LB_SEED": "7",
    }
    flags = ("-a", "p2c", "--requests", 70, "--replications", 4, "--seed", 8)
    assert run() == ("least_connections", 500, 2, 5)
    assert run(**outside) == ("random", 60, 3, 7)
    assert run(*flags, **outside) == ("p2c", 70, 4, 8)


def test_requests_take_the_place_of_a_duration(here: Path) -> None:
    (here / "lb.toml").write_text(TEXT.replace("requests = 500", 'duration = "1s"'))
    assert 40 < document()["runs"][0]["requests"] < 130
    assert document("--requests", 33)["runs"][0]["requests"] == 33


def test_parameters_may_follow_an_algorithm(here: Path) -> None:
    third = TEXT[TEXT.rindex("[[backend]]") :].replace("two", "three").replace("3002", "3003")
    (here / "lb.toml").write_text(TEXT + third)
    runs = document("-a", "p2c", "-a", "p2c:choices=3")["runs"]
    assert [run["algorithm"] for run in runs] == ["p2c", "p2c:choices=3"]
    assert runs[0]["latency"] != runs[1]["latency"]


def test_several_algorithms_in_one_variable_or_one_option(here: Path) -> None:
    both = ["p2c:choices=3,replacement=true", "random"]
    flagged = lb("simulate", "-c", "lb.toml", "--json", "-a", ",".join(both))
    named = lb("simulate", "-c", "lb.toml", "--json", LB_ALGORITHM=",".join(both))
    for ran in (flagged, named):
        assert [run["algorithm"] for run in json.loads(ran.stdout)["runs"]] == both


# --- exit statuses


def test_a_missed_objective_is_status_4(here: Path) -> None:
    with (here / "lb.toml").open("a") as file:
        file.write('[expect]\np50 = "1ms"\np90 = "1h"\n')
    names = ("-a", "random", "-a", "round_robin", "--requests", 5000)
    result = lb("simulate", "-c", "lb.toml", *names, "--json")
    assert result.returncode == 4
    told = [line for line in result.stderr.splitlines() if ": objective " in line]
    assert [line.split()[:4] for line in told] == [
        [f"{name}:", "objective", f"{metric}:", word]
        for name in ("random", "round_robin")
        for metric, word in (("p50", "missed:"), ("p90", "met:"))
    ]
    assert [run["algorithm"] for run in json.loads(result.stdout)["runs"]] == [
        "random",
        "round_robin",
    ]


def test_a_met_objective_is_status_0(here: Path) -> None:
    with (here / "lb.toml").open("a") as file:
        file.write('[expect]\nmean = "1h"\n')
    result = lb("simulate", "-c", "lb.toml", "--json")
    assert result.returncode == 0
    assert "least_connections: objective mean: met: " in result.stderr


def test_an_objective_that_cannot_be_told_is_status_4_and_says_what_would_tell(
    here: Path,
) -> None:
    seen = document()["runs"][0]["latency"]["mean"]
    with (here / "lb.toml").open("a") as file:
        file.write(
            f'[expect]\nmean = "{1e3 * (0.45 * seen["value"] + 0.55 * seen["high"]):.3f}ms"\n'
        )
    result = lb("simulate", "-c", "lb.toml", "--json")
    assert result.returncode == 4
    (line,) = [line for line in result.stderr.splitlines() if ": objective " in line]
    assert line.startswith("least_connections: objective mean: cannot be told: ")
    assert line.endswith("about 4 times as many requests would tell")


def test_an_overloaded_run_meets_no_objective(here: Path) -> None:
    text = TEXT.replace("rate = 80", "rate = 200")
    (here / "lb.toml").write_text(f'{text}[expect]\np99 = "1h"\n')
    result = lb("simulate", "-c", "lb.toml", "--json")
    assert result.returncode == 4
    assert "objective p99: missed: without a steady state" in result.stderr


def test_a_precision_adds_replications() -> None:
    told = document("--precision", "mean=20%", "--precision", "p50=20%")
    assert told["scenario"]["run"]["replications"] >= 10
    for name in ("mean", "p50"):
        figure = told["runs"][0]["latency"][name]
        assert figure["high"] - figure["value"] <= 0.2 * figure["value"]


def test_a_precision_that_takes_too_long_is_status_3() -> None:
    limit = ("--precision", "p99=0.1%", "--max-requests", 50_000)
    result = lb("simulate", "-c", "lb.toml", *limit)
    assert result.returncode == 3
    assert "run.requests: --precision would need about " in result.stderr
    assert "--max-requests is 50,000" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--precision", "p98=2%"], ["--precision", "'p98'", "did you mean"]),
        (["-a", "least_conections"], ["'least_conections'", "did you mean 'least_connections'?"]),
        (["-a", "random", "-a", "random"], ["'random'", "twice"]),
        (["-a", "p2c:choices=none"], ["choices"]),
        (["--requests", "0"], ["--requests", "equal to 1"]),
        (["--requests", "-5"], ["--requests", "equal to 1"]),
        (["--replications", "0"], ["--replications", "equal to 1"]),
        (["--seed", "-1"], ["--seed", "equal to 0"]),
        (["--rquests", "5"], ["--rquests"]),
    ],
    ids=" ".join,
)
def test_wrong_flags_are_status_2(arguments: list[str], words: list[str], here: Path) -> None:
    result = lb("simulate", "-c", "lb.toml", *arguments)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    for word in words:
        assert word in line
    assert [path.name for path in here.iterdir()] == ["lb.toml"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("rate = 80", "rate = -80", ["lb.toml:3", "rate"]),
        ("requests = 500", "request = 500", ["lb.toml:5", "did you mean 'requests'?"]),
        ("exponential", "exponentail", ["did you mean 'exponential'?"]),
        ("[traffic]", "[trafic]", ["did you mean 'traffic'?"]),
        ("seed = 5", 'seed = 5\nwarmup = "1h"', ["lb.toml:8 run.warmup"]),
        ("requests = 500", 'duration = "1us"', ["lb.toml:5 run.duration", "no request arrives"]),
        ("arrivals = {", "arrivals = [", ["lb.toml", "not TOML"]),
    ],
)
def test_a_wrong_file_is_status_3(here: Path, old: str, new: str, words: list[str]) -> None:
    (here / "lb.toml").write_text(TEXT.replace(old, new, 1))
    result = lb("simulate", "-c", "lb.toml", "--json")
    assert result.returncode == 3
    assert result.stdout == ""
    for word in words:
        assert word in result.stderr


@pytest.mark.parametrize("gone", ["traffic", "model"])
def test_a_file_without_what_a_model_needs_is_status_3(here: Path, gone: str) -> None:
    text = TEXT.split("[[backend]]")[0] if gone == "model" else TEXT.replace("[traffic]\n", "")
    (here / "lb.toml").write_text(text.replace("arrivals = ", "# ") if gone == "traffic" else text)
    result = lb("simulate", "-c", "lb.toml")
    assert result.returncode == 3
    assert gone in result.stderr


def test_a_missing_file_is_status_3() -> None:
    result = lb("simulate", "-c", "none.toml")
    assert result.returncode == 3
    assert result.stderr == "none.toml: cannot be read: no such file or directory\n"
