"""Who is ejected: failures in a row, and shares of failures beside the others'."""

from __future__ import annotations

from random import Random

import pytest

from lb.balancing.agenda import INFINITY
from tests.balancing.court import Court

# --- failures in a row

STREAKS = {
    "five in a row": ("eeeee", "-a 10"),
    "four are not enough": ("eeee", ""),
    "a success starts the count anew": ("eeee+eeee", ""),
    "a success that was in flight counts as well": ("ee+eee+ee+eee", ""),
    "five after a success": ("eeee+eeeee", "-a 10"),
    "of all kinds": ("cretc", "-a 10"),
    "none was heard": ("ttttt", "-a 10 silent"),
    "nobody listens, nobody was heard": ("ccctt", "-a 10 silent"),
    "a refusal is no silence": ("ttttc", "-a 10"),
    "an answer among them": ("tettt", "-a 10"),
    "a reset among them": ("rtttt", "-a 10"),
    "an answer before them": ("e+ttttt", "-a 10 silent"),
    "who left and what was cancelled teach nothing": ("eegxgxgxee", ""),
    "and do not stand between": ("egexegexe", "-a 10"),
    "more make no difference": ("eeeeeeeeeeeee", "-a 10"),
}


@pytest.mark.parametrize(("ends", "news"), STREAKS.values(), ids=STREAKS)
def test_failures_in_a_row_eject(ends: str, news: str) -> None:
    court = Court()
    court.end("a", ends)
    assert court.news == ([news] if news else [])


@pytest.mark.parametrize(
    ("ends", "out"), [("ccccc", ""), ("ttttt", "a"), ("tttcttt", ""), ("tttgttt", "a")]
)
def test_what_is_not_counted_is_as_good_as_an_answer(ends: str, out: str) -> None:
    court = Court(counts=("timeout", "reset"))
    court.end("a", ends)
    assert court.out == out


@pytest.mark.parametrize("enough", [1, 2, 7])
def test_as_many_in_a_row_as_the_policy_says(enough: int) -> None:
    court = Court(consecutive_failures=enough)
    court.end("a", "e" * (enough - 1))
    assert court.out == ""
    court.end("a", "e")
    assert court.out == "a"
    assert court.whys == [f"{enough} failures in a row, the last one server_error"]


@pytest.mark.parametrize("off", [None, 0])
def test_a_streak_alone_ejects_nobody_when_that_is_off(off: int | None) -> None:
    court = Court(consecutive_failures=off)
    court.end("a", "e" * 100)
    assert court.out == ""


def test_when_all_begin_to_fail_together_nobody_is_ejected() -> None:
    court = Court()
    court.each("+" * 300)
    court.end("b", "e")  # a window opens
    court.each("+" * 300)
    court.each("e" * 1000)
    court.until(30.0)
    assert court.news == []


def test_who_fails_alone_is_ejected_though_others_fail_now_and_then() -> None:
    court = Court()
    court.each("e" + "+" * 19)
    court.end("a", "e" * 6)
    assert court.out == "", "a twentieth of the others' fail too"
    court.end("a", "e")
    assert court.out == "a"


def test_its_own_past_stands_in_for_others_that_have_nothing_to_do() -> None:
    court = Court()
    court.end("a", "+ee+ee+" * 8)
    court.end("a", "eeeeee")
    assert court.out == ""
    court.end("a", "+" + "e" * 100)
    assert court.out == "a"


# --- a share of failures


