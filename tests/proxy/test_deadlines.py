"""Time limits on a clock moved by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.proxy.timers import Deadlines, Punctual
from lb.proxy.waits import Waits


def made(seconds: float = 10.0) -> tuple[Deadlines[str], list[str]]:
    over: list[str] = []
    return Deadlines(seconds, over.append), over


def test_over_at_the_end_and_only_once() -> None:
    waits, over = made()
    waits.start("a", now=0.0)
    waits.sweep(9.999)
    assert over == []
    waits.sweep(10.0)
    waits.sweep(100.0)
    assert over == ["a"]
    assert len(waits) == 0


def test_over_in_the_order_of_starting() -> None:
    waits, over = made()
    for number, waiter in enumerate("abcd"):
        waits.start(waiter, now=float(number))
    waits.sweep(12.0)
    assert over == ["a", "b", "c"]


def test_starting_again_begins_again() -> None:
    waits, over = made()
    waits.start("a", now=0.0)
    waits.start("b", now=1.0)
    waits.start("a", now=2.0)
    waits.sweep(11.0)
    assert over == ["b"]
    waits.sweep(12.0)
    assert over == ["b", "a"]


@pytest.mark.parametrize("seconds", [2.0, 50.0])
def test_another_limit_is_for_those_who_begin_after_it(seconds: float) -> None:
    deadlines, over = made()
    waits = Waits(10.0, over.append)
    first, second, never = waits.of("first wait"), waits.of("second wait"), waits.of("never")
    never.start(0.0)
    never.stop()
    first.start(0.0)
    deadlines.start("first", now=0.0)
    deadlines.adopt(seconds, 1.0)
    waits.adopt(seconds)
    deadlines.start("second", now=1.0)
    second.start(1.0)
    never.start(1.0)
    never.stop()
    ends = {"first": 10.0, "second": 1.0 + seconds}
    seen = {}
    for tick in range(1, 1200):
        now = tick * 0.05
        deadlines.sweep(now)
        waits.sweep(now)
        for name in over:
            seen[name] = now
        over.clear()
    assert seen.keys() == {"first", "first wait", "second", "second wait"}
    for name, at in seen.items():
        assert 0 <= at - ends[name.partition(" ")[0]] < 0.11, name


def test_ensuring_does_not_begin_again() -> None:
    waits, over = made()
    waits.ensure("a", now=0.0)
    waits.ensure("a", now=9.0)
    waits.sweep(10.0)
    assert over == ["a"]


def test_a_stopped_wait_is_never_over() -> None:
    waits, over = made()
    waits.start("a", now=0.0)
    waits.stop("a")
    waits.stop("never started")
    waits.sweep(100.0)
    assert over == []


def test_what_is_over_may_start_and_stop_others() -> None:
    waits: Deadlines[str] = Deadlines(10.0, lambda waiter: react(waiter))
    over = []

    def react(waiter: str) -> None:
        over.append(waiter)
        waits.stop("b")
        waits.start("a", now=10.0)

    for waiter in "abc":
        waits.start(waiter, now=0.0)
    waits.sweep(10.0)
    assert over == ["a", "c"]
    assert len(waits) == 1


def test_one_that_begins_anew_while_others_end_waits_its_whole_time() -> None:
    over: list[str] = []

    def react(waiter: str) -> None:
        over.append(waiter)
        waits.start("b", 10.0)

    waits: Deadlines[str] = Deadlines(10.0, react)
    waits.start("a", 0.0)
    waits.start("b", 0.0)
    waits.sweep(10.0)
    assert over == ["a"]
    assert waits.waiting == {"b": 20.0}


class Name:
    """A waiter, and what it waits for."""

    def __init__(self, waits: Waits[Name], name: str) -> None:
        self.name = name
        self.wait = waits.of(self)


def many(names: str = "abcd", seconds: float = 10.0) -> tuple[Waits[Name], list[Name], list[str]]:
    over: list[str] = []
    waits: Waits[Name] = Waits(seconds, lambda it: over.append(it.name))
    return waits, [Name(waits, name) for name in names], over


def test_a_wait_is_over_at_its_end_and_only_once() -> None:
    waits, (a, *_), over = many()
    a.wait.start(0.0)
    waits.sweep(9.999)
    assert over == []
    waits.sweep(10.0)
    waits.sweep(100.0)
    assert over == ["a"]
    assert waits.waiters() == []


def test_waits_are_over_in_the_order_of_their_beginning() -> None:
    waits, (a, b, c, d), over = many()
    for since, it in enumerate((d, b, a, c)):
        it.wait.start(since / 1000)
    assert [it.name for it in waits.waiters()] == ["d", "b", "a", "c"]
    waits.sweep(10.0021)
    assert over == ["d", "b", "a"]
    waits.sweep(10.0029)
    assert over == ["d", "b", "a"]
    waits.sweep(10.003)
    assert over == ["d", "b", "a", "c"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["start", "start", "ensure", "stop", "forget", "sweep"]),
            st.integers(0, 3),
            st.floats(0.0, 7.0),
        ),
        max_size=60,
    )
)
def test_whatever_begins_again_waits_its_whole_time(events: list[tuple[str, int, float]]) -> None:
    waits, names, over = many()
    now = 0.0
    since: dict[str, float] = {}
    for event, number, later in events:
        now += later
        it = names[number]
        if event == "start" or (event == "ensure" and it.name not in since):
            since[it.name] = now
        elif event in ("stop", "forget"):
            since.pop(it.name, None)
        if event == "sweep":
            ended = [name for name in since if since[name] + 10.0 <= now]
            waits.sweep(now)
            assert sorted(over) == sorted(ended)
            over.clear()
            for name in ended:
                del since[name]
        elif event in ("start", "ensure"):
            getattr(it.wait, event)(now)
        else:
            getattr(it.wait, event)()
            if event == "forget":  # it never begins again
                it.wait = waits.of(it)
        assert {it.name for it in waits.waiters()} == set(since)


def test_what_is_over_may_stop_others_and_begin_anew() -> None:
    over: list[str] = []

    def react(it: Name) -> None:
        over.append(it.name)
        b.wait.stop()
        a.wait.start(10.0)

    waits: Waits[Name] = Waits(10.0, react)
    a, b = Name(waits, "a"), Name(waits, "b")
    a.wait.start(0.0)
    b.wait.start(0.0)
    waits.sweep(10.0)
    waits.sweep(19.99)
    assert over == ["a"]
    waits.sweep(20.0)
    assert over == ["a", "a"]


def test_who_has_waited_longest_is_known_and_who_began_again_is_not_among_them() -> None:
    waits, (a, b, c, d), _ = many()
    for since, it in enumerate((a, b, c)):
        it.wait.start(float(since))
    assert [(since, it.name) for since, it in waits.since(1.0)] == [(0.0, "a"), (1.0, "b")]
    a.wait.start(3.0)
    d.wait.start(3.5)
    assert [(since, it.name) for since, it in waits.since(2.0)] == [(1.0, "b")]
    b.wait.stop()
    assert [it.name for _, it in waits.since(4.0)] == ["c", "a", "d"]


def test_one_who_is_forgotten_is_held_by_nobody() -> None:
    waits: Waits[Name] = Waits(10.0, lambda it: None)
    it = Name(waits, "a")
    it.wait.start(0.0)
    it.wait.forget()
    assert not any(waits._listed.values())
    assert it.wait.waiter is None
    waits.sweep(10.0)
    assert waits.waiters() == []


class Loop:
    """One that rings when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0
        self.alarms: list[tuple[float, Callable[[], None]]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, act: Callable[[], None]) -> object:
        self.alarms.append((when, act))
        return self

    def cancel(self) -> None:
        self.alarms.clear()

    def ring(self) -> None:
        ((self.now, act),) = self.alarms
        self.alarms.clear()
        act()


