"""Live stations whose clients leave, against the simulator's own."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.config import ColdStart, Traffic
from sim.live.station import LiveStation
from sim.model.making import reneging_station
from sim.model.reneging import Reneging
from tests.sim.test_live_backend import clockless, model, on_paper, served

ONE = 'service = { law = "deterministic", mean = "1s" }'
Visits = list[tuple[float, float, float]]
"""When each comes, how much work it is, and how long it waits."""


def traffic(cancels: bool) -> Traffic:
    return Traffic.model_validate(
        {
            "arrivals": {"process": "poisson", "rate": 1.0},
            "patience": {"law": "exponential", "mean": 1.0},
            "cancels": cancels,
        }
    )


async def live(text: str, visits: Visits, cancels: bool) -> list[float | None]:
    """When each has left with an answer; None without."""
    station = LiveStation(model(text), np.random.default_rng(1), traffic=traffic(cancels))
    loop = asyncio.get_running_loop()

    async def visit(at: float, size: float, patience: float) -> float | None:
        await asyncio.sleep(at)
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                if await station.serve(size):
                    return loop.time()
        return None

    return await asyncio.gather(*(visit(*row) for row in visits))


def simulated(text: str, visits: Visits, cancels: bool) -> list[float | None]:
    station: Reneging[int] = reneging_station(model(text))
    left: dict[int, float] = {}
    events = [(at, 1, job) for job, (at, _, _) in enumerate(visits)]
    events += [(at + patience, 0, job) for job, (at, _, patience) in enumerate(visits)]
    gone = set()
    for at, comes, job in sorted([*events, (1e9, 0, -1)]):
        while station.next_departure() <= at:
            due, who = station.depart()
            if who not in gone:
                left[who] = due
        if comes:
            station.arrive(job, at, visits[job][1])
        elif job >= 0 and job not in left:
            gone.add(job)
            station.renege(job, at, cancels)
    return [left.get(job) for job in range(len(visits))]


@given(
    discipline=st.sampled_from(["fifo", "ps"]),
    workers=st.integers(1, 2),
    cancels=st.booleans(),
    gaps=st.lists(
        st.tuples(
            st.integers(1, 9).map(lambda n: n / 8 + 1 / 64),  # no two things at one time
            st.integers(1, 9).map(lambda n: n / 4),
            st.integers(1, 9).map(lambda n: n / 2 + 1 / 256),
        ),
        min_size=1,
        max_size=9,
    ),
)
def test_who_leaves_a_live_backend_leaves_it_as_in_the_simulator(
    discipline: str, workers: int, cancels: bool, gaps: Visits
) -> None:
    text = f'{ONE}\ndiscipline = "{discipline}"\nworkers = {workers}'
    at, visits = 0.0, []
    for gap, size, patience in gaps:
        at += gap
        visits.append((at, size, patience))
    told = clockless(live(text, visits, cancels))
    assert [when is None for when in told] == [
        when is None for when in simulated(text, visits, cancels)
    ]
    assert [when for when in told if when] == pytest.approx(
        [when for when in simulated(text, visits, cancels) if when]
    )


@given(
    late=st.sampled_from([0.0, 0.013]),
    requests=st.sampled_from([None, 3]),
    jobs=st.lists(
        st.tuples(st.floats(0, 0.1), st.sampled_from([0.5, 1.0, 2.5])), min_size=1, max_size=12
    ),
)
def test_live_and_simulated_backends_get_warm_alike(
    late: float, requests: int | None, jobs: list[tuple[float, float]]
) -> None:
    """To the last bit."""
    text = 'service = { law = "deterministic", mean = "20ms" }'
    cold = ColdStart(
        kind="cold_start", backends=("one",), since=0.01, until=0.08, factor=4, requests=requests
    )
    came, sojourns = clockless(served(text, jobs, [cold]), late)
    assert sojourns == on_paper(text, came, [cold])
