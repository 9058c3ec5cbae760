"""`lb simulate --rate` and `--load`, and loads that cannot be served."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import lb
from tests.cli.scenario import TEXT
from tests.cli.test_simulate import document, here

__all__ = ["here"]

ENDLESS = (
    "lb.toml:3 traffic.arrivals: offered load 1.2 of capacity: "
    "give a duration or requests, a limit, or a lower rate\n"
)
LONG = "are a run of more than 1e+08 s; give 5e-06/s at least, or fewer requests"


def rate(*arguments: object, **variables: str) -> float:
    told: float = document(*arguments, **variables)["scenario"]["traffic"]["arrivals"]["rate"]
    return told


def test_a_rate_or_a_load_in_place_of_the_files() -> None:
    assert rate("--rate", 55) == 55
    assert rate("--load", 0.25) == 25
    assert rate(LB_RATE="30") == 30
    assert rate(LB_LOAD="0.5") == 50


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (["--rate", "3", "--load", "0.5"], "--rate and --load say the same in two ways; give one"),
        (["--rate", "0"], "--rate: 0 is not a number above zero"),
        (["--load=-0.5"], "--load: -0.5 is not a number above zero"),
        (["--load", "nan"], "--load: nan is not a number above zero"),
        (["--load", "inf"], "--load: inf is not a number above zero"),
        (["--load", "much"], "'--load'"),
    ],
)
def test_what_is_no_rate(given: list[str], why: str) -> None:
    result = lb("simulate", "-c", "lb.toml", *given)
    assert result.returncode == 2
    assert why in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (
            ["--rate", "1e-300"],
            f"500 requests at 1e-300/s {LONG}",
        ),
        (
            ["--rate", "0.000001"],
            f"500 requests at 1e-06/s {LONG}",
        ),
        (["--rate", "1e300"], "1e+300 requests/s; give 1e+09/s at most"),
    ],
)
def test_a_rate_that_no_run_can_have(given: list[str], why: str) -> None:
    result = lb("simulate", "-c", "lb.toml", *given)
    assert (result.returncode, result.stdout) == (3, "")
    assert result.stderr == f"lb.toml:3 traffic.arrivals: {why}\n"


def test_a_load_without_end_is_named_before_anything_runs(here: Path) -> None:
    (here / "lb.toml").write_text(TEXT.replace("requests = 500\n", ""))
    result = lb("simulate", "-c", "lb.toml", "--load", 1.2)
    assert (result.returncode, result.stdout, result.stderr) == (3, "", ENDLESS)
    assert [path.name for path in here.iterdir()] == ["lb.toml"]


def test_of_a_given_length_it_runs_as_a_transient(here: Path) -> None:
    (here / "lb.toml").write_text(TEXT.replace("requests = 500\n", ""))
    result = lb("simulate", "-c", "lb.toml", "--load", 1.2, "--requests", 500, "--json")
    assert result.returncode == 0
    assert "there is no steady state to estimate" in result.stderr
    assert "holds for a run of this length only" in result.stderr
