"""Faults in time: slow and paused backends, against departures worked out by hand."""

from __future__ import annotations

from fractions import Fraction
from heapq import heapify, heapreplace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.config import Model, Pause, Scenario, Slow
from lb.errors import ConfigError
from lb.strategies import REGISTRY
from sim.analysis.record import Record
from sim.engine.world import World
from sim.model.arrivals import Schedule
from sim.model.faults import Clock, Clocked, faulty_station
from sim.model.stations import INFINITY, Fifo, ProcessorSharing, Station
from tests.sim.scenarios import CONSTANT, EXPONENTIAL, scenario, serves

Jobs = list[tuple[float, float]]
"""(arrival, service), arrivals ascending."""
Spans = list[tuple[float, float, float]]


def departures(place: Station[int], jobs: Jobs) -> dict[int, float]:
    """When each job that got in leaves; every departure is taken when it is due."""
    left: dict[int, float] = {}

    def take_until(now: float) -> None:
        while place.next_departure() <= now and place.next_departure() < INFINITY:
            promised = place.next_departure()
            at, job = place.depart()
            assert at == promised
            left[job] = at

    for job, (arrival, service) in enumerate(jobs):
        take_until(arrival)
        assert place.arrive(job, arrival, service)
        assert place.next_departure() >= arrival
    take_until(INFINITY)
    return left


def fifo(jobs: Jobs, spans: Spans, workers: int = 1) -> list[float]:
    left = departures(Clocked(Fifo(workers), Clock(spans)), jobs)
    return [left[job] for job in range(len(jobs))]


def shared(jobs: Jobs, spans: Spans, workers: int = 1) -> list[float]:
    left = departures(Clocked(ProcessorSharing(workers), Clock(spans)), jobs)
    return [left[job] for job in range(len(jobs))]


# --- by hand

EVERY_SECOND = [(1.0, 1.0), (2.0, 1.0), (3.0, 1.0), (4.0, 1.0)]


def test_first_come_first_served_across_a_slow_time() -> None:
    """The second is half done when work begins to take twice as long, the third when it ends."""
    assert fifo(EVERY_SECOND, [(2.5, 4.5, 2.0)]) == [2.0, 3.5, 5.0, 6.0]


def test_first_come_first_served_across_a_pause() -> None:
    assert fifo(EVERY_SECOND, [(2.5, 4.5, INFINITY)]) == [2.0, 5.0, 6.0, 7.0]


def test_sharing_across_a_slow_time() -> None:
    """One second alone; from 1 on two share, each 0.75 short of its end when all goes at half."""
    assert shared([(0.0, 2.0), (1.0, 1.0)], [(1.5, 4.5, 2.0)]) == [4.5, 4.5]


def test_sharing_across_a_pause_and_a_slow_time() -> None:
    """0.75 is left of each at 1.5 and at 3.5, 0.5 at 4: from there four seconds of time for one."""
    spans = [(1.5, 3.5, INFINITY), (4.0, 8.0, 2.0)]
    assert shared([(0.0, 2.0), (1.0, 1.0)], spans) == [6.0, 6.0]


def test_faults_may_follow_each_other_without_a_break() -> None:
    spans = [(1.0, 2.0, INFINITY), (2.0, 4.0, 2.0), (4.0, 5.0, INFINITY)]
    assert fifo([(0.5, 2.0)], spans) == [5.5]


def test_what_a_pause_begins_with_is_done_and_what_comes_in_it_waits_for_its_end() -> None:
    """Work of no length too: nothing at all goes on in a pause."""
    spans = [(2.0, 5.0, INFINITY)]
    assert fifo([(1.0, 1.0), (3.0, 0.0), (3.0, 1.0)], spans) == [2.0, 5.0, 6.0]
    assert shared([(1.0, 1.0), (3.0, 0.0)], spans) == [2.0, 5.0]
    assert fifo([(0.0, 1.0)], [(0.0, 3.0, INFINITY)]) == [4.0]


# --- against another way to compute it

TICKS = st.integers(1, 16).map(lambda n: n / 8)  # exact in binary
JOBS = st.lists(st.tuples(TICKS, TICKS), min_size=1, max_size=12).map(
    lambda jobs: [(sum(gap for gap, _ in jobs[: i + 1]), jobs[i][1]) for i in range(len(jobs))]
)
SPANS = st.lists(
    st.tuples(st.integers(0, 16), st.integers(1, 16), st.sampled_from([2.0, 4.0, INFINITY])),
    max_size=4,
)


