"""`lb verify`, as users and authors of plug-ins run it."""

from __future__ import annotations

import json
from pathlib import Path
from unittest import mock

from lb.strategies import REGISTRY
from sim.analysis.statistics import Estimate
from sim.checks.check import Check
from tests.cli.conftest import lb, lb_process
from tests.plugin.test_plugin import POINTS, install


def test_one_strategy() -> None:
    ran = lb("verify", "--strategy", "p2c")
    assert ran.returncode == 0
    assert "ok      p2c: of those drawn the least loaded, every draw equally likely\n" in ran.stdout
    assert "exempt  p2c: a backend that was slow once is picked again: " in ran.stdout
    assert ran.stdout.endswith(" hold, 0 do not.\n")


def test_one_strategy_at_other_settings_than_its_own() -> None:
    ran = lb("verify", "--strategy", "p2c:choices=4")
    assert ran.returncode == 0
    assert "ok      p2c:choices=4: of those drawn the least loaded" in ran.stdout
    assert "  p2c: " not in ran.stdout


def test_json() -> None:
    ran = lb("verify", "--strategy", "random", "--json")
    document = json.loads(ran.stdout)
    assert document["schema"] == 1
    assert document["kept"] is True
    assert {check["subject"] for check in document["checks"]} == {"random"}
    assert "ok      random: " in ran.stderr


def test_an_unknown_name() -> None:
    ran = lb("verify", "--strategy", "p2d")
    assert ran.returncode == 2
    assert "did you mean 'p2c'?" in ran.stderr


FIGURES = [
    Check("M/M/1 at 0.8", "mean", True, "", 5.0, "=", Estimate(5.01, 4.9, 5.1), "a book"),
    Check(
        "M/M/1 at 0.8",
        "p99 over random's",
        False,
        "not surely more",
        1.0,
        ">",
        Estimate(2.5, None, 3.0),
        "a book",
    ),
]


def test_everything_is_gone_through_and_a_failure_is_status_4() -> None:
    with (
        mock.patch(
            "sim.checks.verify.laws_of", side_effect=lambda row: [Check(row.name, "law", True)]
        ),
        mock.patch("sim.checks.verify.simulator", return_value=FIGURES) as simulator,
    ):
        ran = lb("verify", "--json", "--quick")
    assert ran.returncode == 4
    document = json.loads(ran.stdout)
    assert document["kept"] is False
    subjects = [check["subject"] for check in document["checks"]]
    assert subjects[: len(REGISTRY)] == list(REGISTRY)
    assert document["checks"][-2] == {
        "subject": "M/M/1 at 0.8",
        "says": "mean",
        "kept": True,
        "why": "",
        "oracle": 5.0,
        "relation": "=",
        "simulated": {"value": 5.01, "low": 4.9, "high": 5.1},
        "source": "a book",
    }
    assert document["checks"][-1]["simulated"]["low"] is None
    assert document["checks"][0]["oracle"] is None
    *_, title, system, kept, broken, _ = ran.stderr.splitlines()
    assert title == "                                              oracle simulated  at 99.99 %"
    assert system == "M/M/1 at 0.8 (a book)"
    assert kept == "ok      mean                                       5      5.01  4.9 to 5.1"
    assert broken.startswith(
        "BROKEN  p99 over random's                        > 1       2.5  - to 3"
    )
    simulator.assert_called_once_with(True)


def test_a_plug_in(tmp_path: Path) -> None:
    ran = lb_process("verify", "-s", "last_resort", PYTHONPATH=install(tmp_path, **POINTS))
    assert ran.returncode == 0
    assert "ok      last_resort: nothing is drawn while one backend is usable\n" in ran.stdout
