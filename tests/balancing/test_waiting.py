"""The waiting line: bounded, first come first served, one patience for all."""

from __future__ import annotations

import pytest

from lb.balancing.waiting import QueuePolicy, WaitingLine


def line(*calls: str, limit: int = 10, timeout: float = 5.0) -> WaitingLine[str]:
    """One call a second, from 0."""
    waiting: WaitingLine[str] = WaitingLine(QueuePolicy(limit, timeout))
    for now, call in enumerate(calls):
        assert waiting.enter(call, float(now))
    return waiting


@pytest.mark.parametrize("limit", [0, 1, 3])
def test_no_more_than_the_limit_wait(limit: int) -> None:
    waiting = line(*"abc"[:limit], limit=limit)
    assert not waiting.enter("z", 9.0)
    assert len(waiting) == limit


def test_a_place_that_is_left_is_free() -> None:
    waiting = line("a", "b", limit=2)
    assert waiting.leave("a")
    assert waiting.enter("c", 2.0)
    assert [waiting.first(), len(waiting)] == ["b", 2]


def test_first_come_first_served() -> None:
    waiting = line("a", "b", "c")
    served = []
    while waiting:
        served.append(waiting.first())
        waiting.leave(served[-1])
    assert served == ["a", "b", "c"]


def test_only_who_waits_can_leave() -> None:
    waiting = line("a")
    assert [waiting.leave("z"), waiting.leave("a"), waiting.leave("a")] == [False, True, False]


@pytest.mark.parametrize(
    ("now", "over", "next_deadline"),
    [(4.99, [], 5.0), (5.0, ["a"], 6.0), (6.5, ["a", "b"], 7.0), (99.0, ["a", "b", "c"], None)],
)
def test_patience_ends_in_order(now: float, over: list[str], next_deadline: float | None) -> None:
    waiting = line("a", "b", "c")
    assert waiting.next_deadline == 5.0
    assert waiting.expired(now) == over
    assert len(waiting) == 3 - len(over)
    assert waiting.next_deadline == (next_deadline or float("inf"))
