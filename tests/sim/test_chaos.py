"""Random fault schedules: what they are, that the laws hold in them, that the laws have teeth."""

from __future__ import annotations

import re
from typing import Any

import pytest

from lb.config import Scenario
from lb.strategies import REGISTRY
from sim.analysis.books import imbalances, overspent, unsettled
from sim.checks import chaos
from sim.checks.chaos import ALGORITHMS, Trial, tried
from sim.engine.journal import Journal
from sim.model.trials import RECURRING, trial

SEEDS = 20


@pytest.mark.parametrize("seed", range(SEEDS))
def test_whatever_happens_all_come_back_and_the_books_balance(seed: int) -> None:
    seen = tried(seed)
    assert seen.broken == (), seen.text
    assert seen.requests > 5000


# --- what is tried


def test_every_algorithm_and_every_kind_of_fault_is_among_them() -> None:
    texts = [trial(seed, ALGORITHMS, 300.0) for seed in range(4 * len(ALGORITHMS))]
    assert {Scenario.parse(text).algorithm.name for text in texts} == set(REGISTRY)
    kinds = re.findall(r'^kind = "(.+)"', "\n".join(texts), re.MULTILINE)
    assert set(kinds) == {*RECURRING, "flapping"}


def test_a_trial_is_a_function_of_its_seed_and_its_last_fault_ends_at_half_time() -> None:
    for seed in range(30):
        text = trial(seed, ALGORITHMS, 300.0)
        assert text == trial(seed, ALGORITHMS, 300.0)
        file = Scenario.parse(text)
        assert max(fault.until for fault in file.faults) == 150.0
        assert file.utilisation <= 0.5
        assert file.outliers.max_eject == 30.0


# --- the account

BACKEND = {"name": "a", "picked": 9, "succeeded": 3, "failed": 2, "gone": 1, "cancelled": 1}
ROW = {**BACKEND, "connections": 2, "usable": True, "panic": False, "state": "up", "why": ""}
GOOD: dict[str, Any] = {
    "requests": 10, "retried": 2, "hedged": 1, "turned_away": 2, "left_line": 1, "waiting": 1,
    "backing_off": 0, "backends": [ROW],
}  # fmt: skip
CALM = {**GOOD, "requests": 9, "waiting": 0, "backends": [{**ROW, "connections": 0, "gone": 3}]}


def test_an_account_that_adds_up_has_nothing_to_say() -> None:
    assert list(imbalances(GOOD)) == []
    assert list(imbalances(CALM)) == list(unsettled(CALM)) == []


@pytest.mark.parametrize("name", ["requests", "retried", "hedged", "turned_away", "left_line"])
def test_a_request_that_is_counted_on_one_side_only_is_told(name: str) -> None:
    (why,) = imbalances({**GOOD, name: GOOD[name] + 1})
    assert f"{name} {GOOD[name] + 1}" in why


@pytest.mark.parametrize("name", ["succeeded", "failed", "gone", "cancelled", "connections"])
def test_an_attempt_that_ends_twice_is_told(name: str) -> None:
    (why,) = imbalances({**GOOD, "backends": [{**ROW, name: ROW[name] + 1}]})
    assert why.startswith("a: picked 9 is not")


def test_nothing_is_ever_negative() -> None:
    less = {**GOOD, "requests": 8, "waiting": -1}
    assert list(imbalances(less)) == ["waiting is -1"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"connections": 1}, "a: 1 in flight"),
        ({"usable": False, "state": "ejected"}, "a: not back in rotation (ejected, '')"),
        ({"panic": True}, "a: not back in rotation (up, '')"),
    ],
)
def test_a_backend_that_is_not_calm_at_the_end_is_told(change: dict[str, Any], told: str) -> None:
    (row,) = CALM["backends"]
    assert list(unsettled({**CALM, "backends": [{**row, **change}]})) == [told]


@pytest.mark.parametrize("name", ["waiting", "backing_off"])
def test_somebody_who_still_waits_at_the_end_is_told(name: str) -> None:
    assert list(unsettled({**CALM, name: 3})) == [f"3 {name}"]


@pytest.mark.parametrize(("seconds", "allowed"), [(21, 5 + 40), (3, 5 + 6)])
def test_more_extra_attempts_than_the_budget_has_are_told(seconds: int, allowed: int) -> None:
    seen = [{"requests": 10 * k, "retried": 0, "hedged": 0} for k in range(1, seconds + 1)]
    seen[-1] = {**seen[-1], "retried": allowed - 1, "hedged": 1}
    assert list(overspent(seen, 10, 5.0, 0.2)) == []
    seen[-1] = {**seen[-1], "hedged": 2}
    (why,) = overspent(seen, 10, 5.0, 0.2)
    assert why == f"{allowed + 1} extra attempts within 10 s, and {allowed} allowed"


# --- teeth


def test_a_client_who_is_never_told_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    seed = next(seed for seed in range(SEEDS) if tried(seed).failed)
    monkeypatch.setattr(Journal, "refuse", lambda *_: None)
    assert "somebody waits for ever" in tried(seed).broken


def test_a_schedule_that_breaks_a_law_is_printed_and_ends_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [Trial(7, "# the file\n", ("a law",), 10, 1), Trial(8, "# fine\n", (), 10, 0)]
    monkeypatch.setattr(chaos, "trials", lambda *_: iter(found))
    assert chaos.main(["--runs", "2", "--seed", "7"]) == 1
    said = capsys.readouterr().out
    assert "# seed 7:\n#   a law\n# the file" in said
    assert "# fine" not in said
    assert "1 held, 1 did not; 1 of 20 requests failed (5.00%)" in said
    monkeypatch.setattr(chaos, "trials", lambda *_: iter(found[1:]))
    assert chaos.main(["--runs", "1"]) == 0
