"""The study of the ranking, small: the best is in the set, whatever the system is like."""

from __future__ import annotations

import pytest

from sim.checks.selection import CASES, Case, main, outcomes, true_best
from sim.crew import Crew
from sim.fit.recommend.aims import parse

SHOWN = ("two speeds", "equals")


def test_cases_are_many_and_differ() -> None:
    assert len(CASES) >= 20
    assert len({case.name for case in CASES}) == len(CASES)
    for case in CASES:
        there = case.scenario(1)
        assert there.utilisation == pytest.approx(case.load)
        assert there.setup(case.algorithms[0])


@pytest.mark.parametrize("case", [it for it in CASES if it.name in SHOWN], ids=lambda it: it.name)
def test_the_best_is_in_the_set(case: Case) -> None:
    with Crew() as crew:
        (found,) = outcomes([case], 1, crew, budget=4e4, truth=3)
    assert found.right
    assert found.leader in found.left


def test_equals_are_all_of_them_best() -> None:
    (case,) = (it for it in CASES if it.name == "equals")
    with Crew() as crew:
        best = true_best(case, [parse(case.aim)], crew, 3)
    assert {"round_robin", "weighted_round_robin", "weighted_round_robin:sequence=edf"} <= set(best)
    assert "random" not in best


def test_it_says_what_came_of_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sim.checks.selection.CASES", CASES[-5:-4])
    assert main(["--searches", "1", "--truth", "3", "--budget", "3e4"]) == 0
    assert "1 of 1 sets hold a true best" in capsys.readouterr().out
