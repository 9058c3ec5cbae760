"""The schedule of health checks: at the interval, faster while a change is decided, at once after
an attempt has failed."""

from __future__ import annotations

from typing import Any

import pytest

from lb.balancing.agenda import INFINITY, Agenda
from lb.balancing.backend import Backend
from lb.balancing.health import Health, HealthPolicy
from lb.balancing.probing import Checks
from lb.balancing.settings import Settings, State
from tests.doubles import Draws

POLICY = HealthPolicy(interval=30.0, fast_interval=1.0, fall=3, rise=2, jitter=0.0)


class Schedule:
    """One backend's checks, and when it was asked."""

    def __init__(self, *draws: float, **changed: Any) -> None:
        self.policy = HealthPolicy(**{**vars(POLICY), **changed})
        self.agenda, self.asked, self.now = Agenda(), list[float](), 0.0
        script = Draws(*(draws or [0.5] * 50))
        self.checks = Checks(self.agenda, script, lambda _: self.asked.append(self.now))
        self.backend = Backend(Settings("h:1"), 0, self.policy)
        self.checks.begin(self.backend, 0.0)

    def until(self, now: float) -> None:
        """Whatever falls due up to then."""
        while self.agenda.next_at <= now:
            self.now = self.agenda.next_at
            self.agenda.wake(self.now)
        self.now = now

    def answer(self, ok: bool) -> None:
        changed = self.backend.health.observe(ok, self.now)
        self.checks.answered(self.backend, self.now, changed=changed, urgent=False)


def up(*draws: float, **changed: Any) -> Schedule:
    """A backend that was asked at 0 and is up; asked next at 30."""
    schedule = Schedule(*draws, **changed)
    schedule.until(0.0)
    schedule.answer(True)
    return schedule


def test_the_defaults() -> None:
    policy = HealthPolicy()
    assert (policy.interval, policy.fast_interval, policy.timeout) == (30.0, 1.0, 2.0)
    assert (policy.rise, policy.fall, policy.first_rise, policy.jitter) == (2, 3, 1, 0.1)


def test_the_first_check_is_due_at_once_and_the_next_an_interval_after_its_answer() -> None:
    schedule = Schedule()
    schedule.until(5.0)
    assert schedule.asked == [0.0]
    assert schedule.agenda.next_at == INFINITY, "nobody is asked twice"
    schedule.answer(True)
    assert schedule.agenda.next_at == 35.0


def test_while_a_change_is_decided_checks_come_fast() -> None:
    schedule = up()
    schedule.until(30.0)
    for second, state in ((31.0, Health.UP), (32.0, Health.UP), (62.0, Health.DOWN)):
        schedule.answer(False)
        assert schedule.agenda.next_at == second
        assert schedule.backend.health.state is state
        schedule.until(second)


@pytest.mark.parametrize(("draw", "next_at"), [(0.0, 27.0), (0.5, 30.0), (1.0, 33.0)])
def test_jitter_is_to_both_sides(draw: float, next_at: float) -> None:
    assert up(draw, jitter=0.1).agenda.next_at == pytest.approx(next_at)


def test_a_failed_attempt_asks_at_once_and_leaves_the_schedule_when_all_is_well() -> None:
    schedule = up()
    schedule.until(10.0)
    schedule.checks.hasten(schedule.backend, 10.0)
    assert schedule.asked == [0.0, 10.0]
    schedule.answer(True)
    assert schedule.agenda.next_at == 30.0


def test_bad_news_of_a_hastened_check_sets_the_next_one() -> None:
    schedule = up()
    schedule.until(10.0)
    schedule.checks.hasten(schedule.backend, 10.0)
    schedule.answer(False)
    assert schedule.agenda.next_at == 11.0


def test_many_failed_attempts_ask_once_and_not_more_often_than_fast() -> None:
    schedule = up()
    for now in (10.0, 10.1, 10.2):
        schedule.until(now)
        schedule.checks.hasten(schedule.backend, now)  # an answer is awaited
    assert schedule.asked == [0.0, 10.0]
    schedule.answer(True)
    schedule.checks.hasten(schedule.backend, 10.9)
    assert schedule.asked == [0.0, 10.0], "all is well, and it was just asked"
    assert schedule.agenda.next_at == 30.0
    schedule.checks.hasten(schedule.backend, 11.0)
    assert schedule.asked == [0.0, 10.0, 10.2]


