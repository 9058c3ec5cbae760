"""How busy a machine is, from what its kernel counts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sim.live.machine import Machine, saturated
from sim.live.verdict import Judgement, judge
from tests.sim.live_runs import Case, changed

LINE = "cpu  {} {} {} {} {} {} {} {} 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n"


def test_shares_between_two_looks(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    machine = Machine(stat, polite=False, ahead=False)
    assert machine.busy is None
    machine.look()  # there is no such file
    assert machine.busy is None
    for row in (
        (0, 0, 0, 0, 0, 0, 0, 0),
        (30, 0, 10, 60, 0, 0, 0, 0),
        (30, 50, 10, 60, 50, 0, 0, 0),
        (30, 50, 10, 60, 50, 10, 15, 75),
        (30, 50, 10, 60, 50, 10, 15, 75),
    ):
        stat.write_text(LINE.format(*row))
        machine.look()
    assert machine.busy is not None
    assert machine.stolen is not None
    # The second: work that gives way, and waiting for a disk.
    np.testing.assert_allclose(machine.busy, [0.4, 0.0, 1.0])
    np.testing.assert_allclose(machine.stolen, [0.0, 0.0, 0.75])


@pytest.mark.parametrize(
    ("ordinary", "polite", "ours", "busy"),
    [(30, 70, False, 0.3), (30, 70, True, 1.0), (80, 20, False, 1.0), (80, 0, False, 0.8)],
)
def test_work_at_low_priority_counts_where_it_is_in_the_way(
    ordinary: int, polite: int, ours: bool, busy: float, tmp_path: Path
) -> None:
    stat = tmp_path / "stat"
    machine = Machine(stat, polite=ours, ahead=False)
    for row in ((0, 0, 0), (ordinary, polite, 100 - ordinary - polite)):
        stat.write_text(LINE.format(row[0], row[1], 0, row[2], 0, 0, 0, 0))
        machine.look()
    assert machine.busy is not None
    assert machine.busy.tolist() == [busy]


def test_nothing_is_in_the_way_of_a_process_in_real_time(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    machine = Machine(stat, polite=False, ahead=True)
    for row in ((0, 0, 0, 0, 0, 0, 0, 0), (90, 0, 0, 0, 0, 0, 0, 10)):
        stat.write_text(LINE.format(*row))
        machine.look()
    assert machine.busy is None
    assert machine.stolen is not None
    assert machine.stolen.tolist() == [0.1], "the host's other guests are"


@pytest.mark.parametrize(
    ("busy", "stolen", "words"),
    [
        (None, None, ""),
        ([0.5] * 20, [0.0] * 20, ""),
        ([0.99] * 10 + [0.5] * 10, None, ""),
        ([0.99] * 11 + [0.5] * 9, None, "in full use in 11 of 20 looks, 77% on average"),
        ([0.5] * 20, [0.05] * 10 + [0.19] * 10, "its host gave 12% of its processors to others"),
    ],
)
def test_when_nothing_is_left(
    busy: list[float] | None, stolen: list[float] | None, words: str
) -> None:
    said = saturated(*(None if it is None else np.array(it) for it in (busy, stolen)))
    assert said.endswith(words)
    assert bool(said) is bool(words)


def test_a_machine_in_full_use_says_nothing_of_the_proxy(case: Case) -> None:
    of, schedule, measured, predicted = case
    full = replace(measured, busy=np.full(20, 0.99))
    verdict = judge(of, schedule, full, predicted)
    assert verdict.judgement is Judgement.INVALID
    assert verdict.invalid == [
        "this machine was busy: its processors were in full use in 20 of 20 looks, 99% on average"
    ]


def test_backends_that_say_they_work_longer_do_so_on_any_machine(case: Case) -> None:
    of, schedule, measured, predicted = case
    assert measured.service is not None
    slow = changed(measured, service=1.5 * measured.service, ended=measured.ended + 1.0)
    verdict = judge(of, schedule, replace(slow, busy=np.full(20, 0.99)), predicted)
    assert verdict.judgement is Judgement.MISSED


def test_backends_that_were_late_to_answer_excuse_a_miss(case: Case) -> None:
    of, schedule, measured, predicted = case
    late = changed(measured, late=np.full(1000, 0.5), ended=measured.ended + 0.5)
    verdict = judge(of, schedule, late, predicted)
    assert verdict.judgement is Judgement.INVALID
    assert verdict.invalid[0].startswith(
        "this machine was busy: its backends were late to answer by 500 ms (mean), 500 ms (p50)"
    )
    assert verdict.cause is not None
    assert verdict.cause.who == "machine"
    punctual = changed(measured, ended=measured.ended + 0.5)
    assert judge(of, schedule, punctual, predicted).judgement is Judgement.MISSED
