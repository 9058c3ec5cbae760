"""Estimates of latency: what raises them, how they fade, and whom an unknown one comes before."""

from __future__ import annotations

from math import exp, log

import pytest

from lb.strategies import Outcome
from lb.strategies.parts.estimates import SHORTEST, Estimates
from tests.doubles import Server


def estimates(*, peak: bool = False, decay: float = 10.0, penalty: float = 1.0) -> Estimates:
    return Estimates(decay, penalty, peak=peak)


def test_the_first_sample_is_the_estimate_and_fades_by_a_factor_e_per_decay() -> None:
    known = estimates()
    known.observe(3, 2.0, Outcome.OK, 0.5)
    assert 3 in known
    assert known.at(3, 2.0) == pytest.approx(0.5)
    assert known.at(3, 12.0) == pytest.approx(0.5 / exp(1))


@pytest.mark.parametrize("peak", [False, True])
def test_a_faster_sample_counts_for_what_has_faded(peak: bool) -> None:
    known = estimates(peak=peak)
    known.observe(0, 0.0, Outcome.OK, 0.8)
    known.observe(0, 5.0, Outcome.OK, 0.1)
    left = exp(-0.5)
    assert known.at(0, 5.0) == pytest.approx(0.8 * left + 0.1 * (1 - left))


def test_a_slower_sample_raises_an_average_by_its_share_and_a_peak_to_its_height() -> None:
    average, peak = estimates(), estimates(peak=True)
    for known in (average, peak):
        known.observe(0, 0.0, Outcome.OK, 0.1)
        known.observe(0, 5.0, Outcome.OK, 0.9)
    left = exp(-0.5)
    assert average.at(0, 5.0) == pytest.approx(0.1 * left + 0.9 * (1 - left))
    assert peak.at(0, 5.0) == pytest.approx(0.9)


def test_a_sample_as_high_as_the_faded_peak_is_already_a_peak() -> None:
    """What has faded below a sample lets that stand for itself."""
    known = estimates(peak=True)
    known.observe(0, 0.0, Outcome.OK, 0.5)
    known.observe(0, 10.0, Outcome.OK, 0.2)
    assert 0.5 / exp(1) < 0.2
    assert known.at(0, 10.0) == pytest.approx(0.2)


@pytest.mark.parametrize(
    "outcome", [Outcome.CONNECT, Outcome.RESET, Outcome.TIMEOUT, Outcome.SERVER_ERROR]
)
def test_a_failure_counts_as_the_penalty_unless_it_took_longer(outcome: Outcome) -> None:
    known = estimates(penalty=2.0)
    known.observe(0, 0.0, outcome, 0.001)
    known.observe(1, 0.0, outcome, 5.0)
    assert known.at(0, 0.0) == pytest.approx(2.0)
    assert known.at(1, 0.0) == pytest.approx(5.0)


@pytest.mark.parametrize("outcome", [Outcome.CLIENT_GONE, Outcome.CANCELLED])
def test_what_says_nothing_about_a_backend_is_ignored(outcome: Outcome) -> None:
    known = estimates()
    known.observe(0, 0.0, outcome, 9.0)
    assert 0 not in known
    with pytest.raises(KeyError):
        known.at(0, 0.0)


def test_no_sample_is_too_short_for_a_logarithm() -> None:
    known = estimates()
    for at in (0.0, 0.0, 1.0, 1e6):
        known.observe(0, at, Outcome.OK, 0.0)
        assert known.at(0, at) == pytest.approx(SHORTEST)


def test_a_backend_that_remembers_is_no_stranger() -> None:
    known, remembers, stranger = estimates(), Server(0), Server(1)
    remembers.response_time = 0.25
    for server in (remembers, stranger):
        known.seed(server, 3.0)
    assert known.at(0, 3.0) == pytest.approx(0.25)
    assert 1 not in known


def test_forgetting_takes_all_and_harms_nobody_unknown() -> None:
    known = estimates()
    known.observe(0, 0.0, Outcome.OK, 4.0)
    known.forget(0)
    known.forget(1)
    assert 0 not in known
    known.observe(0, 1.0, Outcome.OK, 0.5)
    assert known.at(0, 1.0) == pytest.approx(0.5)


def test_load_is_latency_times_what_it_would_carry_per_weight() -> None:
    known = estimates()
    slow, heavy = Server(0, weight=1, active=1), Server(1, weight=4, active=3)
    known.observe(0, 0.0, Outcome.OK, 0.02)
    known.observe(1, 0.0, Outcome.OK, 0.02)
    assert exp(known.load(slow)) == pytest.approx(0.02 * 2 / 1)
    assert exp(known.load(heavy)) == pytest.approx(0.02 * 4 / 4)


def test_waiting_changes_no_order() -> None:
    known = estimates()
    known.observe(0, 0.0, Outcome.OK, 0.5)
    known.observe(1, 8.0, Outcome.OK, 0.3)
    for now in (8.0, 100.0):
        assert known.at(0, now) < known.at(1, now)
    assert known.load(Server(0)) < known.load(Server(1))


def test_the_unknown_come_first_until_one_is_asked_and_last_while_it_is() -> None:
    known = estimates()
    known.observe(0, 1e6, Outcome.OK, 1000.0)
    known.observe(1, 0.0, Outcome.OK, SHORTEST)
    idle, asked = known.load(Server(2)), known.load(Server(2, active=1))
    assert idle < known.load(Server(1)) < known.load(Server(0)) < asked
    assert known.load(Server(2, weight=2)) < idle, "the heavier of two unknown ones"
    assert asked < known.load(Server(2, active=2))


def test_nothing_rounds_an_estimate_below_the_shortest_time() -> None:
    known = estimates()
    for moment in range(1000):
        known.observe(0, moment / 7, Outcome.OK, 0.0)
        assert known.keys[0] >= log(SHORTEST) + moment / 7 / 10.0
