"""The simulator against exact queueing theory, at load 0.8 and service times of one second.

Every expected value comes from sim.checks.theory. The interval is at 99.9 % over replications and
at most 2 % wide to either side: wide enough to hold for the one seed, chosen beforehand, narrow
enough to mean it.
"""

from __future__ import annotations

import math
from functools import cache

import pytest

from lb.config import Scenario
from sim import simulate
from sim.analysis.intervals import latency_estimates
from sim.analysis.statistics import QUANTILES, Estimate
from sim.checks.theory import e_n_m_1, jsq_2, m_g_1, m_m_1, m_m_c
from tests.sim.scenarios import CONSTANT, EXPONENTIAL, scenario, serves

pytestmark = pytest.mark.no_cover  # watched, it takes three times as long
LOAD = 0.8


def servers(n: int, *models: str, requests: int, replications: int) -> Scenario:
    """`n` workers in all share the load; the first 1000 seconds are left out."""
    run = f"requests = {requests}\nreplications = {replications}"
    return scenario(*models, rate=n * LOAD, run=run, warmup="1000s")


FOUR = [serves(EXPONENTIAL)] * 4
CASES = {
    "random over four is M/M/1": (
        "random",
        servers(4, *FOUR, requests=90_000, replications=40),
        m_m_1(LOAD).mean,
        5.000,
    ),
    "round robin over four is E4/M/1": (
        "round_robin",
        servers(4, *FOUR, requests=65_000, replications=40),
        e_n_m_1(4, LOAD).mean,
        3.267,
    ),
    "one backend of four workers is M/M/4": (
        "least_connections",
        servers(4, serves(EXPONENTIAL, workers=4), requests=45_000, replications=40),
        m_m_c(4, LOAD).mean,
        1.7455,
    ),
    "one constant server is M/D/1": (
        "round_robin",
        servers(1, serves(CONSTANT), requests=35_000, replications=30),
        m_g_1(0.0, LOAD),
        3.000,
    ),
    "least connections over two is JSQ": (
        "least_connections",
        servers(2, *FOUR[:2], requests=60_000, replications=30),
        jsq_2(LOAD).mean,
        2.9557,
    ),
    "processor sharing ignores the law": (
        "random",
        servers(1, serves(CONSTANT, discipline="ps"), requests=30_000, replications=40),
        m_m_1(LOAD).mean,
        5.000,
    ),
}


@cache
def estimates(algorithm: str, file: Scenario) -> dict[str, Estimate]:
    return latency_estimates(simulate(file, [algorithm])[algorithm].samples, level=0.999)[0]


@pytest.mark.parametrize(("algorithm", "file", "exact", "rounded"), CASES.values(), ids=list(CASES))
def test_the_mean_is_the_exact_one(
    algorithm: str, file: Scenario, exact: float, rounded: float
) -> None:
    assert exact == pytest.approx(rounded, abs=5e-4)
    mean = estimates(algorithm, file)["mean"]
    assert mean.low is not None
    assert mean.high is not None
    assert mean.half_width <= 0.025 * exact, "too few requests to tell"
    assert mean.low <= exact <= mean.high


def test_the_sojourn_of_m_m_1_is_exponential() -> None:
    algorithm, file, mean, _ = CASES["random over four is M/M/1"]
    for name, q in QUANTILES.items():
        estimate, exact = estimates(algorithm, file)[name], -math.log(1 - q) * mean
        assert estimate.low is not None
        assert estimate.high is not None
        assert estimate.half_width <= 0.15 * exact, "too few requests to tell"
        assert estimate.low <= exact <= estimate.high
