"""The line that turns round in a crowd: when it does, who is served, who leaves, and its laws."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lb.balancing import QueuePolicy, Why
from lb.balancing.agenda import Agenda
from lb.balancing.waiting import WaitingLine

INFINITY = float("inf")


class Line:
    """Adaptive, with an interval of 1 s and a timeout of 5; `calls` come at their numbers."""

    def __init__(self, *at: float, limit: int = 9, **more: Any) -> None:
        self.agenda = Agenda()
        self.away: list[tuple[float, Why]] = []
        policy = QueuePolicy(limit, 5.0, discipline="adaptive", interval=1.0, **more)
        self.waiting: WaitingLine[float] = WaitingLine(
            policy, self.agenda, lambda call, why: self.away.append((call, why))
        )
        for now in at:
            assert self.waiting.enter(now, now)

    def served(self, now: float) -> list[float]:
        """Everybody, in the order in which they are served at `now`."""
        order = []
        while len(self.waiting):
            order.append(self.waiting.next(now))
            assert self.waiting.leave(order[-1])
        return order


def test_a_line_that_was_empty_an_instant_ago_serves_the_first() -> None:
    assert Line(0.0, 0.5).served(0.99) == [0.0, 0.5]


def test_a_line_that_was_not_empty_for_an_interval_serves_the_newest() -> None:
    assert Line(0.0, 0.5, 2.0).served(2.0) == [2.0, 0.5, 0.0]


def test_a_line_that_has_been_empty_counts_anew() -> None:
    line = Line(0.0)
    line.waiting.leave(0.0)
    line.waiting.enter(3.0, 3.0)
    line.waiting.enter(3.5, 3.5)
    assert line.served(3.9) == [3.0, 3.5]


def test_who_leaves_from_the_middle_does_not_count_as_empty() -> None:
    line = Line(0.0, 0.5, 1.0)
    line.waiting.leave(0.5)
    assert line.served(1.0) == [1.0, 0.0]


def test_who_comes_to_a_crowd_may_wait_an_interval_and_who_came_before_the_timeout() -> None:
    line = Line(0.0, 0.5, 1.0, 1.2)
    assert line.agenda.next_at == 2.0
    line.agenda.wake(2.0)
    assert line.away == [(1.0, Why.QUEUE_TIMEOUT)]
    assert line.agenda.next_at == 2.2
    line.agenda.wake(4.0)
    assert [call for call, _ in line.away] == [1.0, 1.2]
    assert line.agenda.next_at == 5.0
    line.agenda.wake(5.5)
    assert [call for call, _ in line.away] == [1.0, 1.2, 0.0, 0.5]
    assert line.agenda.next_at == INFINITY


def test_in_a_crowd_the_oldest_makes_room_for_who_comes() -> None:
    line = Line(0.0, 0.5, limit=2)
    assert not line.waiting.enter(0.9, 0.9)
    assert line.waiting.enter(1.0, 1.0)
    assert line.away == [(0.0, Why.QUEUE_FULL)]
    assert line.served(1.0) == [1.0, 0.5]


def test_a_line_of_nobody_stays_so() -> None:
    line = Line(limit=0)
    assert not line.waiting.enter(7.0, 7.0)
    assert line.away == []


def test_a_smaller_limit_holds_for_a_crowd_from_the_next_on() -> None:
    line = Line(0.0, 0.1, 0.2, 0.3)
    line.waiting.policy = QueuePolicy(2, 5.0, discipline="adaptive", interval=1.0)
    assert line.waiting.enter(2.0, 2.0)
    assert [call for call, _ in line.away] == [0.0, 0.1, 0.2]
    assert line.served(2.0) == [2.0, 0.3]


def test_all_can_be_sent_away_in_order_of_arrival() -> None:
    line = Line(0.0, 0.5, 2.0)
    assert line.waiting.disband() == [0.0, 0.5, 2.0]
    line.agenda.wake(99.0)
    assert line.away == []
    assert line.waiting.enter(99.0, 99.0)


@pytest.mark.parametrize(("timeout", "interval", "patience"), [(5.0, None, 0.5), (5.0, 2.0, 2.0)])
def test_the_interval_is_a_tenth_of_the_timeout_unless_given(
    timeout: float, interval: float | None, patience: float
) -> None:
    policy = QueuePolicy(1, timeout, discipline="adaptive", interval=interval)
    assert policy.patience == patience


def test_an_interval_beyond_the_timeout_lets_nobody_wait_longer_than_that() -> None:
    line = Line(0.0)
    line.waiting.policy = QueuePolicy(9, 5.0, discipline="adaptive", interval=50.0)
    line.waiting.enter(3.0, 50.0)
    assert line.agenda.next_at == 5.0
    line.agenda.wake(54.0)
    assert [call for call, _ in line.away] == [0.0]
    line.agenda.wake(55.0)
    assert [call for call, _ in line.away] == [0.0, 3.0]


class AnyLine(RuleBasedStateMachine):
    """A line beside a plain list of who waits: (number, came, allowed)."""

    @initialize(
        discipline=st.sampled_from(["fifo", "adaptive"]),
        limit=st.integers(0, 4),
        interval=st.sampled_from([0.5, 2.0]),
    )
    def begin(self, discipline: str, limit: int, interval: float) -> None:
        self.now = 0.0
        self.number = 0
        self.policy = QueuePolicy(limit, 4.0, discipline=discipline, interval=interval)
        self.agenda = Agenda()
        self.away: list[tuple[int, Why]] = []
        self.line: WaitingLine[int] = WaitingLine(
            self.policy, self.agenda, lambda call, why: self.away.append((call, why))
        )
        self.model: list[tuple[int, float, float]] = []
        self.since = 0.0
        self.fates: Counter[int] = Counter()
        self.entered = 0

    def crowded(self) -> bool:
        long = self.now - self.since >= self.policy.patience
        return self.policy.discipline == "adaptive" and bool(self.model) and long

    @rule()
    def enter(self) -> None:
        self.number += 1
        crowded = self.crowded()
        if crowded and len(self.model) == self.policy.limit:
            gone, _, _ = self.model.pop(0)
            self.fates[gone] += 1
            expected = [(gone, Why.QUEUE_FULL)]
        else:
            expected = []
        allowed = min(self.policy.patience, 4.0) if crowded else 4.0
        room = len(self.model) < self.policy.limit
        assert self.line.enter(self.number, self.now) == room
        assert self.away == expected
        self.away.clear()
        if room:
            self.entered += 1
            if not self.model:
                self.since = self.now
            self.model.append((self.number, self.now, allowed))

    @precondition(lambda self: self.model)
    @rule()
    def serve(self) -> None:
        chosen = self.model.pop(-1 if self.crowded() else 0)[0]
        assert self.line.next(self.now) == chosen
        assert self.line.leave(chosen)
        self.fates[chosen] += 1

    @precondition(lambda self: self.model)
    @rule(which=st.integers(0))
    def abandon(self, which: int) -> None:
        gone = self.model.pop(which % len(self.model))[0]
        assert self.line.leave(gone)
        assert not self.line.leave(gone)
        self.fates[gone] += 1

    @rule()
    def disband(self) -> None:
        calls = self.line.disband()
        assert calls == [call for call, _, _ in self.model]
        self.fates.update(calls)
        self.model.clear()

    @rule(passes=st.sampled_from([0.1, 0.5, 1.0, 3.0]))
    def time_passes(self, passes: float) -> None:
        until = self.now + passes
        while self.agenda.next_at <= until:
            self.now = self.agenda.next_at
            self.agenda.wake(self.now)
            over = [row for row in self.model if row[1] + row[2] <= self.now]
            assert sorted(self.away) == sorted((call, Why.QUEUE_TIMEOUT) for call, _, _ in over)
            self.away.clear()
            self.model = [row for row in self.model if row not in over]
            self.fates.update(call for call, _, _ in over)
        self.now = until

    @invariant()
    def never_more_than_the_limit_wait(self) -> None:
        assert len(self.line) == len(self.model) <= self.policy.limit

    @invariant()
    def nobody_waits_longer_than_allowed(self) -> None:
        assert all(self.now < came + allowed for _, came, allowed in self.model)
        if self.model:
            assert self.agenda.next_at <= min(came + allowed for _, came, allowed in self.model)

    @invariant()
    def who_enters_leaves_exactly_once(self) -> None:
        assert all(count == 1 for count in self.fates.values())
        assert self.entered == len(self.fates) + len(self.model)

    @invariant()
    def it_keeps_nothing_of_those_who_left(self) -> None:
        kept = len(self.line._usual) + len(self.line._hasty)
        assert kept == len(self.line._calls) == len(self.model)
        assert len(self.agenda._heap) <= 20, (
            "a few alarms that were set anew, not one for each call"
        )


TestAnyLine: Any = AnyLine.TestCase
TestAnyLine.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)
