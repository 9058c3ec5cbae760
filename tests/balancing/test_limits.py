"""Adaptive limits: rules in a table, laws, and what they come to before a modelled station."""

from __future__ import annotations

from random import Random
from statistics import mean, median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lb.balancing import Backend, HealthPolicy, Outcome, Settings
from lb.balancing.limits import ADAPTIVE, LEAST, MOST, SAMPLES, AdaptiveLimit, Limits
from tests.balancing.stations import MEAN, Draw, LimitedStation


class Windows:
    """An adaptive limit that is told window by window."""

    def __init__(self) -> None:
        self.limit = AdaptiveLimit(0.0)
        self.now = 0.0

    def see(self, latency: float, busiest: int, seconds: float = 1.0) -> int:
        """One window in which all answers took as long; the limit after it."""
        for _ in range(SAMPLES - 1):
            assert not self.limit.took(self.now, latency, 1)
        self.now += seconds
        assert self.limit.took(self.now, latency, busiest)
        return self.limit.limit

    def skip(self, answers: int) -> None:
        """Answers to requests of before that are not listened to."""
        for _ in range(answers):
            assert not self.limit.took(self.now, 9.9, 99)


def test_it_begins_at_twenty_and_the_first_calm_window_says_what_unloaded_is() -> None:
    it = Windows()
    assert it.limit.limit == 20
    assert it.see(1.0, 5) == 20
    assert it.limit.unloaded == 1.0


@pytest.mark.parametrize(
    ("latency", "busiest", "then"),
    [
        (1.0, 10, 29),  # as fast as ever, half of it used: 20 * 1.25 + sqrt(20)
        (1.0, 9, 20),  # not used: it does not grow
        (1.25, 10, 25),  # no queue yet, and unloaded is a bit more: 20 * 1.03 + sqrt(20)
        (2.5, 20, 14),  # twice that: 20 / 2 + sqrt(20)
        (2.5, 2, 14),  # and it shrinks whether it is used or not
        (9.9, 20, 14),  # by a half at most
    ],
)
def test_the_gradient(latency: float, busiest: int, then: int) -> None:
    it = Windows()
    it.see(1.0, 5)
    assert it.see(latency, busiest) == then


def test_a_window_needs_time_and_answers() -> None:
    limit = AdaptiveLimit(0.0)
    for _ in range(3 * SAMPLES):
        assert not limit.took(0.09, 1.0, 5)
    assert limit.took(0.1, 1.0, 5)
    for _ in range(SAMPLES - 1):
        assert not limit.took(99.0, 1.0, 5)
    assert limit.took(99.0, 1.0, 5)


def test_calm_windows_keep_unloaded_up_to_date() -> None:
    it = Windows()
    it.see(1.0, 5)
    it.see(1.08, 5)
    assert it.limit.unloaded == pytest.approx(1.01)
    it.see(0.93, 5)
    assert it.limit.unloaded == pytest.approx(1.0)


def test_a_window_that_fills_the_limit_does_not_raise_unloaded() -> None:
    it = Windows()
    it.see(1.0, 5)
    it.see(1.2, 20)
    assert it.limit.unloaded == 1.0
    it.see(0.92, 99)
    assert it.limit.unloaded == pytest.approx(0.99)


def test_what_has_become_much_faster_is_believed_soon() -> None:
    it = Windows()
    it.see(1.0, 5)
    it.see(0.2, 5)
    assert it.limit.unloaded == pytest.approx(0.6)


def test_a_start_in_a_crowd_halves_as_long_as_that_makes_answers_faster() -> None:
    it = Windows()
    assert it.see(2.0, 20) == 10
    it.skip(20)
    assert it.see(1.0, 10) == 5
    it.skip(10)
    assert it.see(0.5, 5) == 3
    it.skip(5)
    assert it.see(0.3, 3) == 3
    assert it.limit.unloaded == pytest.approx(0.3)
    assert it.see(0.3, 3) == 5, "from there it grows"


def test_a_halving_that_brings_nothing_is_taken_back() -> None:
    it = Windows()
    assert it.see(1.0, 20) == 10
    it.skip(20)
    assert it.see(1.0, 10) == 20
    assert it.limit.unloaded == 1.0


def test_after_a_while_of_queueing_unloaded_is_measured_anew() -> None:
    it = Windows()
    it.see(1.0, 5)
    for _ in range(4):
        it.see(3.0, 99)
        assert it.limit.unloaded == 1.0
    before = it.limit.limit
    assert it.see(3.0, 99) == before // 2
    it.skip(99)
    it.see(3.0, 4)
    assert it.limit.unloaded == 3.0, "it is slower than it was, and no queue the reason"
    assert it.limit.limit == before, "so nothing was gained by halving"


def test_queueing_that_does_not_fill_the_limit_is_no_reason_to_measure() -> None:
    it = Windows()
    it.see(1.0, 1)
    for _ in range(30):
        it.see(3.0, 1)
    assert it.limit.unloaded == 1.0
    assert it.limit.limit >= LEAST


@given(
    st.lists(
        st.tuples(st.floats(0.0, 100.0), st.integers(0, 2000), st.floats(0.0, 10.0)), max_size=60
    )
)
@settings(deadline=None)
def test_whatever_it_is_told_it_stays_within_its_bounds(
    windows: list[tuple[float, int, float]],
) -> None:
    limit = AdaptiveLimit(0.0)
    now = 0.0
    for latency, active, seconds in windows:
        now += seconds
        for _ in range(SAMPLES):
            limit.took(now, latency, active)
        assert LEAST <= limit.limit <= MOST
        assert limit.unloaded is None or limit.unloaded >= 0


