"""Weighted feedback, against arithmetic on paper: what reports make of weights, and when."""

from __future__ import annotations

from collections import Counter
from math import exp
from typing import Any

import pytest

from lb.balancing import Balancer, HealthPolicy, LoadReport, Settings, Setup
from lb.errors import UsageError
from lb.strategies import create
from lb.strategies.weighted_feedback import IDLE, RANGE
from tests.doubles import Draws, Request, Server, joined, sequence, servers

AT_ONCE = {"blackout": "0s", "smoothing": "0s", "update": "0s"}


def feedback(*weights: float, **settings: object) -> tuple[Any, list[Server]]:
    members = servers(*weights)
    return joined(create("weighted_feedback", Draws(), {**AT_ONCE, **settings}), members), members


def report(
    used: float | None, rate: float | None = None, errors: float | None = None
) -> LoadReport:
    return LoadReport(None, None, used, rate, errors)


def shares(strategy: Any, now: float = 0.0, picks: int = 1200) -> dict[str, float]:
    """Of the picks made at one moment, by backend, after some that settle what was due."""
    for _ in range(400):
        strategy.pick(now)
    counts = Counter(repr(strategy.pick(now)) for _ in range(picks))
    return {name: round(count / picks, 2) for name, count in sorted(counts.items())}


def test_without_reports_it_takes_turns() -> None:
    strategy, _ = feedback(1, 1, 1)
    assert sequence(strategy, 6) == "abcabc"


def test_the_order_of_picks_is_that_of_deadlines() -> None:
    """Two that could answer 60 a second and one 30 are due every 5, 5 and 10 parts of 6.

    All were due at 6 before anything was told: c is due at 16 then, a and b at 11 and 16.
    """
    strategy, (a, b, c) = feedback(1, 1, 1)
    for server, used in ((a, 0.5), (b, 0.5), (c, 1.0)):
        strategy.fed(server, 0.0, report(used, 30))
    assert sequence(strategy, 15) == "abcabcababcabab"


@pytest.mark.parametrize(
    ("reports", "expected"),
    [
        ([(0.5, 100, 0), (0.5, 50, 0)], (2 / 3, 1 / 3)),
        ([(0.2, 30, 0), (0.8, 30, None)], (0.8, 0.2)),
        ([(0.5, 100, 50), (0.5, 50, 0)], (0.5, 0.5)),  # half of the answers are errors
        ([(1.5, 30, 0), (0.5, 30, 0)], (0.25, 0.75)),
    ],
)
def test_shares_follow_the_rate_over_the_utilisation(
    reports: list[tuple[float, float, float | None]], expected: tuple[float, float]
) -> None:
    strategy, members = feedback(1, 1)
    for server, said in zip(members, reports, strict=True):
        strategy.fed(server, 0.0, report(*said))
    seen = shares(strategy)
    assert (seen["a"], seen["b"]) == pytest.approx(expected, abs=0.01)


def test_constant_reports_give_constant_shares() -> None:
    strategy, (a, b, c) = feedback(1, 1, 1, blackout="10s", smoothing="3s", update="1s")
    for second in range(60):
        for server, rate in ((a, 100), (b, 100), (c, 50)):
            strategy.fed(server, second, report(0.5, rate))
        strategy.pick(second)
    assert shares(strategy, 60.0) == {"a": 0.4, "b": 0.4, "c": 0.2}


def test_errors_count_for_nothing_where_the_penalty_is_zero() -> None:
    strategy, (a, b) = feedback(1, 1, error_penalty=0.0)
    strategy.fed(a, 0.0, report(0.5, 100, 100))
    strategy.fed(b, 0.0, report(0.5, 100, 0))
    assert shares(strategy) == {"a": 0.5, "b": 0.5}


def test_a_configured_weight_multiplies_what_is_told() -> None:
    strategy, (a, b) = feedback(3, 1)
    strategy.fed(a, 0.0, report(0.5, 100))
    strategy.fed(b, 0.0, report(0.5, 100))
    assert shares(strategy) == {"a": 0.75, "b": 0.25}
    a.weight = 1  # as slow start would
    strategy.reweigh(a, 0.0)
    assert shares(strategy) == {"a": 0.5, "b": 0.5}


def test_who_has_told_nothing_gets_the_mean() -> None:
    strategy, (a, b, _) = feedback(1, 1, 1)
    strategy.fed(a, 0.0, report(0.5, 150))
    strategy.fed(b, 0.0, report(0.5, 50))
    assert shares(strategy) == {"a": 0.5, "b": 0.17, "c": 0.33}