def punctual(seconds: float) -> tuple[Loop, list[tuple[str, float]], Punctual[str]]:
    """Its loop, and who ended when."""
    loop, over = Loop(), list[tuple[str, float]]()

    def ended(waiter: str) -> None:
        over.append((waiter, loop.now))

    return loop, over, Punctual(seconds, ended, loop, loop.time)  # type: ignore[arg-type]


def test_punctual_waits_end_on_time_by_one_alarm() -> None:
    loop, over, waits = punctual(0.1)
    for number, waiter in enumerate("abcd"):
        waits.start(waiter, now=number / 100)
    waits.stop("a")
    waits.stop("c")
    loop.ring()  # that of a, who waits no more
    assert over == []
    loop.ring()
    loop.ring()
    assert over == [("b", pytest.approx(0.11)), ("d", pytest.approx(0.13))]
    assert loop.alarms == []
    waits.start("e", now=5.0)
    assert [when for when, _ in loop.alarms] == [pytest.approx(loop.now + 0.1)]


def test_punctual_waits_are_so_when_they_have_become_shorter() -> None:
    loop, over, waits = punctual(60.0)
    waits.start("long", now=0.0)
    loop.now = 1.0
    waits.adopt(0.1, now=1.0)
    waits.start("short", now=1.0)
    loop.ring()
    assert over == [("short", pytest.approx(1.1))]
    loop.ring()
    assert over[1:] == [("long", pytest.approx(60.0))]


def test_many_punctual_waits_take_few_alarms() -> None:
    loop, over, waits = punctual(1.0)
    for number in range(1000):
        waits.start(str(number), now=number / 1000)
    rings = 0
    while loop.alarms:
        loop.ring()
        rings += 1
    assert rings <= 101
    assert max(when - 1.0 - int(waiter) / 1000 for waiter, when in over) <= 0.0101


def test_waits_that_never_ended_are_in_nobody_s_way() -> None:
    waits, over = made(float("inf"))
    waits.start("for ever", now=0.0)
    waits.adopt(5.0, now=1.0)
    waits.start("a", now=1.0)
    waits.sweep(6.0)
    assert over == ["a"]
    assert len(waits) == 0
