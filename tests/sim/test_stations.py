"""Stations against slower ways to compute the same, in exact scheduled time."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.config import Exponential, Model
from sim.model.stations import (
    INFINITY,
    METER_GAIN,
    Fifo,
    LoadMeter,
    ProcessorSharing,
    Station,
    station,
)

TICKS = st.integers(0, 40).map(lambda n: n / 8)  # exact in binary: ties happen, rounding does not
JOBS = st.lists(st.tuples(TICKS, TICKS), max_size=40).map(
    lambda jobs: [(sum(gap for gap, _ in jobs[: i + 1]), jobs[i][1]) for i in range(len(jobs))]
)
"""(arrival, service), arrivals ascending."""
REAL_JOBS = st.lists(st.tuples(st.floats(0, 5), st.floats(0.001, 5)), min_size=1, max_size=25).map(
    lambda jobs: [(sum(gap for gap, _ in jobs[: i + 1]), jobs[i][1]) for i in range(len(jobs))]
)

EITHER = pytest.mark.parametrize("kind", [Fifo, ProcessorSharing])


def served(kind: Any, jobs: list[tuple[float, float]], **limits: Any) -> dict[int, float]:
    """Departure by job, for those that got in; every departure is taken when it is due."""
    place: Station[int] = kind(**limits)
    left: dict[int, float] = {}

    def take_until(now: float) -> None:
        while place.next_departure() <= now and place.next_departure() < INFINITY:
            promised = place.next_departure()
            at, job = place.depart()
            assert at == promised
            left[job] = at

    for job, (arrival, service) in enumerate(jobs):
        take_until(arrival)
        place.arrive(job, arrival, service)
    take_until(INFINITY)
    return left


def by_hand(
    jobs: list[tuple[float, float]], workers: int, queue: int | None = None
) -> dict[int, float]:
    """First come, first served: each worker's diary, scanned for every job."""
    free = [0.0] * workers
    left: dict[int, float] = {}
    for job, (arrival, service) in enumerate(jobs):
        inside = sum(at > arrival for at in left.values())
        if queue is not None and inside >= workers + queue:
            continue
        soonest = min(range(workers), key=lambda worker: free[worker])
        free[soonest] = left[job] = max(arrival, free[soonest]) + service
    return left


def fluid(jobs: list[tuple[float, float]], workers: int) -> dict[int, float]:
    """Processor sharing as a fluid: everyone's remaining work, from event to event."""
    now, coming, inside, left = 0.0, list(enumerate(jobs)), dict[int, float](), dict[int, float]()
    while coming or inside:
        rate = min(1.0, workers / len(inside)) if inside else 0.0
        done_in = min(inside.values()) / rate if inside else INFINITY
        next_in = coming[0][1][0] - now if coming else INFINITY
        step = min(done_in, next_in)
        for job in inside:
            inside[job] -= step * rate
        now += step
        if done_in <= next_in:
            job = min(inside, key=lambda job: inside[job])
            del inside[job]
            left[job] = now
        else:
            job, (_, service) = coming.pop(0)
            inside[job] = service
    return left


# --- first come, first served


@given(jobs=JOBS, workers=st.integers(1, 4))
def test_fifo_departs_as_the_workers_diaries_say(
    jobs: list[tuple[float, float]], workers: int
) -> None:
    assert served(Fifo, jobs, workers=workers) == by_hand(jobs, workers)


@given(jobs=JOBS, workers=st.integers(1, 3), queue=st.integers(0, 3))
def test_fifo_turns_away_whom_it_has_no_place_for(
    jobs: list[tuple[float, float]], workers: int, queue: int
) -> None:
    assert served(Fifo, jobs, workers=workers, queue=queue) == by_hand(jobs, workers, queue)


@pytest.mark.parametrize(
    ("workers", "expected"),
    [(1, {0: 3, 1: 4, 2: 6, 3: 7}), (2, {0: 3, 1: 1, 2: 3, 3: 4}), (9, {0: 3, 1: 1, 2: 2, 3: 1})],
)
def test_four_at_once(workers: int, expected: dict[int, float]) -> None:
    jobs = [(0.0, 3.0), (0.0, 1.0), (0.0, 2.0), (0.0, 1.0)]
    assert served(Fifo, jobs, workers=workers) == expected


def test_of_those_due_at_one_time_the_first_arrived_leaves_first() -> None:
    place: Fifo[str] = Fifo(workers=2)
    place.arrive("a", 0.0, 2.0)
    place.arrive("b", 1.0, 1.0)
    assert [place.depart(), place.depart()] == [(2.0, "a"), (2.0, "b")]


# --- processor sharing


@given(jobs=REAL_JOBS, workers=st.integers(1, 4))
def test_processor_sharing_departs_as_the_fluid_does(
    jobs: list[tuple[float, float]], workers: int
) -> None:
    assert served(ProcessorSharing, jobs, workers=workers) == pytest.approx(
        fluid(jobs, workers), rel=1e-9, abs=1e-9
    )