def laid_out(rows: list[tuple[int, int, float]]) -> Spans:
    """(gap, length, factor) one after the other, as (from, to, factor)."""
    spans, at = [], 0.0
    for gap, length, factor in rows:
        spans.append((at + gap / 8, at + (gap + length) / 8, factor))
        at = spans[-1][1]
    return spans


def finished(start: Fraction, work: Fraction, spans: Spans) -> Fraction:
    """Walk from one change of pace to the next until the work is done."""
    now = start
    for since, until, factor in spans:
        begin, end = Fraction(since), Fraction(until)
        if now < begin:
            if now + work <= begin:
                return now + work
            work -= begin - now
            now = begin
        if now < end:
            if factor < INFINITY:
                if now + work * Fraction(factor) <= end:
                    return now + work * Fraction(factor)
                work -= (end - now) / Fraction(factor)
            now = end
    return now + work


@given(JOBS, SPANS.map(laid_out), st.integers(1, 3))
def test_each_worker_walks_through_the_faults(jobs: Jobs, spans: Spans, workers: int) -> None:
    free = [Fraction(0)] * workers
    heapify(free)
    expected = []
    for arrival, service in jobs:
        done = finished(max(free[0], Fraction(arrival)), Fraction(service), spans)
        heapreplace(free, done)
        expected.append(float(done))
    assert fifo(jobs, spans, workers) == pytest.approx(expected, rel=1e-12)


@given(JOBS, SPANS.map(laid_out), st.integers(1, 3))
def test_a_fault_delays_and_loses_nothing(jobs: Jobs, spans: Spans, workers: int) -> None:
    for kind in (Fifo, ProcessorSharing):
        calm = departures(kind(workers), jobs)
        left = departures(Clocked(kind(workers), Clock(spans)), jobs)
        assert sorted(left) == sorted(calm)
        for job, at in left.items():
            assert at >= calm[job] - 1e-9
            inside_a_pause = [s for s, u, f in spans if f == INFINITY and s < at < u]
            assert not inside_a_pause


@given(SPANS.map(laid_out), st.floats(0, 20))
def test_a_clock_reads_the_same_both_ways(spans: Spans, moment: float) -> None:
    clock = Clock(spans)
    shown = clock.inside(moment)
    assert shown <= moment
    assert clock.inside(clock.outside(shown, 0.0)) == pytest.approx(shown, abs=1e-12)
    assert clock.outside(shown, moment) >= moment
    assert clock.inside(clock.outside(shown, moment)) == pytest.approx(shown, abs=1e-12)


# --- in the file

TWO = """
[[backend]]
address = "127.0.0.1:3001"
name = "one"
[[backend]]
address = "127.0.0.1:3002"
[[fault]]
"""


def test_a_fault_names_backends_by_name_or_address() -> None:
    file = Scenario.parse(
        TWO + 'kind = "slow"\nbackend = ["one", "127.0.0.1:3002"]\nfrom = "15s"\nto = "1m"\n'
        'factor = 10\n[[fault]]\nkind = "pause"\nbackend = "127.0.0.1:3001"\nto = "500ms"'
    )
    slow, pause = file.faults
    assert isinstance(slow, Slow)
    assert (slow.since, slow.until, slow.factor) == (15.0, 60.0, 10)
    assert isinstance(pause, Pause)
    assert (pause.since, pause.until) == (0.0, 0.5)
    assert [[f.strikes(row) for row in file.backends] for f in file.faults] == [
        [True, True],
        [True, False],
    ]
    assert Scenario.model_validate(file.model_dump(by_alias=True)).faults == file.faults


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (
            'kind = "pause"\nbackend = "onee"\nto = "1s"',
            "9 fault[0].backend: no backend is called 'onee'; did you mean 'one'?",
        ),
        (
            'kind = "pause"\nbackend = "one"\nfrom = "2s"\nto = "2s"',
            "11 fault[0].to: 2 s is not after the beginning, 2 s",
        ),
        ('kind = "pause"\nbackend = "one"', "7 fault[0].to: missing"),
        (
            'kind = "pause"\nbackend = []\nto = "1s"',
            "9 fault[0].backend: names no backend; give a name, an address, or a list of them",
        ),
        (
            'kind = "pause"\nbackend = "one"\nto = "1s"\nfactor = 2',
            "11 fault[0].factor: unknown key; known: backend, from, kind, mttf, mttr, to",
        ),
        ('kind = "slow"\nbackend = "one"\nto = "1s"', "7 fault[0].factor: missing"),
        (
            'kind = "slow"\nbackend = "one"\nto = "1s"\nfactor = 0.5',
            "11 fault[0].factor: should be greater than or equal to 1, not 0.5",
        ),
        (
            'kind = "paused"\nbackend = "one"\nto = "1s"',
            "7 fault[0]: unknown kind 'paused'; did you mean 'pause'?",
        ),
        ('backend = "one"\nto = "1s"', "7 fault[0]: key 'kind' is missing"),
    ],
)
def test_a_mistake_in_a_fault_has_its_place(lines: str, told: str) -> None:
    with pytest.raises(ConfigError) as raised:
        Scenario.parse(TWO + lines, "lb.toml")
    assert raised.value.problems == [f"lb.toml:{told}"]


