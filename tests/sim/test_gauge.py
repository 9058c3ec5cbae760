"""What a backend says of its utilisation and rate, against sums over the whole of its windows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.config import Model
from sim.model.gauge import Figures, Gauge
from sim.model.measures import UNKNOWN, Measures

EVENTS = st.lists(
    st.tuples(st.floats(0, 3), st.integers(0, 5), st.integers(0, 3), st.booleans()), max_size=30
)


def test_figures_are_those_of_the_window_that_is_over() -> None:
    gauge = Gauge(workers=2, every=1.0, delay=0.0)
    gauge.holds(1, 0.0)
    gauge.holds(3, 0.25)  # one waits
    gauge.answered(0.5)
    gauge.answered(0.75, error=True)
    gauge.holds(0, 0.75)
    assert gauge.figures(0.99) is None
    assert gauge.figures(1.0) == (pytest.approx((0.25 + 2 * 0.5) / 2), 2.0, 1.0)
    assert gauge.figures(1.5) == (pytest.approx(0.625), 2.0, 1.0)
    assert gauge.figures(2.0) == (0.0, 0.0, 0.0)


def test_the_first_window_opens_with_the_first_event() -> None:
    gauge = Gauge(workers=1, every=2.0, delay=0.0)
    assert gauge.figures(999.0) is None, "to look is no event"
    gauge.holds(1, 1000.5)
    assert gauge.figures(1002.4) is None
    assert gauge.figures(1002.5) == (1.0, 0.0, 0.0)


def test_with_a_delay_the_figures_are_old() -> None:
    gauge = Gauge(workers=1, every=1.0, delay=5.0)
    gauge.holds(1, 0.0)
    gauge.holds(0, 1.0)
    assert gauge.figures(5.9) is None
    assert gauge.figures(6.0) == (1.0, 0.0, 0.0)
    assert gauge.figures(7.0) == (0.0, 0.0, 0.0)


def test_a_long_rest_keeps_no_window_that_nobody_will_ask_for() -> None:
    gauge = Gauge(workers=1, every=0.001, delay=0.01)
    gauge.holds(1, 0.0)
    gauge.holds(0, 0.0005)
    assert gauge.figures(1e6) == (0.0, 0.0, 0.0)
    gauge.holds(1, 2e6)
    assert len(gauge._over) < 30
    assert gauge.figures(2e6 + 0.02) == (pytest.approx(1.0), 0.0, 0.0)


def test_a_late_timer_takes_no_time_back() -> None:
    gauge = Gauge(workers=1, every=1.0, delay=0.0)
    gauge.holds(1, 0.0)
    gauge.holds(1, 0.5)
    gauge.holds(0, 0.4)
    assert gauge.figures(1.0) == (pytest.approx(0.5), 0.0, 0.0)


@given(events=EVENTS, workers=st.integers(1, 3), every=st.sampled_from([0.5, 1.0, 2.5]))
def test_windows_add_up_to_all_that_was_done(
    events: list[tuple[float, int, int, bool]], workers: int, every: float
) -> None:
    gauge = Gauge(workers, every, delay=0.0)
    now, held, busy, answers, errors = 0.0, 0, 0.0, 0, 0
    gauge.holds(0, now)
    told: list[Figures] = []
    for gap, number, answered, bad in events:
        busy += min(held, workers) * gap
        now, held = now + gap, number
        gauge.holds(number, now)
        told += [figures for _, figures in gauge._over]
        gauge._over.clear()
        for _ in range(answered):
            gauge.answered(now, error=bad)
        answers, errors = answers + answered, errors + bad * answered
    gauge.holds(0, now)
    gauge.holds(0, now + every)
    told += [figures for _, figures in gauge._over]
    assert sum(used for used, _, _ in told) * workers * every == pytest.approx(busy, abs=1e-9)
    assert sum(rate for _, rate, _ in told) * every == pytest.approx(answers)
    assert sum(bad for _, _, bad in told) * every == pytest.approx(errors)


def measures() -> Measures[str]:
    return Measures(Model.model_validate({"service": "exponential:1s", "workers": 2}))


def test_a_backend_knows_how_long_its_requests_take_beside_others() -> None:
    it = measures()
    it.came("a", 0, 0.0)
    it.came("b", 1, 0.5)
    it.left("a", 1, 1.0)
    it.left("b", 0, 4.5)
    assert (it.meter.expected(0), it.meter.expected(1)) == (1.0, 4.0)


def test_who_was_there_before_or_left_without_an_answer_teaches_no_latency() -> None:
    it = measures()
    assert it.figures(0.0) == UNKNOWN
    it.left("before", 0, 0.25)
    it.came("gone", 0, 0.25)
    it.gone("gone", 0, 0.75)
    it.turned_away(0.75)
    assert it.meter.expected(0) == 0.0
    assert it.figures(1.25) == (0.25, 2.0, 1.0)


def test_what_a_crash_loses_keeps_no_worker_busy() -> None:
    it = measures()
    it.came("a", 0, 0.0)
    it.came("b", 1, 0.0)
    it.lost(0.5)
    assert it.figures(1.0) == (0.5, 0.0, 0.0)
    it.left("a", 0, 1.0)
    assert it.meter.expected(0) == 0.0
