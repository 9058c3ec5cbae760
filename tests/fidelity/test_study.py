"""A study goes on where it ended, repeats what says nothing, and tells what it has found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from lb.errors import LbError
from lb.terminal import Terminal
from sim.fidelity import findings, overhead, study
from sim.fidelity.cases import Case, cases
from sim.fidelity.overhead import Overhead
from sim.fidelity.study import MOST_TRIES, opened
from sim.output import fidelity
from sim.output.fidelity import all_runs, print_study, sentences
from tests.fidelity.rows import instead, of, row


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> list[Case]:
    return instead(monkeypatch)


def test_it_goes_on_where_it_ended(tmp_path: Path, played: list[Case]) -> None:
    made = cases("lb", ["crash", "users"])
    first = opened(made, tmp_path)
    assert (len(first.missing), first.seconds) == (10, 10 * 65.0)
    steps = first.run(lambda *_: None)
    assert [next(steps) for _ in range(3)] == [0, 1, 2]
    steps.close()
    again = opened(made, tmp_path)
    assert again.missing == list(range(3, 10))
    assert list(again.run(lambda *_: None)) == list(range(3, 10))
    assert len(played) == 10
    assert opened(made, tmp_path).missing == []
    assert len(opened(cases("lb", ["crash"], seed=2), tmp_path).missing) == 5


def test_what_says_nothing_is_repeated_and_at_last_told(
    tmp_path: Path, played: list[Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    verdicts = iter(["invalid", "passed", *["invalid"] * MOST_TRIES])
    monkeypatch.setattr(study, "run", lambda case, _: of(case, verdict=next(verdicts)))
    told: list[str] = []
    it = opened(cases("lb", ["crash"], ["p2c", "random"]), tmp_path)
    assert list(it.run(lambda case, why: told.append(f"{case}: {why}"))) == [0, 1]
    assert [one["tries"] for one in it.done] == [2, MOST_TRIES]
    assert told == [
        "crash, p2c: this machine was busy",
        *["crash, random: this machine was busy"] * (MOST_TRIES - 1),
    ]
    assert it.as_dict()["judged"] == 1
    again = opened(it.cases, tmp_path)
    assert again.missing == [1], "on another day the machine may be at rest"


def test_a_system_that_does_not_come_up_is_tried_again(
    tmp_path: Path, played: list[Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    ends: list[dict[str, Any] | None] = [None, row(), *[None] * MOST_TRIES]

    def run(case: Case, _: Overhead) -> dict[str, Any]:
        if (end := ends.pop(0)) is None:
            raise LbError("lb serve stopped: address already in use")
        return end

    monkeypatch.setattr(study, "run", run)
    told: list[str] = []
    steps = opened(cases("lb", ["crash"], ["p2c", "random"]), tmp_path).run(
        lambda _, why: told.append(why)
    )
    assert next(steps) == 0
    with pytest.raises(LbError, match="address already in use"):
        next(steps)
    assert told == ["lb serve stopped: address already in use"] * MOST_TRIES


def test_what_a_request_costs_is_measured_again_after_a_while(
    played: list[Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    costs = iter([0.001, 0.002])
    monkeypatch.setattr(overhead, "measure", lambda _: Overhead(next(costs), 0.3))
    clock = iter([0.0, 65.0, 130.0, study.FRESH + 1.0, study.FRESH + 66.0])
    monkeypatch.setattr("sim.fidelity.study.time", Mock(monotonic=lambda: next(clock)))
    it = opened(cases("lb", ["crash"]), None)
    list(it.run(lambda *_: None))
    assert [one["overhead"]["mean"] for one in it.done] == [0.001] * 3 + [0.002] * 2
    assert it.as_dict()["overhead"] == 0.001


def test_medians_and_what_is_far() -> None:
    rows = [
        row(errors={"mean": error, "p99": 0.3 if error > 0.04 else 0.01}, share=error / 10)
        for error in (-0.01, 0.03, 0.05)
    ]
    found = findings.medians([*rows, row(errors={"mean": 9.0}, verdict="invalid")])
    assert found == pytest.approx(
        {"mean": 0.03, "p50": 0.001, "p95": 0.001, "p99": 0.01, "share": 0.003}
    )
    (one,) = findings.far(rows)
    assert (one.figure, one.error, one.why) == ("p99", 0.3, findings.UNEXPLAINED)
    assert not findings.kept(rows)
    assert findings.kept([row()])
    assert findings.kept([row(), row(), row(errors={"p50": 0.2}, chance=0.25)])
    assert not findings.kept([row(share=0.02)])
    assert not findings.kept([])
    assert not findings.kept([row(), row(verdict="invalid")])
    short = row(share=0.02)
    for one in short["shares"].values():
        one.update(low=0.4, high=0.6)
    assert findings.kept([short]), "chance gives as much in a short run"


def parts(proxy: float) -> dict[str, Any]:
    beside = {"generator": 0.0, "machine": 0.0, "backends": 0.1}
    return {"measured": {**beside, "proxy": proxy}, "predicted": {**beside, "proxy": 0.001}}


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"chance": 0.2}, "chance alone gives -20.0% to +20.0%"),
        ({"cause": "the proxy took longer"}, "the proxy took longer"),
        ({"parts": parts(0.021)}, "beside its backend a request took 21.00 ms, not 1.00 ms"),
        ({"parts": parts(0.002)}, findings.UNEXPLAINED),
        ({"differs": "ties go to the first"}, "is not quite the model: ties go to the first"),
        ({}, findings.UNEXPLAINED),
    ],
)
def test_what_explains_an_error(more: dict[str, Any], why: str) -> None:
    (one,) = findings.far([row(errors={"mean": 0.15}, **more)])
    assert why in one.why


def test_a_study_as_people_read_it(
    tmp_path: Path, played: list[Case], capsys: pytest.CaptureFixture[str]
) -> None:
    it = opened(cases("haproxy", ["crash", "overload"]), tmp_path)
    list(it.run(lambda *_: None))
    it.rows[0] = row("crash", "roundrobin", errors={"p95": -0.4}, verdict="missed", share=0.03)
    busy = "this machine was busy"
    it.rows[1] = row("crash", "static-rr", verdict="invalid", cause=busy)
    failed = {"measured": 7, "predicted": 2.0, "low": 0.0, "high": 4.0}
    it.rows[2] = row("crash", "leastconn", failed=failed)
    told = json.loads(json.dumps(it.as_dict(), allow_nan=False))
    assert (told["schema"], told["target"], told["cases"]) == (1, "haproxy", 8)
    print_study(told, Terminal(width=80))
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= 80
    assert "crash: a backend is killed and restarted" in said
    assert "300/180 -40.0" in said
    words = " ".join(said.split())
    assert "7 runs of 60 s judged, 6 passed, on " in words
    assert ". 1 run said nothing, after all tries." in words
    assert "crash, roundrobin: a share was 3.0 points off" in words
    assert f"crash, roundrobin: p95 -40.0%: {findings.UNEXPLAINED}" in words
    assert "crash, static-rr: invalid: this machine was busy" in words
    assert "crash, leastconn: 7 requests failed, 0 to 4 by chance alone" in words
    assert "overload is set up otherwise: its line never turns round" in words
    said_once = [one for one in sentences(told) if "this machine was busy" in one]
    assert [one.count("busy") for one in said_once] == [1]
    text = all_runs(told)
    assert text.count("| crash | ") == text.count("| overload | ") == 4
    assert "| 300 / 180, -40.0 % (-1.0 to +1.0) |" in text


def test_a_machine_that_was_busy_all_the_time(
    tmp_path: Path, played: list[Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study, "run", lambda case, _: of(case, verdict="invalid"))
    it = opened(cases("lb", ["crash"], ["p2c"]), tmp_path)
    list(it.run(lambda *_: None))
    told = it.as_dict()
    assert (told["judged"], told["medians"], told["kept"]) == (0, {}, False)
    print_study(told, Terminal(width=80))
    assert all_runs(told).startswith("<details>")


def test_per_cent_of_nothing_is_nothing() -> None:
    found = {"medians": {"share": 5.6e-17, "p99": 1.234}, "targets": {"share": 0.01, "p99": 0.015}}
    _, (medians, targets) = fidelity._medians(found)
    assert medians == ["median", "0 %", "123 %"]
    assert targets == ["at most", "1 %", "1.5 %"]