# --- before a station


def exponential(rng: Random) -> float:
    return rng.expovariate(1.0)


def heavy(rng: Random) -> float:
    return rng.lognormvariate(-0.5, 1.0)


def two_kinds(rng: Random) -> float:
    return 0.1 if rng.random() < 0.5 else 1.9


@pytest.mark.parametrize("draw", [None, exponential, heavy, two_kinds])
@pytest.mark.parametrize("workers", [2, 8, 64])
def test_twice_the_load_is_held_near_what_workers_can_do(workers: int, draw: Draw | None) -> None:
    station = LimitedStation(workers, draw)
    station.run(2.0, 15.0)
    station.run(2.0, 20.0)
    goodput = len(station.latencies) / 20.0 / (workers / MEAN)
    assert goodput > 0.9
    assert workers <= median(station.limits) <= 2 * workers + 6
    assert mean(station.latencies) < 4 * MEAN


@pytest.mark.parametrize("draw", [None, exponential, heavy, two_kinds])
@pytest.mark.parametrize("workers", [8, 64])
def test_half_the_load_is_not_held_back(workers: int, draw: Draw | None) -> None:
    station = LimitedStation(workers, draw)
    station.run(0.5, 10.0)
    station.run(0.5, 20.0)
    assert len(station.latencies) / 20.0 / (workers / MEAN) > 0.47
    assert min(station.limits) > workers


def test_a_station_that_becomes_slower_for_good_gets_its_limit_back() -> None:
    station = LimitedStation(8)
    station.run(0.9, 10.0)
    station.factor = 3.0
    station.run(0.9, 15.0)  # 2.7 times what it can do now
    assert min(station.limits) < 8
    station.run(0.9, 10.0)
    assert len(station.latencies) / 10.0 > 0.9 * 8 / MEAN / 3
    assert median(station.limits) >= 8


def test_a_station_that_becomes_faster_is_used() -> None:
    station = LimitedStation(8)
    station.run(2.0, 10.0)
    station.factor = 0.25
    station.run(3.0, 10.0)
    station.run(3.0, 10.0)
    assert len(station.latencies) / 10.0 > 0.95 * 3.0 * 8 / MEAN


# --- in a pool


class Pool:
    """What limits need of one."""

    def __init__(self) -> None:
        self.backend = Backend(Settings("h:1"), 0, HealthPolicy())
        self.said: list[int | None] = []

    def give(self, backend: Backend, now: float, outcome: Outcome, latency: float) -> bool:
        backend.active -= 1
        return backend.active == backend.limit - 1

    def limit(self, backend: Backend, most: int | None, now: float) -> None:
        self.said.append(most)
        backend.limit = most or 10**9


def fed(pool: Pool, limits: Limits, latency: float, *, active: int, outcome: Outcome) -> bool:
    """A window's worth of answers; what the last one said."""
    pool.backend.active = active + SAMPLES - 1
    for _ in range(SAMPLES):
        made_room = limits.give(pool.backend, float(len(pool.said)), outcome, latency)
    return made_room


def test_only_adaptive_ones_are_fed() -> None:
    pool = Pool()
    limits = Limits(pool)
    for wanted in (None, 7):
        limits.set(pool.backend, wanted, 0.0)
        assert not limits
    assert pool.said == [None, 7]
    limits.set(pool.backend, ADAPTIVE, 0.0)
    assert limits
    assert pool.said == [None, 7, 20]
    limits.set(pool.backend, 7, 0.0)
    assert not limits
    assert not fed(pool, limits, 0.1, active=3, outcome=Outcome.OK)
    assert pool.said == [None, 7, 20, 7]


def test_one_that_is_adaptive_already_keeps_its_limit() -> None:
    pool = Pool()
    limits = Limits(pool)
    limits.set(pool.backend, ADAPTIVE, 0.0)
    fed(pool, limits, 0.1, active=1, outcome=Outcome.OK)
    assert pool.said[-1] == 10, "all were in flight at first, so it is on trial"
    limits.set(pool.backend, ADAPTIVE, 5.0)
    assert pool.said[-1] == 10
    limits.forget(pool.backend)
    limits.forget(pool.backend)
    assert not limits


@pytest.mark.parametrize(
    ("outcome", "fed_with"),
    [(it, it in (Outcome.OK, Outcome.TIMEOUT)) for it in Outcome],
)
def test_only_answers_and_those_waited_for_in_vain_say_how_long_answers_take(
    outcome: Outcome, fed_with: bool
) -> None:
    pool = Pool()
    limits = Limits(pool)
    limits.set(pool.backend, ADAPTIVE, 0.0)
    fed(pool, limits, 0.1, active=1, outcome=outcome)
    assert (pool.said[1:] != []) is fed_with


@pytest.mark.parametrize(
    ("active", "room"),
    [(20, True), (30, False), (19, True), (18, False)],
)
def test_a_limit_that_rises_makes_room(active: int, room: bool) -> None:
    pool = Pool()
    limits = Limits(pool)
    limits.set(pool.backend, ADAPTIVE, 0.0)
    own = limits._limits[pool.backend]
    own.unloaded = 0.1
    assert fed(pool, limits, 0.1, active=active + 1, outcome=Outcome.OK) is room
    assert pool.backend.limit == 29
