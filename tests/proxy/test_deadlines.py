"""Time limits on a clock moved by hand."""

from lb.proxy.timers import Deadlines


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