def test_while_it_is_decided_a_failed_attempt_brings_the_next_check_no_nearer_than_fast() -> None:
    schedule = up(fast_interval=4.0)
    schedule.until(10.0)
    schedule.checks.hasten(schedule.backend, 10.0)
    schedule.answer(False)
    assert schedule.agenda.next_at == 14.0
    schedule.checks.hasten(schedule.backend, 11.0)
    assert schedule.agenda.next_at == 14.0, "sooner than 15"
    schedule.until(14.0)
    assert schedule.asked == [0.0, 10.0, 14.0]


def test_an_attempt_that_began_the_decision_brings_the_next_check_near() -> None:
    """What attempts say counts; the schedule was that of a backend that is well."""
    schedule = up()
    schedule.until(10.0)
    schedule.checks.hasten(schedule.backend, 10.0)
    schedule.answer(True)
    schedule.backend.health.observe(False, 10.0, checked=False)
    schedule.checks.hasten(schedule.backend, 10.5)
    assert schedule.agenda.next_at == 11.5


def test_a_check_that_falls_due_while_an_answer_is_awaited_is_that_check() -> None:
    schedule = up()
    schedule.until(29.5)
    schedule.checks.hasten(schedule.backend, 29.5)
    schedule.until(31.0)
    assert schedule.asked == [0.0, 29.5]
    schedule.answer(True)
    assert schedule.agenda.next_at == 61.0, "an interval after the answer"


def test_nobody_is_asked_in_maintenance_but_the_schedule_goes_on() -> None:
    schedule = up()
    schedule.backend.state = State.MAINT
    schedule.checks.hasten(schedule.backend, 10.0)
    schedule.until(40.0)
    assert schedule.asked == [0.0]
    assert schedule.agenda.next_at == 60.0
    schedule.backend.state = State.UP
    schedule.until(60.0)
    assert schedule.asked == [0.0, 60.0]


def test_after_the_end_nobody_is_asked() -> None:
    schedule = Schedule()
    schedule.until(0.0)
    schedule.checks.end(schedule.backend)
    assert schedule.backend not in schedule.checks
    schedule.checks.end(schedule.backend)
    assert schedule.agenda.next_at == INFINITY
    assert schedule.asked == [0.0]


def test_what_could_not_be_asked_is_asked_again_fast() -> None:
    schedule = up()
    schedule.until(30.0)
    schedule.checks.answered(schedule.backend, 30.0, changed=False, urgent=True)
    assert schedule.agenda.next_at == 31.0


def test_without_checks_a_backend_is_simply_up() -> None:
    schedule = Schedule(enabled=False)
    assert schedule.backend.health.state is Health.UP
    assert schedule.backend not in schedule.checks
    assert schedule.agenda.next_at == INFINITY


def test_another_policy_takes_hold_at_once_where_it_is_sooner() -> None:
    for interval, next_at in ((5.0, 15.0), (60.0, 30.0)):
        schedule = up()
        schedule.until(10.0)
        schedule.checks.adopt(schedule.backend, HealthPolicy(interval=interval), 10.0)
        assert schedule.backend.health.policy.interval == interval
        assert schedule.agenda.next_at == next_at


def test_another_policy_asks_nobody_whose_answer_is_awaited() -> None:
    schedule = Schedule()
    schedule.until(0.0)
    schedule.checks.adopt(schedule.backend, HealthPolicy(interval=5.0), 1.0)
    assert schedule.agenda.next_at == INFINITY


def test_checks_can_be_switched_off_and_on() -> None:
    schedule = up()
    schedule.checks.adopt(schedule.backend, HealthPolicy(enabled=False), 1.0)
    assert schedule.backend not in schedule.checks
    schedule.checks.adopt(schedule.backend, POLICY, 2.0)
    schedule.until(2.0)
    assert schedule.asked == [0.0, 2.0]
