"""A balancer whose backends come back slowly."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lb.balancing import Balancer, HealthPolicy, Outcome, Settings, SlowStartPolicy, State
from tests.balancing.test_balancer import BAD, GOOD, answered, checked
from tests.balancing.test_ejections import ejecting, serve, wake


def starting(n: int = 3, **more: Any) -> Balancer:
    return ejecting(n, "weighted_round_robin", slow_start=SlowStartPolicy(duration=10.0), **more)


def test_one_that_returns_from_an_ejection_is_given_its_share_by_and_by() -> None:
    lb = starting()
    serve(lb, 60, 0.0)
    wake(lb, 10.0)
    assert serve(lb, 410, 10.0, Outcome.OK)["a"] == 10
    wake(lb, 15.0)
    assert serve(lb, 250, 15.0, Outcome.OK)["a"] == pytest.approx(50, abs=2)
    wake(lb, 20.0)
    assert serve(lb, 300, 20.0, Outcome.OK)["a"] == pytest.approx(100, abs=2)


def weights(lb: Balancer) -> list[float]:
    return [round(it.weight, 2) for it in lb.pool.backends]


def test_those_of_the_beginning_have_their_whole_share_at_once() -> None:
    lb = starting()
    assert weights(lb) == [1, 1, 1]
    lb = checked(2, slow_start=SlowStartPolicy(duration=10.0))
    answered(lb, {"a": BAD}, 0.0)
    answered(lb, {}, 10.0)
    assert lb.pool.backends[0].usable
    assert weights(lb) == [1, 1]


def test_one_that_is_added_begins_slowly() -> None:
    lb = starting()
    lb.add(Settings("10.0.0.9:80", weight=4), 1.0)
    assert weights(lb) == [1, 1, 1, 0.2]
    wake(lb, 6.0)
    assert weights(lb) == [1, 1, 1, 2]


def test_one_that_is_added_begins_when_its_checks_say_so() -> None:
    lb = checked(2, slow_start=SlowStartPolicy(duration=10.0))
    answered(lb, {}, 0.0)
    lb.add(Settings("10.0.0.9:80", name="new"), 1.0)
    answered(lb, {"new": BAD}, 1.0)
    assert weights(lb) == [1, 1, 1]
    answered(lb, {}, 2.0)
    assert weights(lb) == [1, 1, 0.05]


def test_one_that_was_down_begins_slowly() -> None:
    lb = checked(2, slow_start=SlowStartPolicy(duration=10.0))
    answered(lb, {}, 0.0)
    a = lb.pool.backends[0]
    for at in (1.0, 2.0, 3.0):
        lb.observed(a, at, BAD)
    assert weights(lb) == [1, 1]
    lb.observed(a, 4.0, GOOD)
    lb.observed(a, 5.0, GOOD)
    assert a.usable
    assert weights(lb) == [0.05, 1]


def test_one_that_was_drained_begins_slowly_and_one_that_is_up_goes_on() -> None:
    lb = starting()
    a = lb.pool.backends[0]
    lb.set_state(a, State.UP, 0.0)
    assert weights(lb) == [1, 1, 1]
    lb.set_state(a, State.DRAIN, 1.0)
    lb.set_state(a, State.UP, 2.0)
    assert weights(lb) == [0.05, 1, 1]
    lb.set_weight(a, 10, 3.0)
    assert weights(lb) == [0.5, 1, 1]
    wake(lb, 7.0)
    lb.set_state(a, State.UP, 7.0)
    assert weights(lb) == [5, 1, 1]


def test_slow_start_can_be_switched_off_in_the_middle_of_it() -> None:
    lb = starting()
    added = lb.add(Settings("10.0.0.9:80"), 1.0)
    lb.apply(replace(lb.setup, slow_start=SlowStartPolicy()), 2.0)
    assert added.weight == 1
    assert lb.wakes_at == float("inf")


def test_one_that_is_removed_climbs_no_further() -> None:
    lb = starting()
    lb.remove(lb.add(Settings("10.0.0.9:80"), 1.0), 2.0)
    assert lb.wakes_at == float("inf")


def test_checks_that_are_switched_off_bring_everybody_back_slowly() -> None:
    lb = checked(2, slow_start=SlowStartPolicy(duration=10.0))
    answered(lb, {}, 0.0)
    for at in (1.0, 2.0, 3.0):
        lb.observed(lb.pool.backends[0], at, BAD)
    lb.apply(replace(lb.setup, health=HealthPolicy(enabled=False)), 4.0)
    assert weights(lb) == [0.05, 1]
