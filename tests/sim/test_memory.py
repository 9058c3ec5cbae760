"""How long a queue remembers, and where counting begins and ends because of it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from sim import simulate
from sim.analysis.memory import Memory, expected_memory, found_memory
from sim.analysis.record import Record
from sim.analysis.warmup import warm_up
from tests.sim.queues import m_m_1
from tests.sim.scenarios import CONSTANT, EXPONENTIAL, scenario, serves


@pytest.mark.parametrize(("load", "exact"), [(0.5, 7.25), (0.8, 79.0), (0.9, 359.0)])
def test_theory_is_near_what_is_exact_for_an_exponential_server(load: float, exact: float) -> None:
    """rho (2 + 5 rho - 4 rho^2 + rho^3) / (1 - rho)^2: Daley, "The serial correlation coefficients
    of waiting times in a stationary single server queue", 1968."""
    assert exact == pytest.approx(
        load * (2 + 5 * load - 4 * load**2 + load**3) / (1 - load) ** 2, rel=0.01
    )
    memory = expected_memory(scenario(serves(EXPONENTIAL), rate=load), load)
    assert memory.queues == 1
    assert exact <= memory.requests <= 1.4 * exact


def test_it_grows_with_the_load_and_with_what_varies() -> None:
    constant, exponential = scenario(serves(CONSTANT)), scenario(serves(EXPONENTIAL))
    assert expected_memory(constant, 0.8) < expected_memory(exponential, 0.8)
    assert expected_memory(exponential, 0.5) < expected_memory(exponential, 0.8)
    assert expected_memory(scenario(*[serves(EXPONENTIAL)] * 3), 0.8).queues == 3
    assert math.isinf(expected_memory(exponential, 1.0).requests)


def test_it_is_found_in_a_sample() -> None:
    rng = np.random.default_rng(1)
    assert found_memory([rng.exponential(1.0, 50_000)]) < 2
    assert 40 < found_memory(list(m_m_1(0.8, (5, 40_000), 2))) < 130
    assert found_memory([np.ones(100)]) == found_memory([np.arange(3.0)]) == 1.0


def test_theory_holds_unless_the_data_contradict() -> None:
    paths = list(m_m_1(0.8, (5, 40_000), 2))
    found = found_memory(paths)
    assert Memory(82.0, queues=4).seen(paths) == (82.0, 1.0, 4)
    assert Memory(1.0).seen(paths).requests == pytest.approx(found / 2)
    assert Memory(math.inf).seen(paths).requests == pytest.approx(3 * found, rel=0.1)


def test_means_of_short_pieces_vary_less_than_independent_ones() -> None:
    """Seen at the pieces of a queue's path."""
    paths = m_m_1(0.8, (40, 42_000), 3)[:, 2000:]
    memory = Memory(79.0)
    for length in (100, 400, 2000):
        pieces = paths.reshape(-1, length).mean(axis=1)
        seen = length * pieces.var() / paths.var() / 79.0
        assert memory.shortfall(length) == pytest.approx(seen, rel=0.2)
    assert memory.shortfall(1e6) == pytest.approx(1, abs=1e-4)


# --- where counting begins and ends

RUN = "requests = 4000\nreplications = 4"


def test_the_empty_start_is_cut_alike_whatever_the_seed() -> None:
    cuts = []
    for seed in (1, 2, 3):
        file = scenario(serves(EXPONENTIAL), rate=0.7, run=RUN, warmup="auto")
        run = file.run.model_copy(update={"seed": seed})
        first, second = simulate(
            file.model_copy(update={"run": run}), ["random", "round_robin"]
        ).runs
        assert first.warmup == second.warmup
        cuts.append(first.warmup)
    assert cuts == pytest.approx([3 * 2 * 1.49 / 0.09 / 0.7] * 3, rel=0.1)


def records(rate: float) -> list[Record]:
    (run,) = simulate(scenario(serves(EXPONENTIAL), rate=rate, run=RUN)).runs
    return run.records


def test_a_start_that_is_another_one_beyond_doubt_is_cut() -> None:
    usual = records(0.1)
    least = warm_up({"x": usual}, Memory(10.0), 0.1)
    assert least == pytest.approx(30 / 0.1)
    slow = [replace(it, ended=it.ended + 9 * (it.arrived < 5000)) for it in usual]
    assert 5000 <= warm_up({"x": slow}, Memory(10.0), 0.1) <= 7000
    assert warm_up({"x": slow[:2]}, Memory(10.0), 0.1) == pytest.approx(least)  # who can tell?


def test_at_most_a_fifth_is_cut_for_theory_alone() -> None:
    usual = records(0.1)
    until = min(record.until for record in usual)
    assert warm_up({"x": usual}, Memory(math.inf), 0.1) == pytest.approx(until / 5)


def test_the_end_is_cut_where_later_requests_would_have_slowed_it_down() -> None:
    slowed = serves(EXPONENTIAL, workers=2) + "\nusl = { contention = 0.1, coherency = 0 }"
    fifo, shared, slow = (
        scenario(model, rate=0.5, run=RUN, warmup="auto")
        for model in (serves(EXPONENTIAL), serves(EXPONENTIAL, discipline="ps"), slowed)
    )
    assert simulate(fifo).runs[0].cooldown == 0
    assert simulate(slow).runs[0].cooldown > 0
    (run,) = simulate(shared).runs
    assert run.cooldown > 0
    for record, sample in zip(run.records, run.samples, strict=True):
        counted = (record.arrived >= run.warmup) & (record.arrived < record.until - run.cooldown)
        assert len(sample) == np.count_nonzero(counted) < len(record.arrived)
