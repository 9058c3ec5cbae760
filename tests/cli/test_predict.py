"""`lb predict`: what it prints, what it leaves, what it exits with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lb.config import Scenario, changed
from sim.fit.seen import Seen
from sim.fit.witnessed import witnessed
from tests.cli.conftest import lb, on_a_terminal

TEXT = """\
algorithm = "round_robin"
[traffic]
arrivals = { process = "poisson", rate = 100 }
[run]
requests = 1200
seed = 5
[[backend]]
name = "one"
address = "127.0.0.1:3001"
[backend.model]
service = { law = "exponential", mean = "10ms" }
[[backend]]
name = "two"
address = "127.0.0.1:3002"
[backend.model]
service = { law = "exponential", mean = "15ms" }
"""
FEW = ("--replications", "10", "--metric", "mean", "--max-error", "60%")


@pytest.fixture(scope="module")
def log() -> str:
    """An access log of one run of the file, JSON lines."""
    seen = Seen.of(witnessed(changed(Scenario.parse(TEXT), {"run.seed": 31})))
    rows = zip(seen.arrived, seen.latency, seen.backend[seen.last], strict=True)
    lines = [
        {"arrived": 1.7e9 + at, "total_ms": took * 1e3, "backend": seen.names[who], "status": 200}
        for at, took, who in rows
    ]
    return "".join(f"{json.dumps(line, default=float)}\n" for line in lines)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: str) -> Path:
    """The directory a command is run in; it holds a scenario and a log."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lb.toml").write_text(TEXT)
    (tmp_path / "access.log").write_text(log)
    return tmp_path


def asked(*arguments: object) -> Any:
    return lb("predict", "-c", "lb.toml", "--from", "access.log", *FEW, *arguments)


def test_first_the_model_then_the_change() -> None:
    told = asked("-a", "least_connections")
    assert told.returncode == 0, told.stderr
    lines = told.stdout.splitlines()
    assert lines[0].startswith("access.log replayed: 1,200 requests in ")
    (change,) = (line for line in lines if line.startswith("round_robin -> least_connections: "))
    assert "model error" in change
    assert lines[-1] == "Recommended: least_connections."
    places = [told.stdout.index(text) for text in ("Kolmogorov", "Latency in ms", "Recommended")]
    assert places == sorted(places)


def test_json_on_stdout_and_words_on_stderr() -> None:
    told = asked("-a", "least_connections,p2c", "--json")
    document = json.loads(told.stdout)
    assert document["schema"] == 1
    assert [it["change"] for it in document["changes"]] == ["least_connections", "p2c"]
    assert document["gate"]["setting"]["recording"] == "access.log"
    assert "Recommended" in told.stderr


def test_quiet_says_nothing() -> None:
    told = asked("-a", "least_connections", "--quiet")
    assert (told.returncode, told.stdout, told.stderr) == (0, "", "")


def test_a_change_that_is_none_exits_with_4() -> None:
    told = asked("--weight", "two=2")
    assert told.returncode == 4
    assert "weight of two = 2: mean" in told.stdout
    assert "it changes nothing: round_robin ignores weights." in " ".join(told.stdout.split())
    last = "Nothing of this is recommended: of no change a gain can be told for certain."
    assert told.stdout.splitlines()[-1] == last


def test_that_a_change_makes_it_worse_is_an_answer() -> None:
    told = asked("-a", "random")
    assert told.returncode == 0
    last = "Nothing of this is recommended: what can be told for certain is no gain."
    assert told.stdout.splitlines()[-1] == last


def test_who_is_lost_is_no_choice() -> None:
    told = asked("--lose", "two@2s-2500ms")
    assert told.stdout.splitlines()[-1] == (
        "Nothing is recommended: who is lost and how much comes are no choices."
    )


def test_without_a_recording_nothing_is_recommended() -> None:
    told = lb("predict", "-c", "lb.toml", *FEW, "-a", "least_connections")
    assert told.returncode == 4
    assert "nothing vouches for this model" in told.stdout
    assert "Recommended" not in told.stdout


