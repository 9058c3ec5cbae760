"""One scenario, its schedule, its prediction, and a live run of it."""

from __future__ import annotations

import pytest

from lb.config import Scenario
from sim import Result, Schedule
from sim.live.rehearsal import rehearsed
from sim.live.verdict import (
    Measurement,
    predict,
)
from tests.sim.live_runs import RUN, Case
from tests.sim.scenarios import EXPONENTIAL, scenario, serves


@pytest.fixture(scope="module")
def file() -> Scenario:
    return scenario(*[serves(EXPONENTIAL, workers=2)] * 3, rate=3.0, run=RUN, warmup="auto")


@pytest.fixture(scope="module")
def schedule(file: Scenario) -> Schedule:
    return Schedule.draw(file)


@pytest.fixture(scope="module")
def predicted(file: Scenario, schedule: Schedule) -> Result:
    return predict(file, schedule)


@pytest.fixture(scope="module")
def measured(file: Scenario, schedule: Schedule) -> Measurement:
    return rehearsed(file, schedule)


@pytest.fixture
def case(file: Scenario, schedule: Schedule, measured: Measurement, predicted: Result) -> Case:
    return file, schedule, measured, predicted
