"""What a verdict is written as, and what it makes of the exit status."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sim import Schedule
from sim.live.rehearsal import rehearsed
from sim.live.verdict import (
    Judgement,
    Measurement,
    judge,
)
from sim.output.report import write_verdict
from tests.sim.live_runs import Case, judged
from tests.sim.scenarios import CONSTANT, scenario, serves


@pytest.mark.parametrize(("judgement", "status"), [("passed", 0), ("missed", 4), ("invalid", 1)])
def test_exit_statuses(judgement: str, status: int) -> None:
    assert Judgement(judgement).exit_status == status


def strict(path: Path) -> Any:
    """JSON as its standard knows it: no NaN, no Infinity."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


def test_the_document(case: Case, tmp_path: Path) -> None:
    path = tmp_path / "made" / "verdict.json"
    paths = write_verdict(judged(case), path, case[1], case[2])
    assert [written.name for written in paths] == [
        "verdict.json",
        "verdict.schedule.npz",
        "verdict.measured.npz",
    ]
    document = strict(path)
    assert list(document) == [
        "schema",
        "verdict",
        "algorithm",
        "requests",
        "latency",
        "shares",
        "failed",
        "distribution",
        "backends",
        "errors",
        "phases",
        "parts",
        "late_by",
        "invalid",
        "too_few",
        "misses",
        "cause",
        "objectives_missed",
    ]
    assert (document["schema"], document["verdict"], document["requests"]) == (1, "passed", 1000)
    assert list(document["latency"]) == ["p50", "p95", "p99"]
    figures = ["measured", "predicted", "tolerance", "slack", "ok"]
    assert list(document["latency"]["p50"]) == figures, "with slack, for there is no network"
    assert list(document["latency"]["p50"]["predicted"]) == ["value", "low", "high"]
    distribution = document["distribution"]
    assert list(distribution["quantiles"]) == ["mean", "p50", "p90", "p95", "p99", "p999"]
    p50 = document["latency"]["p50"]["measured"]
    assert distribution["quantiles"]["p50"] == {
        **dict.fromkeys(("measured", "predicted"), pytest.approx(p50)),
        **dict.fromkeys(("error", "low", "high"), pytest.approx(0.0, abs=1e-12)),
    }
    assert distribution["quantiles"]["p999"]["needs"] == 5000
    assert distribution["ok"] is True
    assert document["failed"] == {
        "measured": 0,
        "predicted": 0,
        "low": 0,
        "high": 1,
        "tolerance": 0.05,
        "ok": True,
    }
    again = Schedule.load(paths[1])
    np.testing.assert_array_equal(again.times, case[1].times)
    np.testing.assert_array_equal(again.sizes, case[1].sizes)
    with np.load(paths[2]) as raw:
        assert case[2].rotation is None, "a calm run is not watched"
        for name, values in vars(case[2]).items():
            assert (name in raw) is (values is not None), name
            if values is not None:
                np.testing.assert_array_equal(raw[name], values)


def test_odd_runs_are_strict_json_too(case: Case, tmp_path: Path) -> None:
    file, schedule, measured, _ = case
    blank = Measurement.blank(1000)
    patient = scenario(serves(CONSTANT), run="requests = 20", warmup="auto")
    hopeless = scenario(
        serves(CONSTANT),
        run="requests = 20",
        warmup="auto",
        more='[retries]\nmax = 0\n[timeouts]\nresponse = "100ms"',
    )
    short = Schedule.draw(hopeless)
    verdicts = {
        "nothing sent": judge(file, schedule, blank),
        "nobody answered": judged(case, ended=blank.ended, backend=blank.backend),
        "nothing predicted": judge(hopeless, short, rehearsed(patient, short)),
        "one request": judge(file, schedule.head(1), rehearsed(file, schedule.head(1))),
    }
    for name, verdict in verdicts.items():
        write_verdict(verdict, tmp_path / "verdict.json", schedule, measured)
        assert strict(tmp_path / "verdict.json")["verdict"] == verdict.judgement.value, name
    assert verdicts["nothing predicted"].judgement is Judgement.MISSED
