"""Live runs on paper: fair, of their own chance, and seen as a load generator would."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import sim.live.verdict
from lb.config import Scenario
from lb.errors import UsageError
from sim import Schedule, Verdict, rehearse
from sim.checks import honesty
from sim.engine.world import World
from sim.live.rehearsal import rehearsed, seen
from sim.live.verdict import Judgement, predict
from tests.sim.scenarios import CONSTANT, EXPONENTIAL, scenario, serves
from tests.sim.shipped import TIMED

MIXED = scenario(
    serves(EXPONENTIAL, queue=1, workers=2),
    serves('{ law = "lognormal", mean = "2s", cv = 2 }', queue=1, workers=2),
    rate=2.0,
    run="requests = 800",
    more='algorithm = "p2c"',
)
"""Laws that differ, and losses."""


def test_a_rehearsal_gives_a_verdict_and_the_same_again() -> None:
    verdict = rehearse(MIXED, seed=3)
    assert isinstance(verdict, Verdict)
    assert verdict.as_dict() == rehearse(MIXED, 3).as_dict()
    assert verdict.requests == 800
    assert verdict.failures.measured > 0
    assert set(verdict.late_by.values()) == {0.0}
    json.dumps(verdict.as_dict(), allow_nan=False)


def test_the_seed_is_that_of_the_run_and_its_schedule() -> None:
    assert rehearse(MIXED, 1).latency["p50"].measured != rehearse(MIXED, 2).latency["p50"].measured
    schedule = Schedule.draw(MIXED)
    one, other = rehearsed(MIXED, schedule, 1), rehearsed(MIXED, schedule, 2)
    assert not np.array_equal(one.backend, other.backend), "ties and samples of its own"


def test_a_seed_is_a_number_from_zero_up() -> None:
    with pytest.raises(UsageError, match="seed -1: a seed is a number from zero up"):
        rehearse(MIXED, -1)


def test_the_run_is_none_of_the_predicted() -> None:
    schedule = Schedule.draw(MIXED)
    live = rehearsed(MIXED, schedule, MIXED.run.seed).ended
    good = live[np.isfinite(live)]
    for record in predict(MIXED, schedule).runs[0].records:
        assert not np.array_equal(record.ended, good)


def test_mixed_laws_and_losses_pass() -> None:
    """20 rehearsals; 95 in 100 pass, and fewer than 15 of 20 would be a chance of 1 in 1,000."""
    passed = sum(rehearse(MIXED, seed).judgement is Judgement.PASSED for seed in range(20))
    assert passed >= 15
    assert honesty.at_most(14, 20, 0.95) < 0.001


def test_a_rehearsal_is_seen_as_its_clients_see_it() -> None:
    file = scenario(
        serves(CONSTANT, queue=0),
        rate=2.0,
        traffic='patience = { law = "uniform", low = "500ms", high = "1500ms" }',
    )
    schedule = Schedule.draw(file)
    record = World(file, schedule, None, 5).replicate()
    measured = seen(record, schedule)
    good = np.isfinite(measured.ended)
    assert good.sum() == record.completed
    assert np.isfinite(measured.lost).sum() == record.failed
    assert (good ^ np.isfinite(measured.lost)).all()
    assert measured.gone.sum() == record.gone > 0
    assert record.gone < record.failed
    np.testing.assert_array_equal(measured.backend[good], record.backend)
    assert (measured.backend[~good] == -1).all()
    np.testing.assert_array_equal(measured.sent, schedule.times)


@pytest.mark.no_cover
@pytest.mark.parametrize("path", TIMED, ids=lambda path: path.stem)
def test_shipped_scenarios_judge_honest_runs_fairly(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """3 rehearsals each; all three miss with a chance of 1 in 8,000 where 95 in 100 pass."""
    monkeypatch.setattr(sim.live.verdict, "REPLICATIONS", 10)
    assert honesty.rehearsals(path, range(3), processes=1).passed > 0


def test_the_table_of_honesty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hard = tmp_path / "hard.toml"
    text = """
        [[backend]]
        address = "b:1"
        model = { service = { law = "exponential", mean = "10ms" } }
        [traffic]
        arrivals = { process = "poisson", rate = 50 }
        [run]
        requests = 400
        [expect]
        p50 = "1ms"
        """
    hard.write_text(text, encoding="utf-8")
    easy = tmp_path / "easy.toml"
    easy.write_text(text.partition("[expect]")[0], encoding="utf-8")
    assert honesty.main([str(easy), "--runs", "4", "--processes", "1"]) == 0
    assert honesty.main([str(easy), str(hard), "--runs", "4", "--processes", "2"]) == 1
    told = capsys.readouterr().out.split()
    assert "easy 4 of 4 hard 0 of 4 objective p50 4" in " ".join(told)
    assert honesty.main([str(tmp_path / "none.toml")]) == 3


def test_nothing_to_rehearse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="2"):
        honesty.main([])
    for wrong in (["--runs", "0"], ["--processes", "-1"]):
        with pytest.raises(SystemExit, match="2"):
            honesty.main(wrong)
    assert "no scenarios in loadtests/scenarios here; name some" in capsys.readouterr().err


def test_ctrl_c_keeps_what_is_known(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    known = iter([honesty.Honesty("one", 3, 4, Counter({"p99": 1}))])

    def rehearsals(*_: object) -> honesty.Honesty:
        try:
            return next(known)
        except StopIteration:
            raise KeyboardInterrupt from None

    monkeypatch.setattr(honesty, "rehearsals", rehearsals)
    assert honesty.main(["a.toml", "b.toml"]) == 130
    assert "one 3 of 4 p99 1" in " ".join(capsys.readouterr().out.split())


def test_how_likely_so_few_pass() -> None:
    assert honesty.at_most(10, 10, 0.95) == pytest.approx(1)
    assert honesty.at_most(0, 2, 0.5) == 0.25
    assert Scenario.load(TIMED[0]).backends