@pytest.mark.parametrize(
    "said", [report(None), report(0.5), report(0.0, 10), report(0.5, 0), report(None, 10)]
)
def test_a_report_that_says_too_little_changes_nothing(said: LoadReport) -> None:
    strategy, (a, b) = feedback(1, 1)
    strategy.fed(b, 0.0, report(0.9, 10))
    strategy.fed(a, 0.0, said)
    assert shares(strategy) == {"a": 0.5, "b": 0.5}


def test_a_weight_counts_when_reports_have_come_for_the_blackout() -> None:
    strategy, (a, b) = feedback(1, 1, blackout="10s")
    for now in (0.0, 4.0, 9.9):
        strategy.fed(a, now, report(0.5, 300))
        strategy.fed(b, now, report(0.5, 100))
    assert shares(strategy, 9.9) == {"a": 0.5, "b": 0.5}
    strategy.fed(a, 10.0, report(0.5, 300))
    strategy.fed(b, 10.0, report(0.5, 100))
    assert shares(strategy, 10.0) == {"a": 0.75, "b": 0.25}


def test_a_weight_is_forgotten_after_silence_and_the_blackout_begins_anew() -> None:
    strategy, (a, b) = feedback(1, 1, blackout="2s", expiry="30s")
    for now in (0.0, 2.0):
        strategy.fed(a, now, report(0.5, 300))
        strategy.fed(b, now, report(0.5, 100))
    strategy.fed(a, 20.0, report(0.5, 300))
    assert shares(strategy, 31.9) == {"a": 0.75, "b": 0.25}
    assert shares(strategy, 32.0) == {"a": 0.5, "b": 0.5}, "b has the mean, which is a's"
    strategy.fed(b, 33.0, report(0.5, 100))
    assert shares(strategy, 34.9) == {"a": 0.5, "b": 0.5}
    strategy.fed(b, 35.0, report(0.5, 100))
    assert shares(strategy, 35.0) == {"a": 0.75, "b": 0.25}


def test_a_report_after_silence_begins_anew_though_nobody_has_picked() -> None:
    strategy, (a, b) = feedback(1, 1, blackout="2s", expiry="30s")
    for now in (0.0, 2.0):
        strategy.fed(a, now, report(0.5, 300))
        strategy.fed(b, now, report(0.5, 100))
    strategy.fed(a, 40.0, report(0.5, 900))
    assert shares(strategy, 40.0) == {"a": 0.5, "b": 0.5}


def test_a_weight_follows_smoothly_and_not_more_often_than_it_may() -> None:
    """From 100 towards 400: a third of the way in logarithms, then two thirds of the rest."""
    strategy, (a, b) = feedback(1, 1, smoothing="3s", update="1s")
    strategy.fed(a, 0.0, report(0.5, 50))
    strategy.fed(b, 0.0, report(0.5, 50))
    strategy.fed(a, 0.9, report(0.5, 200))
    assert shares(strategy, 0.9) == {"a": 0.5, "b": 0.5}
    strategy.fed(a, 3.0, report(0.5, 200))
    expected = 4 ** (1 - exp(-1))
    assert shares(strategy, 3.0)["a"] == pytest.approx(expected / (1 + expected), abs=0.01)


def test_a_backend_that_leaves_begins_anew() -> None:
    strategy, (a, b) = feedback(1, 1)
    strategy.fed(a, 0.0, report(0.5, 300))
    strategy.fed(b, 0.0, report(0.5, 100))
    strategy.leave(a, 1.0)
    strategy.fed(a, 1.0, report(0.5, 300))
    strategy.join(a, 2.0)
    assert shares(strategy, 2.0) == {"a": 0.5, "b": 0.5}


def test_a_heavier_weight_does_not_sit_out_the_wait_of_a_light_one() -> None:
    strategy, (a, b) = feedback(1, 1)
    strategy.fed(a, 0.0, report(0.5, 100))
    strategy.fed(b, 0.0, report(0.5, 1))
    assert sequence(strategy, 20).count("b") <= 1
    strategy.fed(b, 1.0, report(0.5, 100))
    assert "b" in sequence(strategy, 3)


def test_a_blocked_backend_goes_on_where_it_was() -> None:
    strategy, (a, b) = feedback(1, 1)
    strategy.fed(b, 0.0, report(0.5, 100))
    strategy.block(a, 0.0)
    strategy.fed(a, 0.0, report(0.5, 300))
    assert sequence(strategy, 3) == "bbb"
    strategy.unblock(a, 0.0)
    assert shares(strategy) == {"a": 0.75, "b": 0.25}