@pytest.mark.parametrize(
    ("workers", "jobs", "expected"),
    [
        (1, [(0.0, 2.0)], {0: 2}),
        (1, [(0.0, 2.0), (0.0, 2.0)], {0: 4, 1: 4}),
        (1, [(0.0, 2.0), (1.0, 2.0)], {0: 3, 1: 4}),
        (1, [(0.0, 1.0), (0.0, 3.0)], {0: 2, 1: 4}),
        (2, [(0.0, 2.0), (1.0, 2.0)], {0: 2, 1: 3}),
        (2, [(0.0, 2.0)] * 4, {0: 4, 1: 4, 2: 4, 3: 4}),
        (1, [(0.0, 1.0), (5.0, 1.0)], {0: 1, 1: 6}),
    ],
)
def test_shares_that_can_be_reckoned_in_the_head(
    workers: int, jobs: list[tuple[float, float]], expected: dict[int, float]
) -> None:
    assert served(ProcessorSharing, jobs, workers=workers) == expected


# --- both


@EITHER
def test_an_empty_station_has_no_departure(kind: Any) -> None:
    place: Station[str] = kind()
    assert place.next_departure() == INFINITY
    with pytest.raises(IndexError):
        place.depart()


@EITHER
def test_a_place_in_the_queue_is_taken_and_given_back(kind: Any) -> None:
    place: Station[str] = kind(workers=1, queue=1)
    assert [place.arrive(job, 0.0, 1.0) for job in "abc"] == [True, True, False]
    place.depart()
    assert place.arrive("d", 2.0, 1.0)


@EITHER
@pytest.mark.parametrize("queue", [None, 100])
def test_a_large_enough_queue_turns_nobody_away(kind: Any, queue: int | None) -> None:
    place: Station[int] = kind(workers=1, queue=queue)
    assert all(place.arrive(job, 0.0, 1.0) for job in range(100))


@given(jobs=JOBS, workers=st.integers(1, 3), taken=st.lists(st.booleans(), min_size=40))
def test_a_driver_that_takes_departures_late_changes_no_due_time(
    jobs: list[tuple[float, float]], workers: int, taken: list[bool]
) -> None:
    place: Fifo[int] = Fifo(workers=workers)
    left: dict[int, float] = {}
    for job, (arrival, service) in enumerate(jobs):
        while taken[job] and place.next_departure() <= arrival:
            at, who = place.depart()
            left[who] = at
        place.arrive(job, arrival, service)
    while place.next_departure() < INFINITY:
        at, who = place.depart()
        left[who] = at
    assert left == by_hand(jobs, workers)


@pytest.mark.parametrize(("discipline", "kind"), [("fifo", Fifo), ("ps", ProcessorSharing)])
def test_a_model_says_which(discipline: Any, kind: type) -> None:
    service = Exponential(law="exponential", mean="1s")  # type: ignore[arg-type]
    place: Station[int] = station(Model(service=service, discipline=discipline, workers=2, queue=1))
    assert isinstance(place, kind)
    assert [place.arrive(job, 0.0, 1.0) for job in range(4)] == [True, True, True, False]
    assert place.next_departure() == (1.0 if discipline == "fifo" else 1.5)


@EITHER
def test_a_station_has_one_worker_unless_told(kind: Any) -> None:
    last = {Fifo: {0: 2.0, 1: 4.0}, ProcessorSharing: {0: 4.0, 1: 4.0}}[kind]
    assert served(kind, [(0.0, 2.0), (0.0, 2.0)]) == last


@EITHER
def test_who_came_first_leaves_first_of_those_that_end_together(kind: Any) -> None:
    assert list(served(kind, [(0.0, 1.0)] * 4, workers=4)) == [0, 1, 2, 3]


# --- what a backend says of its load


def test_a_load_meter_answers_for_the_number_it_was_asked_about() -> None:
    meter = LoadMeter()
    assert meter.expected(3) == 0.0  # nobody has left yet
    for found, sojourn in ((4, 0.8), (0, 0.1), (2, 0.4)):
        meter.left(found, sojourn)
    assert [meter.expected(number) for number in (0, 2, 4)] == [0.1, 0.4, 0.8]


def test_a_load_meter_answers_for_the_nearest_number_it_knows_else() -> None:
    meter = LoadMeter()
    for found, sojourn in ((7, 0.7), (1, 0.1), (4, 0.4)):
        meter.left(found, sojourn)
    asked = [0, 2, 3, 5, 6, 50]
    assert [meter.expected(number) for number in asked] == [0.1, 0.1, 0.4, 0.4, 0.7, 0.7]


def test_a_load_meter_smooths_each_number_on_its_own() -> None:
    meter = LoadMeter()
    meter.left(1, 0.8)
    meter.left(2, 5.0)
    meter.left(1, 1.6)
    assert meter.expected(1) == pytest.approx(0.9)  # an eighth of the way
    assert meter.expected(2) == 5.0


@given(st.lists(st.tuples(st.integers(0, 20), st.floats(0.001, 1)), min_size=1), st.integers(0, 25))
def test_a_load_meter_finds_what_a_search_through_all_would(
    jobs: list[tuple[int, float]], asked: int
) -> None:
    meter = LoadMeter()
    known: dict[int, float] = {}
    for found, sojourn in jobs:
        meter.left(found, sojourn)
        old = known.get(found, sojourn)
        known[found] = old + METER_GAIN * (sojourn - old)
    nearest = min(abs(number - asked) for number in known)
    possible = [value for number, value in known.items() if abs(number - asked) == nearest]
    assert meter.expected(asked) in possible