def test_two_faults_of_one_backend_at_one_time_are_a_mistake() -> None:
    first = 'kind = "slow"\nfactor = 2\nbackend = "one"\nfrom = "1s"\nto = "5s"\n[[fault]]\n'
    with pytest.raises(ConfigError) as raised:
        Scenario.parse(
            TWO + first + 'kind = "pause"\nbackend = "127.0.0.1:3001"\nfrom = "4s"\nto = "6s"', "f"
        )
    assert raised.value.problems == [
        "f:16 fault[1].from: overlaps fault[0] of one, which is from 1 s to 5 s"
    ]
    then = 'kind = "pause"\nbackend = "one"\nfrom = "5s"\nto = "6s"\n[[fault]]\n'
    elsewhere = 'kind = "pause"\nbackend = "127.0.0.1:3002"\nfrom = "2s"\nto = "3s"'
    assert len(Scenario.parse(TWO + first + then + elsewhere).faults) == 3


# --- in the world


def replicated(file: Scenario, algorithm: str = "round_robin") -> Record:
    return World(file, Schedule.draw(file), algorithm).replicate()


def fault(kind: str, since: str, until: str, backend: str = "b:0", more: str = "") -> str:
    return (
        f'[[fault]]\nkind = "{kind}"\nbackend = "{backend}"\nfrom = "{since}"\nto = "{until}"\n'
        f"{more}\n"
    )


def test_a_simulated_backend_slows_down_and_recovers() -> None:
    """A request every two seconds that takes one; four times as long from 3 to 9."""
    file = scenario(
        serves(CONSTANT),
        rate=0.5,
        process="deterministic",
        run="requests = 6",
        more=fault("slow", "3s", "9s", more="factor = 4"),
    )
    record = replicated(file)  # they come at 2, 4, 6, 8, 10, 12
    assert record.left.tolist() == [3.0, 8.0, 9.75, 10.75, 11.75, 13.0]


@pytest.mark.parametrize("algorithm", REGISTRY)
@pytest.mark.parametrize("discipline", ["fifo", "ps"])
def test_a_pause_loses_no_request(algorithm: str, discipline: str) -> None:
    file = scenario(
        *[serves(EXPONENTIAL, discipline=discipline, workers=2)] * 3,
        rate=4,
        run="requests = 400",
        more=fault("pause", "20s", "50s", "b:1"),
    )
    record = replicated(file, algorithm)
    assert record.completed == 400
    at_it = record.left[record.backend == 1]
    assert not ((at_it > 20) & (at_it < 50)).any()
    if (record.backend != 1).any():  # else there is one key, and all follow it
        assert ((record.left > 20) & (record.left < 50)).any()


def test_who_counts_requests_in_flight_leaves_a_slow_backend_alone() -> None:
    file = scenario(
        *[serves(EXPONENTIAL)] * 3,
        rate=1.5,
        run="requests = 3000",
        more=fault("slow", "0s", "1h", "b:2", "factor = 10"),
    )
    picks = {
        name: np.bincount(replicated(file, name).backend, minlength=3)
        for name in ("round_robin", "least_connections")
    }
    assert picks["round_robin"].tolist() == [1000, 1000, 1000]
    assert picks["least_connections"][2] < 400


def test_a_backend_without_faults_has_no_clock() -> None:
    file = scenario(*[serves(CONSTANT)] * 2, more=fault("pause", "1s", "2s", "b:1"))
    world = World(file, Schedule.draw(file), "random")
    assert [type(site.station) for site in world.sites.values()] == [Fifo, Clocked]
    plain: Station[int] = faulty_station(Model(service=file.modelled()[0][1].service), ())
    assert type(plain) is Fifo


def test_faults_change_neither_requests_nor_the_balancers_luck() -> None:
    calm = scenario(*[serves(EXPONENTIAL)] * 3, rate=2)
    struck = scenario(*[serves(EXPONENTIAL)] * 3, rate=2, more=fault("pause", "10s", "20s"))
    one, other = (replicated(file, "random") for file in (calm, struck))
    np.testing.assert_array_equal(one.arrived, other.arrived)
    np.testing.assert_array_equal(one.backend, other.backend)
    assert other.latency.mean() > one.latency.mean()
