"""Workers with a line each, beside theory and beside stations of their own."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.config import Exponential, Model
from lb.errors import ConfigError
from sim import simulate
from sim.checks.theory import m_m_c
from sim.engine.world import World
from sim.model.arrivals import Schedule
from sim.model.making import make
from sim.model.reneging import RenegingFifo
from sim.model.separate import Dealer, Separate
from tests.doubles import Draws
from tests.sim.scenarios import EXPONENTIAL, scenario, serves
from tests.sim.test_reneging import LEAVE, played
from tests.sim.test_stations import JOBS

APART = serves(EXPONENTIAL, workers=4, accept="reuseport")
RUN = "requests = 60000\nreplications = 4"


@pytest.mark.no_cover
def test_four_lines_are_four_queues_and_one_is_shorter() -> None:
    """c times M/M/1 at the same load, and M/M/c: 5 service times against 1.75."""
    (apart,) = simulate(scenario(APART, rate=3.2, run=RUN)).runs
    assert apart.latency["mean"].value == pytest.approx(1 / (1 - 0.8), rel=0.06)
    assert apart.backends[0].utilisation == pytest.approx(0.8, rel=0.03)
    (together,) = simulate(scenario(serves(EXPONENTIAL, workers=4), rate=3.2, run=RUN)).runs
    assert together.latency["mean"].value == pytest.approx(m_m_c(4, 0.8).mean, rel=0.06)


@given(
    jobs=JOBS,
    leave=st.dictionaries(st.integers(0, 39), LEAVE),
    queue=st.none() | st.integers(0, 2),
    stops=st.booleans(),
)
def test_each_line_is_a_station_that_knows_nothing_of_the_others(
    jobs: list[tuple[float, float]], leave: dict[int, float], queue: int | None, stops: bool
) -> None:
    dealt = Random(3)
    of = [int(dealt.random() * 3) for _ in jobs]
    at = {job: jobs[job][0] + after for job, after in leave.items() if job < len(jobs)}
    dealer = Dealer(Random(3))
    place: Any = Separate([RenegingFifo(1, queue) for _ in range(3)], dealer, holds=False)
    left, gone = played(place, jobs, at, stops)
    for line in range(3):
        mine = [job for job in range(len(jobs)) if of[job] == line]
        theirs, away = played(
            RenegingFifo(1, queue),
            [jobs[job] for job in mine],
            {number: at[job] for number, job in enumerate(mine) if job in at},
            stops,
        )
        assert {job: left[job] for job in mine if job in left} == {
            mine[number]: end for number, end in theirs.items()
        }
        assert {job for job in mine if job in gone} == {mine[number] for number in away}
    assert len(dealer.begun) == len(dealer.rested)


def test_a_worker_rests_while_another_has_a_line() -> None:
    dealer = Dealer(Draws(0.0, 0.1, 0.9))  # type: ignore[arg-type]
    model = Model(service=Exponential(law="exponential", mean=1), workers=2, accept="reuseport")
    place: Any = make(model, dealer=dealer)
    for number, service in enumerate([2.0, 1.0, 1.0]):
        assert place.arrive(number, 0.0, service)
    assert [place.depart() for _ in range(3)] == [(1.0, 2), (2.0, 0), (3.0, 1)]
    assert dealer.begun.tolist() == [0.0, 0.0]
    assert dealer.rested.tolist() == [1.0, 3.0]


def test_a_crash_ends_the_work_of_all_of_them() -> None:
    down = '[[fault]]\nbackend = "b:0"\nkind = "down"\nfrom = "40s"\nto = "60s"'
    file = scenario(APART, rate=3.6, run="requests = 300", more=down)
    record = World(file, Schedule.draw(file)).replicate()
    begun, rested = record.own[0]
    assert len(begun) == len(rested)
    assert rested.tolist().count(40.0) >= 2
    assert not any(40.0 < at < 60.0 for at in begun)


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ('accept = "reuseport"', "one worker has one line either way"),
        ('accept = "reuseport"\nworkers = 2\nusl = { contention = 0.1 }', "usl is of workers that"),
        ('accept = "reuse"', "is none of: shared, reuseport"),
    ],
)
def test_lines_that_cannot_be_meant_are_mistakes(lines: str, why: str) -> None:
    with pytest.raises(ConfigError, match=r"backend\[0\].model.accept") as told:
        scenario(f"{serves(EXPONENTIAL)}\n{lines}")
    assert why in str(told.value)