def test_no_weight_is_too_far_from_the_mean_to_be_heard_again() -> None:
    strategy, (a, b) = feedback(1, 1)
    strategy.fed(a, 0.0, report(0.001, 1000))
    strategy.fed(b, 0.0, report(1.0, 0.01))
    assert "b" in sequence(strategy, int(RANGE) + 2)


# --- by utilisation


def test_by_utilisation_the_busier_gets_less_until_all_are_as_busy() -> None:
    """Each step divides a weight by how busy it is beside the others' geometric mean."""
    strategy, (a, b) = feedback(1, 1, by="utilisation")
    strategy.fed(a, 0.0, report(0.8))
    strategy.fed(b, 0.0, report(0.2))
    assert shares(strategy) == {"a": 0.5, "b": 0.5}, "each begins with the mean"
    strategy.fed(a, 1.0, report(0.8))  # sqrt(0.8 * 0.2) = 0.4, half of 0.8
    strategy.fed(b, 1.0, report(0.2))
    assert shares(strategy, 1.0) == {"a": 0.2, "b": 0.8}
    strategy.fed(a, 2.0, report(0.4))
    strategy.fed(b, 2.0, report(0.4))
    strategy.fed(a, 3.0, report(0.4))
    assert shares(strategy, 3.0)["a"] == pytest.approx(0.2, abs=0.1)


def test_by_utilisation_an_idle_backend_is_not_infinitely_light() -> None:
    strategy, (a, b) = feedback(1, 1, by="utilisation")
    for now in (0.0, 1.0):
        strategy.fed(a, now, report(0.0))
        strategy.fed(b, now, report(IDLE))
    assert shares(strategy, 1.0) == {"a": 0.5, "b": 0.5}


def test_by_utilisation_errors_count_as_use() -> None:
    strategy, (a, b) = feedback(1, 1, by="utilisation")
    for now in (0.0, 1.0):
        strategy.fed(a, now, report(0.25, 100, 75))
        strategy.fed(b, now, report(0.25, 100, 0))
    assert shares(strategy, 1.0)["a"] < 0.25


def test_a_report_of_strangers_is_nothing() -> None:
    strategy, _ = feedback(1, 1)
    strategy.reweigh(Server(7), 0.0)
    strategy.fed(Server(7), 0.0, report(0.5, 100))
    assert shares(strategy) == {"a": 0.5, "b": 0.5}


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"expiry": "0s"}, "expiry must be above zero"),
        ({"error_penalty": -1.0}, "error_penalty must be at least 0"),
        ({"by": "cpu"}, "'cpu' is unknown"),
        ({"blackout": "10"}, "blackout"),
    ],
)
def test_settings_that_cannot_be_meant(settings: dict[str, object], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        create("weighted_feedback", Draws(), settings)


# --- in a balancer


@pytest.mark.parametrize("algorithm", ["weighted_feedback", "sticky"])
def test_reports_reach_the_algorithm_and_the_one_inside_another(algorithm: str) -> None:
    settings: dict[str, object] = {"blackout": "0s", "smoothing": "0s"}
    if algorithm == "sticky":
        settings = {"inner": "weighted_feedback:blackout=0s,smoothing=0s"}
    rows = (Settings("10.0.0.1:80"), Settings("10.0.0.2:80"))
    setup = Setup(rows, algorithm, settings, health=HealthPolicy(enabled=False))
    balancer: Any = Balancer(setup, Draws())
    first, second = balancer.pool.backends
    balancer.observed(first, 0.0, LoadReport(3, 0.01, 0.5, 90.0))
    balancer.observed(second, 0.0, LoadReport(3, 0.01, 0.5, 10.0))
    for _ in range(200):
        balancer.admit(Request(), 0.0).done(0.0)
    assert first.picked == pytest.approx(180, abs=3)


def test_a_report_without_latency_is_nothing_to_an_algorithm_that_probes() -> None:
    rows = (Settings("10.0.0.1:80"), Settings("10.0.0.2:80"))
    setup = Setup(rows, "prequal", health=HealthPolicy(enabled=False))
    balancer: Any = Balancer(setup, Draws(*[0.9] * 100))
    first, second = balancer.pool.backends
    for _ in range(20):
        balancer.observed(first, 0.0, LoadReport(None, None, 0.1, 10.0))
    assert {balancer.admit(Request(), 0.0).backend for _ in range(3)} == {second}, "drawn at random"
