"""`lb verify`, as users and authors of plug-ins run it."""

from __future__ import annotations

import json
from pathlib import Path
from unittest import mock

from lb.strategies import REGISTRY
from sim.checks.verify import Check
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


def test_everything_is_gone_through_and_a_failure_is_status_4() -> None:
    with (
        mock.patch(
            "sim.checks.verify.laws_of", side_effect=lambda row: [Check(row.name, "law", True)]
        ),
        mock.patch(
            "sim.checks.verify.theory", return_value=[Check("simulator", "M/M/1", False, "off")]
        ),
    ):
        ran = lb("verify", "--json")
    assert ran.returncode == 4
    document = json.loads(ran.stdout)
    assert document["kept"] is False
    subjects = [check["subject"] for check in document["checks"]]
    assert subjects[: len(REGISTRY)] == list(REGISTRY)
    assert subjects[-1] == "simulator"
    assert "BROKEN  simulator: M/M/1: off\n" in ran.stderr


def test_a_plug_in(tmp_path: Path) -> None:
    ran = lb_process("verify", "-s", "last_resort", PYTHONPATH=install(tmp_path, **POINTS))
    assert ran.returncode == 0
    assert "ok      last_resort: nothing is drawn while one backend is usable\n" in ran.stdout
