"""Backends that are faster or slower as time goes by."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.config import Model, Scenario, Speed
from lb.errors import ConfigError
from sim import simulate
from sim.model.faults import Clock, Span
from sim.model.making import make
from sim.model.speed import Course
from tests.sim.scenarios import CONSTANT, EXPONENTIAL, scenario, serves

STEPS = Speed(points=((0.0, 1.0), (30.0, 0.5), (50.0, 2.0)), shape="step")
RAMP = Speed(points=((10.0, 1.0), (20.0, 3.0)))


def test_the_work_done_is_the_integral_of_the_speed() -> None:
    steps, ramp = Course([], STEPS), Course([], RAMP)
    assert [steps.inside(at) for at in (0, 30, 40, 50, 60)] == [0, 30, 35, 40, 60]
    assert [ramp.inside(at) for at in (0, 10, 15, 20, 21)] == [0, 10, 17.5, 30, 33]
    assert [ramp.outside(done, 0.0) for done in (10.0, 17.5, 30.0, 33.0)] == [10, 15, 20, 21]


def test_a_fault_makes_a_backend_slower_than_it_would_be_then() -> None:
    course = Course([(40.0, 60.0, 2.0)], STEPS)
    assert [course.inside(at) for at in (40, 50, 60, 61)] == [35, 37.5, 47.5, 49.5]
    still = Course([(15.0, 16.0, float("inf"))], RAMP)
    assert [still.inside(at) for at in (15.0, 15.5, 16.0)] == [17.5, 17.5, 17.5]
    assert still.outside(17.5, 0.0) == 15.0  # what it begins with is over before it
    assert still.outside(17.5, 15.2) == 16.0  # what comes within it waits for its end


SPANS = st.lists(
    st.tuples(st.integers(0, 60), st.integers(1, 20), st.sampled_from([1.5, 4.0])), max_size=3
).map(
    lambda rows: [
        (float(40 * number + since), float(40 * number + since + lasts), factor)
        for number, (since, lasts, factor) in enumerate((a % 20, b, c) for a, b, c in rows)
    ]
)
SPEEDS = st.builds(
    lambda gaps, speeds, shape: Speed(
        points=tuple(zip(np.cumsum(gaps).tolist(), speeds, strict=False)), shape=shape
    ),
    st.lists(st.floats(0.5, 30), min_size=4, max_size=4),
    st.lists(st.floats(0.1, 5), min_size=1, max_size=4),
    st.sampled_from(["step", "linear"]),
)


@given(speed=SPEEDS, spans=SPANS, start=st.sampled_from([0.0, 7.0]), at=st.floats(0, 200))
def test_a_moment_inside_is_one_outside(
    speed: Speed, spans: list[Span], start: float, at: float
) -> None:
    course = Course(spans, speed, start)
    shown = course.inside(start + at)
    assert course.outside(shown, 0.0) == pytest.approx(start + at, abs=1e-6)
    turns = [moment for moment, _ in speed.points] + [it for span in spans for it in span[:2]]
    edges = np.unique([0.0, at, *(it for it in turns if it < at)])
    middle = (edges[1:] + edges[:-1]) / 2  # between two turns the pace is a line
    pieces = list(speed.pieces)
    pace = np.array([next(p for p in pieces if m < p.until).first for m in middle])
    if speed.shape == "linear":
        pace = np.interp(middle, *zip(*speed.points, strict=True))
    for since, until, factor in spans:
        pace[(middle >= since) & (middle < until)] /= factor
    assert shown - start == pytest.approx(float(pace @ np.diff(edges)), abs=1e-6)


@given(spans=SPANS, at=st.floats(0, 200))
def test_at_a_speed_of_one_it_is_the_clock_of_the_faults(spans: list[Span], at: float) -> None:
    course, clock = Course(spans, Speed(points=((0.0, 1.0),)), 3.0), Clock(spans, 3.0)
    assert course.inside(3.0 + at) == pytest.approx(clock.inside(3.0 + at))
    assert course.outside(3.0 + at, 0.0) == pytest.approx(clock.outside(3.0 + at, 0.0))


@pytest.mark.parametrize("discipline", ["fifo", "ps"])
def test_a_job_takes_as_long_as_its_work_does_then(discipline: Any) -> None:
    """Three seconds of work from 29 s on: one at full speed, the other two at half of it."""
    model = Model(service="constant:3s", discipline=discipline, speed=STEPS)
    place: Any = make(model)
    assert place.arrive("a", 29.0, 3.0)
    assert place.next_departure() == 34.0
    assert place.depart() == (34.0, "a")


@pytest.mark.no_cover
@pytest.mark.once
def test_half_the_speed_is_twice_the_load() -> None:
    """An M/M/1 of half the speed from the start on; the means of the theory, in its seconds."""
    lines = serves(EXPONENTIAL) + '\nspeed = [["0s", 0.5]]'
    file = scenario(lines, rate=0.3, run="requests = 40000\nreplications = 3")
    assert file.utilisation == pytest.approx(0.6)
    (run,) = simulate(file).runs
    assert run.latency["mean"].value == pytest.approx(1 / (0.5 - 0.3), rel=0.08)
    assert run.backends[0].offered == pytest.approx(0.6)
    assert run.warmup == 0.0  # nothing is cut where there may be no steady state


def test_a_load_is_that_of_the_mean_speed() -> None:
    shape = 'speed = { points = [["0s", 1.0], ["50s", 0.5]], shape = "step" }'
    file = scenario(f"{serves(CONSTANT)}\n{shape}", run='duration = "100s"')
    assert file.utilisation == pytest.approx(0.8 / 0.75)
    assert file.eventful


@pytest.mark.parametrize(
    ("speed", "why"),
    [
        ('[["0s", 0]]', "a speed is above zero"),
        ('[["9s", 1], ["3s", 2]]', "3 s is not after the time before, 9 s"),
        ("[]", "holds no point"),
        ('[["9s"]]', "a point is a time and the rate there"),
        ("2", "should be a table"),
    ],
)
def test_speeds_that_cannot_be_meant_are_mistakes(speed: str, why: str) -> None:
    with pytest.raises(ConfigError, match=r"scenario:15 backend\[0\].model.speed") as told:
        scenario(f"service = {EXPONENTIAL}\nspeed = {speed}")
    assert why in str(told.value)


def test_in_code_it_may_be_points_too() -> None:
    model = {"service": "exponential:1s", "speed": [(0, 1.0), (9, 2.0)]}
    (row,) = Scenario(backends=[{"address": "b:1", "model": model}]).backends
    assert row.model is not None
    assert row.model.speed == Speed(points=((0.0, 1.0), (9.0, 2.0)))
