"""The ramp of a backend that comes back: times in, weights out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.balancing.agenda import INFINITY, Agenda
from lb.balancing.backend import Backend
from lb.balancing.health import HealthPolicy
from lb.balancing.settings import Settings
from lb.balancing.slow_start import STEPS, SlowStart, SlowStartPolicy


class Hill:
    """Two backends, of weights 1 and 4, and every weight that each was given."""

    def __init__(self, duration: float = 10.0, aggression: float = 1.0) -> None:
        self.agenda, self.now = Agenda(), 0.0
        self.slow_start = SlowStart(
            SlowStartPolicy(duration, aggression), self.agenda, self.reweigh
        )
        self.a, self.b = (Backend(Settings(f"h:{w}", weight=w), w, HealthPolicy()) for w in (1, 4))
        self.given: list[tuple[float, Backend, float]] = []

    def reweigh(self, backend: Backend, weight: float, now: float) -> None:
        assert weight > 0
        if weight != backend.weight:
            backend.weight = weight
            self.given.append((now, backend, weight))

    def until(self, now: float) -> None:
        while self.agenda.next_at <= now:
            self.now = self.agenda.next_at
            self.agenda.wake(self.now)
            assert self.agenda.next_at > self.now
        self.now = now


@pytest.mark.parametrize(
    ("aggression", "weights"),
    [
        (1.0, {0.0: 0.05, 0.5: 0.05, 1.0: 0.1, 2.5: 0.25, 5.0: 0.5, 9.9: 0.95, 10.0: 1.0}),
        (2.0, {0.0: 0.05, 0.5: 0.05**0.5, 2.5: 0.5, 5.0: 0.5**0.5, 10.0: 1.0}),
        (0.5, {0.0: 0.05, 2.0: 0.05, 5.0: 0.25, 9.5: 0.95**2, 10.0: 1.0}),
    ],
)
def test_the_weight_rises_from_a_twentieth_to_the_whole(
    aggression: float, weights: dict[float, float]
) -> None:
    hill = Hill(10.0, aggression)
    hill.slow_start.begin(hill.b, 0.0)
    for now, weight in weights.items():
        hill.until(now)
        assert hill.b.weight == pytest.approx(4 * weight)
    assert hill.agenda.next_at == INFINITY
    assert hill.b not in hill.slow_start


def test_without_a_duration_a_backend_has_its_whole_weight_at_once() -> None:
    hill = Hill(0.0)
    hill.slow_start.begin(hill.b, 0.0)
    assert hill.given == []
    assert hill.agenda.next_at == INFINITY


def test_one_that_goes_and_comes_again_begins_again() -> None:
    hill = Hill()
    hill.slow_start.begin(hill.b, 0.0)
    hill.until(5.0)
    hill.slow_start.stop(hill.b, 5.0)
    assert hill.b.weight == 4
    hill.slow_start.begin(hill.b, 7.0)
    assert hill.b.weight == pytest.approx(0.2)
    hill.until(12.0)
    assert hill.b.weight == pytest.approx(2.0)


def test_to_begin_twice_is_to_begin_anew() -> None:
    hill = Hill()
    hill.slow_start.begin(hill.b, 0.0)
    hill.until(5.0)
    hill.slow_start.begin(hill.b, 5.0)
    hill.until(10.0)
    assert hill.b.weight == pytest.approx(2.0)
    hill.until(15.0)
    assert hill.b.weight == 4


def test_to_stop_what_has_not_begun_changes_nothing() -> None:
    hill = Hill()
    hill.slow_start.stop(hill.a, 0.0)
    assert hill.given == []


def test_another_configured_weight_counts_at_once_and_the_ramp_goes_on() -> None:
    hill = Hill()
    hill.slow_start.begin(hill.b, 0.0)
    hill.until(5.0)
    hill.b.configured_weight = 8
    hill.slow_start.settle(hill.b, 5.0)
    assert hill.b.weight == pytest.approx(4.0)
    hill.until(10.0)
    assert hill.b.weight == 8


def test_several_steps_at_once_when_it_is_woken_late() -> None:
    hill = Hill()
    hill.slow_start.begin(hill.b, 0.0)
    hill.agenda.wake(6.2)
    assert hill.b.weight == pytest.approx(2.4)
    assert hill.agenda.next_at == pytest.approx(6.5)
    hill.agenda.wake(60.0)
    assert hill.b.weight == 4
    assert hill.agenda.next_at == INFINITY


@pytest.mark.parametrize(("duration", "weight"), [(20.0, 1.0), (10.0, 2.0), (5.0, 4), (0.0, 4)])
def test_another_policy_counts_from_the_time_that_has_passed(
    duration: float, weight: float
) -> None:
    hill = Hill()
    hill.slow_start.begin(hill.b, 0.0)
    hill.until(5.0)
    hill.slow_start.adopt(SlowStartPolicy(duration), 5.0)
    assert hill.b.weight == pytest.approx(weight)
    hill.until(duration)
    assert hill.b.weight == 4
    assert hill.agenda.next_at == INFINITY


def test_each_backend_is_on_a_ramp_of_its_own() -> None:
    hill = Hill()
    hill.slow_start.begin(hill.a, 0.0)
    hill.until(5.0)
    hill.slow_start.begin(hill.b, 5.0)
    assert (hill.a.weight, hill.b.weight) == pytest.approx((0.5, 0.2))
    hill.until(10.0)
    assert (hill.a.weight, hill.b.weight) == pytest.approx((1.0, 2.0))


@given(
    duration=st.floats(1e-3, 1e4),
    aggression=st.floats(0.1, 10.0),
    since=st.floats(0.0, 1e9),
)
def test_weights_only_rise_in_twenty_steps_at_most_and_arrive(
    duration: float, aggression: float, since: float
) -> None:
    hill = Hill(duration, aggression)
    hill.slow_start.begin(hill.b, since)
    woken = 0
    while hill.agenda.next_at < INFINITY:
        woken += 1
        hill.agenda.wake(hill.agenda.next_at)
    weights = [weight for _, _, weight in hill.given]
    assert woken <= STEPS
    assert weights == sorted(weights)
    assert weights[0] == pytest.approx(4 / 20)
    assert weights[-1] == 4
    assert hill.given[-1][0] <= since + duration * (1 + 1e-9) + 1e-6
