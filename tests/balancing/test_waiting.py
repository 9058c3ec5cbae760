"""The waiting line: bounded, first come first served, one patience for all."""

from __future__ import annotations

import pytest

from lb.balancing import Why
from lb.balancing.agenda import Agenda
from lb.balancing.waiting import QueuePolicy, WaitingLine

INFINITY = float("inf")


class Line:
    """A line on an agenda of its own; one call a second, from 0."""

    def __init__(self, calls: str = "", limit: int = 10, timeout: float = 5.0) -> None:
        self.agenda = Agenda()
        self.over: list[str] = []
        policy = QueuePolicy(limit, timeout)
        self.waiting: WaitingLine[str] = WaitingLine(policy, self.agenda, self.turn_away)
        for now, call in enumerate(calls):
            assert self.waiting.enter(call, float(now))

    def turn_away(self, call: str, why: Why) -> None:
        assert why is Why.QUEUE_TIMEOUT
        self.over.append(call)


@pytest.mark.parametrize("limit", [0, 1, 3])
def test_no_more_than_the_limit_wait(limit: int) -> None:
    waiting = Line("abc"[:limit], limit=limit).waiting
    assert not waiting.enter("z", 9.0)
    assert len(waiting) == limit


def test_a_place_that_is_left_is_free() -> None:
    waiting = Line("ab", limit=2).waiting
    assert waiting.leave("a")
    assert waiting.enter("c", 2.0)
    assert [waiting.next(9.0), len(waiting)] == ["b", 2]


def test_first_come_first_served() -> None:
    waiting = Line("abc").waiting
    served = []
    while waiting:
        served.append(waiting.next(9.0))
        waiting.leave(served[-1])
    assert served == ["a", "b", "c"]


def test_only_who_waits_can_leave() -> None:
    waiting = Line("a").waiting
    assert [waiting.leave("z"), waiting.leave("a"), waiting.leave("a")] == [False, True, False]


def test_all_can_be_sent_away_in_order() -> None:
    line = Line("abc")
    assert line.waiting.disband() == ["a", "b", "c"]
    assert not line.waiting
    line.agenda.wake(99.0)
    assert line.over == []


@pytest.mark.parametrize(
    ("now", "over", "next_at"),
    [(4.99, "", 5.0), (5.0, "a", 6.0), (6.5, "ab", 7.0), (99.0, "abc", INFINITY)],
)
def test_patience_ends_in_order(now: float, over: str, next_at: float) -> None:
    line = Line("abc")
    assert line.agenda.next_at == 5.0
    line.agenda.wake(now)
    assert "".join(line.over) == over
    assert len(line.waiting) == 3 - len(over)
    assert line.agenda.next_at == next_at


def test_the_first_to_come_after_a_silence_sets_the_alarm() -> None:
    line = Line("a")
    line.waiting.leave("a")
    line.agenda.wake(5.0)
    assert line.agenda.next_at == INFINITY
    line.waiting.enter("b", 7.0)
    assert line.agenda.next_at == 12.0


def test_who_left_early_leaves_an_alarm_that_looks_and_goes_on() -> None:
    line = Line("ab")
    line.waiting.leave("a")
    line.agenda.wake(5.0)
    assert line.over == []
    assert line.agenda.next_at == 6.0
