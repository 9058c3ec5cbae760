"""Several workers, and Ctrl-C: which replications there are, and that they are the same ones."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest

from sim import AlgorithmRun, Interrupted, Result, Scenario, Schedule, simulate
from sim.crew import Workers
from tests.sim.scenarios import EXPONENTIAL, scenario, serves

NAMES = ["random", "p2c", "least_connections"]


@pytest.fixture(scope="module")
def file() -> Scenario:
    return scenario(*[serves(EXPONENTIAL)] * 3, rate=2.4, run="requests = 500\nreplications = 4")


@pytest.fixture(scope="module")
def alone(file: Scenario) -> Result:
    return simulate(file, NAMES)


def figures(run: AlgorithmRun) -> dict[str, object]:
    return {name: value for name, value in run.as_dict().items() if "wall" not in name}


def assert_same(some: Result, others: Result) -> None:
    assert [run.algorithm for run in some.runs] == [run.algorithm for run in others.runs]
    for run, other in zip(some.runs, others.runs, strict=True):
        assert figures(run) == figures(other)
        for record, beside in zip(run.records, other.records, strict=True):
            for column in ("arrived", "started", "ended", "backend"):
                assert np.array_equal(getattr(record, column), getattr(beside, column))
    assert some.as_dict()["comparison"] == others.as_dict()["comparison"]


@pytest.mark.parametrize("workers", [2, 3, "auto"])
def test_results_do_not_depend_on_the_number_of_workers(
    file: Scenario, alone: Result, workers: Workers
) -> None:
    told: list[None] = []
    result = simulate(file, NAMES, workers=workers, on_replication=lambda: told.append(None))
    assert_same(result, alone)
    assert len(told) == len(NAMES) * 4


def processes() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))


@pytest.mark.parametrize("make", [partial(ThreadPoolExecutor, 2), processes])
def test_nor_on_an_executor(file: Scenario, alone: Result, make: Callable[[], Executor]) -> None:
    with make() as executor:
        assert_same(simulate(file, NAMES, workers=executor), alone)


def test_a_given_schedule_travels(file: Scenario) -> None:
    schedule = Schedule.draw(file, 7)
    with processes() as executor:
        there = simulate(file, NAMES, schedule=schedule, workers=executor)
    assert_same(there, simulate(file, NAMES, schedule=schedule))


def after(number: int) -> Callable[[], None]:
    """Ctrl-C when so many replications of algorithms are done."""
    left = [number]

    def count() -> None:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt

    return count


def test_interrupted_it_keeps_what_every_algorithm_has_done(file: Scenario) -> None:
    with pytest.raises(Interrupted) as caught:
        simulate(file, NAMES, on_replication=after(9))
    assert str(caught.value) == "2 of 4 replications"
    run = file.run.model_copy(update={"replications": 2})
    assert_same(caught.value.result, simulate(file.model_copy(update={"run": run}), NAMES))


def test_interrupted_before_that_there_is_no_result(file: Scenario) -> None:
    with pytest.raises(KeyboardInterrupt) as caught:
        simulate(file, NAMES, on_replication=after(2))
    assert not isinstance(caught.value, Interrupted)
