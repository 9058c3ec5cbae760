"""The README says what the program says of itself."""

from __future__ import annotations

import re
from pathlib import Path

from typer.testing import CliRunner

from lb.cli import app
from lb.config import Scenario

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def test_the_table_of_algorithms_is_the_registrys() -> None:
    printed = CliRunner().invoke(app, ["strategies", "--markdown"]).stdout.strip()
    assert printed.count("\n") > 5
    assert printed in README


def test_its_scenario_file_is_a_scenario() -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    scenario = Scenario.parse(text, "README.md")
    assert scenario.utilisation < 1
    assert scenario.expect.p99 == 0.25
