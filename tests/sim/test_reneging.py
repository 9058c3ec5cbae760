"""Stations that jobs may leave, beside the plain ones and beside a queue kept by hand."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.config import Model, Pause, Slow
from sim.model.making import reneging_station
from sim.model.reneging import Reneging, RenegingFifo, RenegingSharing
from sim.model.stations import INFINITY, Fifo, ProcessorSharing, Station
from tests.sim.test_stations import JOBS

PAIRS = pytest.mark.parametrize(
    ("kind", "plain"), [(RenegingFifo, Fifo), (RenegingSharing, ProcessorSharing)]
)
LEAVE = st.integers(0, 80).map(lambda n: n / 8)  # after the arrival
Jobs = list[tuple[float, float]]


class Job:
    """One that is told from others by identity."""

    def __init__(self, number: int) -> None:
        self.number = number


def played(
    place: Any, jobs: Jobs, leave: dict[int, float], served: bool
) -> tuple[dict[int, float], set[int]]:
    """Departures by job, and who left; what makes room comes before what takes it."""
    left: dict[int, float] = {}
    gone: set[int] = set()
    held = {number: Job(number) for number in range(len(jobs))}
    happens = [(at, 1, number) for number, (at, _) in enumerate(jobs)]
    happens += [(at, 2, number) for number, at in leave.items()]
    for now, what, number in [*sorted(happens), (INFINITY, 0, 0)]:
        while place.next_departure() <= now and place.next_departure() < INFINITY:
            at, job = place.depart()
            left[job.number] = at
        if what == 1:
            place.arrive(held[number], now, jobs[number][1])
        elif what == 2 and place.renege(held[number], now, served):
            gone.add(number)
    assert len(place) == 0
    return left, gone


def by_hand(
    jobs: Jobs, leave: dict[int, float], workers: int, served: bool
) -> tuple[dict[int, float], set[int]]:
    """First come, first served: step by step to the next thing that happens."""
    left: dict[int, float] = {}
    gone: set[int] = set()
    line: list[int] = []
    busy: dict[int, float] = {}
    happens = sorted(
        [(at, 1, number) for number, (at, _) in enumerate(jobs)]
        + [(at, 2, number) for number, at in leave.items()]
    )
    while happens or busy:
        due = min(((at, number) for number, at in busy.items()), default=(INFINITY, -1))
        if due[0] <= (happens[0][0] if happens else INFINITY):
            now, number = due
            left[number] = busy.pop(number)
        else:
            now, what, number = happens.pop(0)
            if what == 1:
                line.append(number)
            elif number in line:
                line.remove(number)
                gone.add(number)
            elif number in busy and served:
                del busy[number]
                gone.add(number)
        while line and len(busy) < workers:
            following = line.pop(0)
            busy[following] = now + jobs[following][1]
    return left, gone


@PAIRS
@given(jobs=JOBS, workers=st.integers(1, 3), queue=st.none() | st.integers(0, 3))
def test_without_anybody_leaving_it_is_the_plain_station(
    kind: Any, plain: Any, jobs: Jobs, workers: int, queue: int | None
) -> None:
    def departures(place: Station[int]) -> list[tuple[float, int]]:
        seen = []
        for number, (at, service) in enumerate([*jobs, (INFINITY, 0.0)]):
            while place.next_departure() <= at and place.next_departure() < INFINITY:
                seen.append(place.depart())
            if at < INFINITY:
                place.arrive(number, at, service)
        return seen

    assert departures(kind(workers, queue)) == departures(plain(workers, queue))


@given(
    jobs=JOBS,
    leave=st.dictionaries(st.integers(0, 39), LEAVE, max_size=20),
    workers=st.integers(1, 3),
    served=st.booleans(),
)
def test_whoever_leaves_spares_the_others_the_wait(
    jobs: Jobs, leave: dict[int, float], workers: int, served: bool
) -> None:
    when = {number: jobs[number][0] + at for number, at in leave.items() if number < len(jobs)}
    seen = played(RenegingFifo(workers), jobs, when, served)
    assert seen == by_hand(jobs, when, workers, served)


def test_work_that_is_shared_is_stopped_only_when_that_is_asked_for() -> None:
    for served, expected in ((False, {0: 4.0, 1: 4.0}), (True, {0: 3.0})):
        jobs = [(0.0, 2.0), (0.0, 2.0)]  # each at half speed, until one of them is alone
        left, gone = played(RenegingSharing(1), jobs, {1: 2.0}, served)
        assert left == expected
        assert gone == ({1} if served else set())


@PAIRS
def test_whoever_is_not_there_cannot_leave(kind: Any, plain: Any) -> None:
    place: Reneging[Job] = kind(1)
    assert not place.renege(Job(1), 0.0, True)
    assert place.arrive(Job(2), 0.0, 1.0)
    assert not place.renege(Job(1), 0.5, True)
    assert place.next_departure() == 1.0
    assert isinstance(plain(1), plain)


@pytest.mark.parametrize("discipline", ["fifo", "ps"])
def test_in_a_pause_the_line_can_be_left_too(discipline: Any) -> None:
    law: Any = {"law": "deterministic", "mean": 1.0}
    model = Model(service=law, discipline=discipline)
    pause = Pause(backends="b", since=1.0, until=5.0, kind="pause")  # type: ignore[arg-type]
    place: Reneging[Job] = reneging_station(model, [pause])
    first, second = Job(1), Job(2)
    place.arrive(first, 0.0, 1.5)
    place.arrive(second, 0.0, 1.0)
    assert place.renege(second, 2.0, True)
    assert len(place) == 1
    # Shared, the first had half a worker for one second; alone, it had one.
    assert place.next_departure() == (5.5 if discipline == "fifo" else 6.0)


def test_a_slow_stations_next_one_begins_in_its_own_time() -> None:
    law: Any = {"law": "deterministic", "mean": 1.0}
    slow = Slow(backends="b", until=100.0, kind="slow", factor=2)  # type: ignore[arg-type, call-arg]
    place: Reneging[Job] = reneging_station(Model(service=law), [slow])
    jobs = [Job(number) for number in range(3)]
    for job in jobs:
        place.arrive(job, 0.0, 1.0)
    assert place.renege(jobs[0], 1.0, True)
    assert [place.depart() for _ in range(2)] == [(3.0, jobs[1]), (5.0, jobs[2])]
