"""Every kind of fault, lived and simulated: what was predicted is what comes."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from sim.analysis.forecast import level_of_each
from sim.live.ordeal import ordeal
from sim.live.verdict import predict
from sim.result import Result
from tests.lived.world import Lived, lived

SCENARIOS = Path(__file__).parents[2] / "loadtests" / "scenarios"
FILES = ("black_hole", "cold_start", "crash", "errors", "fail_fast", "flapping")
CRASH = """\
backend = "two"
kind = "down"
from = "5s"
to = "12s"
"""
OTHERS = {
    "reset": CRASH.replace("down", "reset") + "rate = 0.9\n",
    "pause": CRASH.replace("down", "pause").replace("12s", "8s"),
    "health_lost": CRASH.replace("down", "health_lost"),
    "slow": CRASH.replace("down", "slow") + "factor = 10\n",
    "random": CRASH.replace('"two"', '["one", "two"]') + 'mttf = "3s"\nmttr = "1s"\n',
}
"""What stands in place of the fault of crash.toml."""
LOST = {"errors": 60, "fail_fast": 20}
"""Fewer requests are lost than that: half of what a backend which stays in rotation would lose, and
twice the most of 80 simulated seeds (31 and 7)."""


@cache
def both(name: str) -> tuple[Lived, Result]:
    file = "crash" if name in OTHERS else name
    text = (SCENARIOS / f"{file}.toml").read_text(encoding="utf-8")
    if name in OTHERS:
        assert CRASH in text
        text = text.replace(CRASH, OTHERS[name])
    live = lived(text)
    return live, predict(live.scenario, live.schedule)


@pytest.mark.parametrize("name", [*FILES, *OTHERS])
def test_lost_requests_and_times_out_of_rotation_are_those_predicted(name: str) -> None:
    live, predicted = both(name)
    fates = [record.fates for record in predicted.runs[0].records]
    figures = ordeal(live.scenario, live.measured.fates(live.schedule), fates, 0.0)
    lines = {name: it.line(level_of_each(len(figures))) for name, it in figures.items()}
    assert {"lost", "out: two"} <= lines.keys()
    assert [name for name, line in lines.items() if not line.ok] == []
    if name in FILES:
        assert lines["out: two"].measured > 1.0
        assert lines["out: one"].measured == lines["out: three"].measured == 0.0


@pytest.mark.parametrize("name", ["black_hole", "cold_start", "crash", "flapping"])
def test_what_breaks_without_an_answer_is_lost_to_no_client(name: str) -> None:
    live, predicted = both(name)
    assert live.lost == 0
    assert predicted.runs[0].failed == 0
    assert live.snapshot.retried > 0


@pytest.mark.parametrize("name", ["errors", "fail_fast"])
def test_whose_answers_are_errors_is_ejected_though_its_checks_are_fine(name: str) -> None:
    live, _ = both(name)
    ejected = [seconds for seconds, _, event, _ in live.log if "ejected" in event]
    assert ejected, live.log
    assert ejected[0] < (13.0 if name == "errors" else 7.0)
    assert live.lost < LOST[name]
