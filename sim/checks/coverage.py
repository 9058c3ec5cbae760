"""Do intervals cover what is true as often as they say? Whole simulations of queues in closed form.

An interval is right about its figure in 95 runs of 100. Each run here has a seed of its own and is
short; a figure that it cannot carry is not told and not counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from lb.config import Scenario
from sim.analysis.statistics import FIGURES, QUANTILES
from sim.checks.honesty import at_most
from sim.checks.theory import m_m_1
from sim.experiment import simulate

LEVEL = 0.95
CHANCE = 0.001
"""How seldom the check itself is wrong about intervals that cover just as often as they should, for
each figure and on either side."""
QUICK = 50
"""Seeds that take seconds."""


class Case(NamedTuple):
    """M/M/1, begun empty."""

    load: float
    replications: int
    requests: int


CASES = (Case(0.5, 10, 2_000), Case(0.8, 5, 2_000))


class Coverage(NamedTuple):
    """How often intervals covered one figure of one case."""

    case: Case
    figure: str
    exact: float
    """In mean service times."""
    told: int
    """Runs that gave an interval."""
    covered: int
    least: int
    most: int
    """What chance makes of 95 in 100; wider intervals than necessary are wrong as well."""

    @property
    def ok(self) -> bool:
        """Whether it is within the binomial limits."""
        return self.least <= self.covered <= self.most

    def __str__(self) -> str:
        """`p95 of M/M/1 at 0.8, 5 times 2,000 requests: 95.5 % of 200 intervals cover it`."""
        load, replications, requests = self.case
        return (
            f"{self.figure} of M/M/1 at {load:g}, {replications} times {requests:,} requests: "
            f"{self.covered / self.told:.1%} of {self.told} intervals cover it"
        )


def coverage(seeds: int = 200, quick: bool = False) -> list[Coverage]:
    """Each figure of each case that most runs tell; `quick`: of the first case, few seeds."""
    cases, runs = (CASES[:1], min(seeds, QUICK)) if quick else (CASES, seeds)
    return [row for case in cases for row in _covered(case, runs)]


def _covered(case: Case, seeds: int) -> Iterator[Coverage]:
    law = m_m_1(case.load)
    true = {"mean": law.mean} | {name: law.quantile(QUANTILES[name]) for name in FIGURES[1:]}
    told, hits = dict.fromkeys(FIGURES, 0), dict.fromkeys(FIGURES, 0)
    for seed in range(1, seeds + 1):
        (run,) = simulate(_scenario(case, seed)).runs
        for name in FIGURES:
            low, high = run.latency[name].low, run.latency[name].high
            if low is not None and high is not None:
                told[name] += 1
                hits[name] += low <= true[name] <= high
    for name, n in told.items():
        if 2 * n > seeds:
            yield Coverage(case, name, true[name], n, hits[name], *_limits(n))


def _limits(n: int) -> tuple[int, int]:
    """Counts of `n` that chance leaves of intervals wrong as often as they say, or half so."""
    least = next(k for k in range(n + 1) if at_most(k, n, LEVEL) > CHANCE)
    sure = (1 + LEVEL) / 2
    most = next(k for k in range(n + 1) if at_most(k, n, sure) >= 1 - CHANCE)
    return least, most


def _scenario(case: Case, seed: int) -> Scenario:
    return Scenario.parse(
        f'[traffic]\narrivals = {{ process = "poisson", rate = {case.load} }}\n'
        f"[run]\nrequests = {case.requests}\nreplications = {case.replications}\nseed = {seed}\n"
        '[[backend]]\naddress = "b:0"\n'
        'model = { service = { law = "exponential", mean = "1s" } }\n'
    )
