"""`lb recommend`: what it prints, what it leaves, what it exits with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from lb.config import Scenario
from sim.fit.recommend.sampling import Sampler
from tests.cli.conftest import lb, on_a_terminal
from tests.cli.test_simulate import here

__all__ = ["here"]

AIM = ("--objective", "mean < 1s")
FEW = ("-a", "least_connections,random", "--budget", "60k", "--workers", 1)


def told(*arguments: object, status: int = 0, **variables: str) -> Any:
    result = lb("recommend", "-c", "lb.toml", "--json", *arguments, **variables)
    assert result.returncode == status, result.stderr
    return json.loads(result.stdout)


def test_json_has_the_set_the_loads_and_the_reasons() -> None:
    document = told(*AIM, *FEW)
    assert document["schema"] == 1
    assert document["seed"] == 5
    assert document["objectives"] == [
        {"metric": "mean", "bound": 1.0, "relation": "<=", "relative": False}
    ]
    assert document["suggested"] in document["set"]
    assert document["probability_of_correct_selection"] == 0.95
    assert {row["algorithm"] for row in document["contenders"]} == {"least_connections", "random"}
    assert document["contenders"][0]["objectives"] == {"mean": "met"}
    assert document["budget"]["requests"] == 60_000
    assert document["interrupted"] is False
    assert told(LB_OBJECTIVE="mean < 1s", LB_ALGORITHM="least_connections,random", LB_BUDGET="60k",
                LB_WORKERS="1") == document  # fmt: skip


def test_files_that_it_leaves(here: Path) -> None:
    shown = on_a_terminal(
        80, "recommend", "-c", "lb.toml", *AIM, "-a", "p2c", "--budget", "200k", "--out", "there"
    )
    assert "Traceback" not in shown
    below = shown.rpartition("\x1b[2K")[2]  # where the bar was
    assert max(map(len, below.splitlines())) <= 80
    assert "Suggested: p2c." in shown
    assert Scenario.load(here / "there/recommended.toml").algorithm.name == "p2c"
    assert json.loads((here / "there/recommend.json").read_text())["suggested"] == "p2c"
    page = (here / "there/report.html").read_text()
    assert "<svg" in page
    assert "lb recommend --config lb.toml --objective" in page
    assert (here / "there/headroom.png").read_bytes()[:4] == b"\x89PNG"


def test_quiet_says_nothing() -> None:
    result = lb("recommend", "-c", "lb.toml", *AIM, *FEW, "-q")
    assert (result.stdout, result.stderr, result.returncode) == ("", "", 0)


def test_status_4_where_nothing_meets_it() -> None:
    result = lb("recommend", "-c", "lb.toml", "--objective", "mean < 5ms", *FEW)
    assert result.returncode == 4
    assert "Nothing meets mean < 5ms. Nearest is " in result.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "line"),
    [
        (("--objective", "p98 < 1s"), 2, "no figure 'p98'"),
        (("--objective", "p99 < 250"), 2, "did you mean 250ms?"),
        ((), 2, "nothing to aim at"),
        ((*AIM, "--budget", "much"), 2, "--budget"),
        ((*AIM, "-a", "p3c"), 2, "did you mean 'p2c'?"),
        ((*AIM, "-a", "maglev"), 3, "maglev needs keys"),
        ((*AIM, "--workers", "none"), 2, "--workers"),
    ],
)
def test_mistakes_are_one_line(arguments: tuple[object, ...], status: int, line: str) -> None:
    result = lb("recommend", "-c", "lb.toml", *arguments)
    assert result.returncode == status
    assert line in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_file_without_models_is_refused(here: Path) -> None:
    (here / "lb.toml").write_text('[[backend]]\naddress = "10.0.0.1:80"\n')
    result = lb("recommend", "-c", "lb.toml", *AIM)
    assert result.returncode == 3
    assert "missing" in result.stderr


def test_ctrl_c_leaves_what_is_known() -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    with mock.patch("sim.fit.recommend.searching._loads", stopped):
        result = lb("recommend", "-c", "lb.toml", *AIM, *FEW, "--json")
    assert result.returncode == 130
    document = json.loads(result.stdout)
    assert document["interrupted"] is True
    assert document["suggested"]
    rounds = mock.Mock(side_effect=[mock.DEFAULT, KeyboardInterrupt])
    observe = Sampler.observe

    def once(self: Sampler, *given: Any) -> Any:
        rounds()
        return observe(self, *given)

    with mock.patch.object(Sampler, "observe", once):  # amid the second round of the ranking
        result = lb("recommend", "-c", "lb.toml", *AIM, "-a", "p2c,random", "--budget", "1M")
    assert result.returncode == 130
    assert "Suggested: " in result.stdout
    assert "interrupted" in result.stdout
    with mock.patch("sim.fit.recommend.searching.rank", stopped):
        result = lb("recommend", "-c", "lb.toml", *AIM, *FEW)
    assert (result.returncode, result.stdout) == (130, "")
    assert "nothing to show" in result.stderr
