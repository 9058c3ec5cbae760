"""Whose response times eject, for how long anybody is out, how many, and what always holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.balancing.agenda import INFINITY
from lb.balancing.outliers import OutlierPolicy
from lb.balancing.settings import State
from lb.strategies import Outcome
from tests.balancing.court import Court

# --- response times


def timed(court: Court, seconds: int, **times: float) -> None:
    for _ in range(seconds):
        for backend in court.backends:
            backend.succeeded += 5
            backend.response_time = times[backend.name]
        court.until(court.now + 1.0)


def test_response_times_eject_only_where_that_is_asked_for() -> None:
    court = Court()
    timed(court, 60, a=9.0, b=0.1, c=0.1)
    assert court.news == []
    assert court.agenda.next_at == INFINITY


@pytest.mark.parametrize(("seconds", "out"), [(0.29, ""), (0.31, "a")])
def test_too_slow_beside_the_median_for_a_whole_window(seconds: float, out: str) -> None:
    court = Court(latency_factor=3.0)
    timed(court, 12, a=seconds, b=0.1, c=0.1)
    assert court.out == ""
    timed(court, 3, a=seconds, b=0.1, c=0.1)
    assert court.out == out
    assert court.whys == ["takes 0.31 s, 0.1 s elsewhere"] * bool(out)


def test_one_good_comparison_starts_the_window_anew() -> None:
    court = Court(latency_factor=3.0)
    timed(court, 12, a=1.0, b=0.1, c=0.1)
    timed(court, 1, a=0.2, b=0.1, c=0.1)
    timed(court, 9, a=1.0, b=0.1, c=0.1)
    assert court.out == ""


@pytest.mark.parametrize(
    ("times", "out"),
    [
        ({"a": 9.0, "b": 0.1}, "a"),
        ({"a": 0.1, "b": 0.1, "c": 0.5}, "c"),
        ({"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.9}, "d"),
        ({"a": 0.5, "b": 0.5, "c": 0.1}, ""),
        ({"a": 9.0, "b": 8.0, "c": 0.1, "d": 0.1, "e": 0.1}, "ab"),
        ({"a": 9.0}, ""),
    ],
)
def test_the_median_is_that_of_the_others(times: dict[str, float], out: str) -> None:
    court = Court(len(times), latency_factor=3.0)
    timed(court, 15, **times)
    assert court.out == out


def test_a_time_of_few_requests_says_nothing() -> None:
    court = Court(latency_factor=3.0, min_requests=51)
    timed(court, 60, a=9.0, b=0.1, c=0.1)
    assert court.out == ""


def test_nobody_is_slow_whose_time_is_not_known() -> None:
    court = Court(latency_factor=3.0)
    court.until(30.0)
    assert court.news == []
    assert court.agenda.next_at == 31.0


# --- for how long


def test_an_ejection_ends() -> None:
    court = Court()
    court.end("a", "eeeee")
    court.until(9.9)
    assert court.out == "a"
    court.until(10.0)
    assert court.news == ["-a 10", "+a"]


def test_what_ends_while_it_is_out_neither_ejects_again_nor_makes_it_longer() -> None:
    court = Court()
    court.end("a", "eeeee")
    court.until(5.0)
    court.end("a", "e" * 50)
    court.until(10.0)
    assert court.news == ["-a 10", "+a"]
    assert court.backends[0].ejections == 1


def test_attempts_from_before_say_nothing_about_one_that_is_back() -> None:
    court = Court()
    court.end("a", "eeeee")
    court.until(12.0)
    court.end("a", "t" * 50, latency=2.5)
    assert court.out == ""
    court.end("a", "t" * 5, latency=1.5)
    assert court.out == "a"


SPANS = {
    # seconds from the return to the next failures, and how long each ejection lasts
    "at once, every time": ([0, 0, 0, 0, 0, 0, 0], [10, 20, 40, 80, 160, 300, 300, 300]),
    "after as long as the ejection": ([10, 10], [10, 10, 10]),
    "just before": ([9.5, 19.5], [10, 20, 40]),
    "back by one for each such time": ([0, 0, 0, 80 * 2, 40 * 3], [10, 20, 40, 80, 40, 10]),
    "never below the first": ([0, 1e6], [10, 20, 10]),
}


@pytest.mark.parametrize(("waits", "spans"), SPANS.values(), ids=SPANS)
def test_ejections_grow_and_shrink(waits: list[float], spans: list[float]) -> None:
    court = Court()
    for wait, span in zip([0.0, *waits], spans, strict=True):
        court.until(court.now + wait)
        court.end("a", "eeeee")
        assert court.news[-1] == f"-a {span:g}"
        court.until(court.now + span)
        assert court.news[-1] == "+a"


def test_time_out_of_use_is_no_time_that_goes_well() -> None:
    court = Court()
    court.end("a", "eeeee")
    court.until(12.0)
    court.outliers.left(court.backends[0], court.now)
    court.until(1000.0)
    court.outliers.begun(court.backends[0], court.now)
    court.until(1007.0)
    court.end("a", "eeeee")
    assert court.news[-1] == "-a 20"


def test_a_first_ejection_is_no_longer_than_the_longest() -> None:
    court = Court(eject=10.0, max_eject=4.0)
    court.end("a", "eeeee")
    assert court.news == ["-a 4"]


# --- how many

CEILINGS = [
    # backends, share, how many may be out
    (1, 0.5, 0),
    (2, 0.5, 1),
    (3, 0.5, 1),
    (4, 0.5, 2),
    (5, 0.5, 2),
    (10, 0.3, 3),
    (10, 0.29, 2),
    (10, 0.05, 1),
    (2, 1.0, 1),
    (3, 1.0, 2),
    (3, 0.0, 0),
]


@pytest.mark.parametrize(("n", "share", "most"), CEILINGS)
def test_no_more_are_out_than_may_be(n: int, share: float, most: int) -> None:
    court = Court(n, max_share=share)
    for backend in court.backends:
        court.each("+" * 100)
        court.end(backend.name, "e" * 60)
    assert len(court.out) == most
    assert court.outliers.withheld > 0
    assert sum(news.startswith("=") for news in court.news) == 1, "it is told once"


def test_it_is_told_again_when_there_was_room_in_between() -> None:
    court = Court(2)
    for _ in range(2):
        court.end("b", "+" * 100)
        court.end("a", "e" * 5)
        court.end("b", "e" * 50)
        court.until(court.now + 60.0)
    assert court.news == ["-a 10", "=b", "+a", "-a 10", "=b", "+a"]
    assert court.outliers.withheld == 20


def test_the_last_one_that_is_usable_stays() -> None:
    court = Court(4)
    for other in court.backends[1:]:
        other.usable = False  # down
    court.end("a", "eeeee")
    assert court.news == ["=a"]


def test_those_that_nobody_wants_do_not_count() -> None:
    court = Court(4)
    for other in court.backends[2:]:
        other.state, other.usable = State.MAINT, False
    court.end("a", "eeeee")
    court.end("b", "eeeee")
    assert court.news == ["-a 10", "=b"]


def test_one_that_is_not_in_use_is_not_ejected() -> None:
    court = Court()
    court.end("a", "e")
    court.backends[0].usable = False
    court.end("a", "e" * 50)
    assert court.news == []


# --- control


def test_another_policy_leaves_ejections_as_they_are() -> None:
    court = Court()
    court.end("a", "eeeee")
    court.until(2.0)
    court.outliers.adopt(OutlierPolicy(eject=1.0, consecutive_failures=2), court.now)
    court.end("b", "ee")
    assert court.news == ["-a 10", "=b"]
    court.until(10.0)
    assert court.news[2:] == ["+a"]


def test_switched_off_all_are_back_at_once_and_nobody_is_ejected() -> None:
    court = Court()
    court.end("a", "eeeee")
    court.outliers.adopt(OutlierPolicy(enabled=False), 1.0)
    court.end("b", "e" * 100)
    assert court.news == ["-a 10", "+a"]
    assert court.agenda.next_at == INFINITY


def test_response_times_can_be_switched_on_and_off() -> None:
    court = Court()
    court.outliers.adopt(OutlierPolicy(latency_factor=2.0), 5.0)
    assert court.agenda.next_at == 6.0
    court.outliers.adopt(OutlierPolicy(), 5.0)
    assert court.agenda.next_at == INFINITY


def test_of_one_that_has_left_nothing_is_remembered() -> None:
    court = Court()
    lost = court.backends[0]
    court.end("a", "eeeee")
    court.backends.remove(lost)
    court.outliers.forget(lost)
    court.outliers.forget(lost)
    court.outliers.failed(lost, 1.0, Outcome.RESET, 0.0)
    court.outliers.left(lost, 1.0)
    court.outliers.begun(lost, 1.0)
    court.until(60.0)
    assert court.news == ["-a 10"]
    assert lost not in court.outliers._all


# --- laws

EVENTS = st.lists(
    st.tuples(
        st.sampled_from("abcd"),
        st.sampled_from(["+", "e", "c", "t", "x", "eeeee", "ttttttt", "+" * 30]),
        st.sampled_from([0.0, 0.0, 0.1, 1.0, 7.0, 25.0]),
    ),
    max_size=80,
)


@given(EVENTS, st.integers(1, 4), st.sampled_from([0.0, 0.2, 0.5, 1.0]))
def test_whatever_happens_the_laws_hold(
    events: list[tuple[str, str, float]], n: int, share: float
) -> None:
    court = Court(n, max_share=share, min_requests=3)
    most = max(1 if n > 1 and share else 0, int(share * n))
    for name, ends, passes in events:
        if name in [it.name for it in court.backends]:
            court.end(name, ends)
        assert len(court.out) <= min(most, n - 1), "the ceiling, and the last one usable"
        for news in court.news:
            if news[0] == "-":
                assert 10 <= float(news.split()[1]) <= 300
        for it in court.backends:
            assert it.ejected == (it.ejected_until > court.now)
        court.until(court.now + passes)
    court.until(court.now + 400.0)
    assert court.out == "", "every ejection ends"
    assert court.agenda.next_at == INFINITY, "and then nothing is to be done"
    assert sum(it.ejections for it in court.backends) == court.news.count("+a") + sum(
        court.news.count(f"+{other}") for other in "bcd"
    )


@given(st.text("+ecrtgx", max_size=300), st.integers(2, 6))
def test_backends_that_do_alike_are_never_told_apart(ends: str, n: int) -> None:
    court = Court(n)
    for number, end in enumerate(ends):
        court.each(end)
        court.until(number / 7)
    court.until(100.0)
    assert court.news == []


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("+gx")), max_size=200))
def test_who_never_fails_is_never_ejected(ends: list[tuple[str, str]]) -> None:
    court = Court(consecutive_failures=1)
    for name, end in ends:
        court.end(name, end)
        assert court.agenda.next_at == INFINITY
    assert court.news == []