def mixed(court: Court, seconds: int, **bad: int) -> None:
    """Each second each backend ends 10 attempts; `bad` of them in ten fail, well apart."""
    for _ in range(seconds):
        for backend in court.backends:
            wrong = bad.get(backend.name, 0)
            ends = ["+"] * 10
            for i in range(wrong):
                ends[i * 10 // wrong] = "e"
            court.end(backend.name, "".join(ends))
        court.until(court.now + 1.0)


def test_three_in_ten_beside_none_are_ejected_within_the_window() -> None:
    court = Court()
    mixed(court, 10, a=3)
    assert court.out == "a"
    assert court.whys == ["30% of its requests failed, 0% elsewhere"]


@pytest.mark.parametrize("rate", [1, 3, 5])
def test_where_all_fail_alike_nobody_is_ejected(rate: int) -> None:
    court = Court()
    mixed(court, 60, a=rate, b=rate, c=rate)
    assert court.news == []


@pytest.mark.parametrize(("rate", "out"), [(4, ""), (6, "a"), (8, "a")])
def test_what_counts_is_the_distance_to_the_others(rate: int, out: str) -> None:
    court = Court()
    mixed(court, 10, a=rate, b=3, c=3)
    assert court.out == out


def test_the_worst_is_ejected_first() -> None:
    court = Court()
    mixed(court, 10, b=4, c=5)
    assert court.news == ["-c 10", "=b"]


def test_one_that_draws_most_requests_does_not_hide_another() -> None:
    court = Court(n=4, consecutive_failures=None)
    court.end("a", "e" * 5000)
    court.end("b", "+e" * 50)
    court.end("c", "+" * 50)
    court.end("d", "+" * 50)
    court.until(1.0)
    assert court.news == ["-a 10"]
    court.until(2.0)
    assert court.news == ["-a 10", "-b 10"]


@pytest.mark.parametrize(("requests", "out"), [(19, ""), (21, "a")])
def test_few_requests_say_nothing(requests: int, out: str) -> None:
    court = Court(consecutive_failures=None)
    court.end("a", "e" * requests)
    for other in "bc":
        court.end(other, "+" * 100)
    court.until(1.0)
    assert court.out == out


def test_chance_ejects_nobody() -> None:
    """Six of twenty beside none of forty may be luck; twelve of forty are not."""
    court = Court(consecutive_failures=None)
    court.each(("+" * 7 + "+" * 3) * 2)
    court.end("a", "e")
    for n, out in ((1, ""), (2, "a")):
        court.end("a", "+++++++eee" * 2)
        for other in "bc":
            court.end(other, "+" * 20)
        court.until(float(n))
        assert court.out == out


def test_nobody_is_judged_without_another_to_compare_with() -> None:
    court = Court(consecutive_failures=None)
    court.end("a", "e" * 100)
    court.until(20.0)
    assert court.news == []


def test_the_window_slides() -> None:
    """Failures of the past are forgotten: 60 of 100 in one second, then two in ten."""
    court = Court(consecutive_failures=None, failure_rate=0.45)
    court.end("a", "e" * 3 + "+" * 27)
    for other in "bc":
        court.end(other, "+" * 100)
    for _ in range(60):
        court.until(court.now + 1.0)
        court.each("+" * 6)
        court.end("a", "eeee")
    assert court.out == ""
    evidence = court.outliers._all[court.backends[0]]
    assert evidence.recent == (60, 40)


@pytest.mark.parametrize("off", [None, 0.0])
def test_a_share_alone_ejects_nobody_when_that_is_off(off: float | None) -> None:
    court = Court(failure_rate=off)
    mixed(court, 20, a=5)
    assert court.out == ""


def test_while_nothing_fails_nothing_is_to_be_done() -> None:
    court = Court()
    court.each("+" * 100)
    assert court.agenda.next_at == INFINITY
    court.end("a", "e")
    assert court.agenda.next_at == 1.0
    court.until(9.0)
    court.end("b", "e")
    court.until(18.0)
    assert court.agenda.next_at == 19.0
    court.until(19.0)
    assert court.agenda.next_at == INFINITY


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.3, 0.5])
def test_where_all_fail_by_chance_alike_nobody_is_ejected_in_ten_minutes(rate: float) -> None:
    court, random, now = Court(), Random(1), 0.0
    while now < 600:
        now += random.expovariate(60.0)
        court.until(now)
        court.end(random.choice("abc"), "e" if random.random() < rate else "+")
    assert court.news == []