def test_all_kinds_of_changes_at_once() -> None:
    told = asked(
        *("--set", "backend.one.model.workers=2", "--weight", "two=2", "--add", "--rate-times"),
        *("1.2", "--lose", "two@5s-6s", "--timeout", "attempt=800ms", "--retries", "2"),
        *("--max-in-flight", "20", "--queue", "50", "--eject", "off", "--balancers", "2", "--json"),
    )
    assert told.returncode in (0, 4), told.stderr
    base, change = json.loads(told.stdout)["changes"]
    assert change["beside"] == base["change"] == "two lost from 5 s to 6 s, rate x 1.2"
    for words in ("backend.one.model.workers = 2", "weight of two = 2", "one more like one"):
        assert words in change["change"]
    for words in ("rate x 1.2", "two lost from 5 s to 6 s", "retries.max = 2", "balancers = 2"):
        assert words in change["change"]
    assert set(change["shares"]) == {"one", "two", "one-2"}


def test_pictures_and_a_page(here: Path) -> None:
    told = asked("-a", "least_connections", "--out", "there")
    assert told.returncode == 0
    left = {path.name for path in (here / "there").iterdir()}
    assert left == {"prediction.json", "replay.png", "changes.png", "report.html"}
    page = (here / "there" / "report.html").read_text()
    assert "Prediction for round_robin" in page
    assert "lb predict --config lb.toml" in page


def test_it_fits_a_terminal() -> None:
    shown = on_a_terminal(
        80, "predict", "-c", "lb.toml", "--from", "access.log", *FEW, "-a", "least_connections"
    )
    lines = [line for line in shown.splitlines() if "predicting" not in line]
    assert any("Recommended" in line for line in lines)
    assert max(len(line.removeprefix("\x1b[1A\x1b[2K")) for line in lines) <= 80


@pytest.mark.parametrize(
    ("arguments", "status", "why"),
    [
        (("-a", "p2d"), 2, "unknown algorithm 'p2d': did you mean 'p2c'?"),
        (("--metric", "p98"), 2, "--metric: 'p98' is none of: mean, p50, p95, p99"),
        (("--max-error", "much"), 2, "--max-error: 'much' is not a share such as 2% or 0.02"),
        (("--max-error", "p98=1%"), 2, "--max-error: no figure 'p98'"),
        (("--weight", "one"), 2, "--weight one: write NAME=W, such as a=2"),
        (("--weight", "tow=2"), 2, "no backend is named 'tow'; did you mean 'two'?"),
        (("--lose", "one@x"), 2, "--lose one@x: write NAME, or NAME@20s-40s"),
        (("--set", "queue.limit"), 2, "--set queue.limit: write KEY=VALUE"),
        (("--field", "ended"), 2, "--field ended: write NAME=COLUMN, such as ended=ts"),
        (("--set", "queue.limt=4"), 2, "queue.limt: unknown key; did you mean 'limit'?"),
        (("--set", "algorithm=p2c"), 2, "--set algorithm: give -a NAME"),
        (("--eject", "off", "--eject", "eject=5s"), 2, "--eject off: then there is nothing else"),
        (("--timeout", "attemt=1s"), 2, "attemt: unknown key; did you mean 'attempt'?"),
        (
            ("--queue", "10"),
            2,
            "--queue 10: nobody ever waits, for no backend has a max_in_flight;",
        ),
        (("--rate-times", "0"), 2, "--rate-times: 0 is not a number above zero"),
        (("--remove", "one", "--remove", "two"), 2, "without two no backend is left"),
        (("--from", "nowhere"), 3, "nowhere: cannot be read: no such file or directory"),
        (("--retries", "1", "--set", "retries.max=2"), 2, "--retries: retries.max is given twice"),
    ],
)
def test_mistakes_are_one_line(arguments: tuple[str, ...], status: int, why: str) -> None:
    told = asked(*arguments)
    assert why in told.stderr
    assert told.returncode == status
    assert len(told.stderr.splitlines()) == 1
    assert told.stdout == ""


def test_a_model_is_needed() -> None:
    told = lb("predict", "-a", "p2c")
    assert (told.returncode, told.stderr) == (
        2,
        "lb: give the model, -c FILE; lb calibrate makes one from a recording\n",
    )


def test_another_files_log_is_named(here: Path) -> None:
    (here / "other.toml").write_text(TEXT.replace('"one"', '"first"').replace("3001", "4001"))
    told = lb("predict", "-c", "other.toml", "--from", "access.log", "-a", "p2c")
    assert told.returncode == 3
    assert told.stderr.startswith("access.log: a recording of another file: its backends are ")
