"""Systems of which something is known: how they are simulated, and how a figure is judged.

Times are in service times of 10 ms, so that no time limit of the proxy comes near. Each interval is
at 99.99 %, so that a hundred of them hold together at 99 %; the seed was fixed beforehand.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from lb.config import Scenario
from sim.analysis.intervals import latency_estimates
from sim.analysis.record import Record
from sim.analysis.statistics import QUANTILES, Estimate, confidence, latency_metrics
from sim.checks.check import Check
from sim.checks.theory import Sojourn
from sim.experiment import simulate
from sim.result import AlgorithmRun, Result

UNIT = 0.01
"""Seconds in a service time."""
SEED = 20261123
"""Each system adds a number made from its name, so that no two see the same requests."""
LEVEL = 0.9999
REPLICATIONS = 20
QUICK = 4
"""How much fewer requests a quick run has."""
WIDER = 2.4
"""And how much wider its intervals may be: more than the root of that, for they vary too."""

EXPONENTIAL = 'service = { law = "exponential", mean = "10ms" }'
CALM = "[health]\nenabled = false\n[outliers]\nenabled = false\n[retries]\nmax = 0\n"
"""No policy between a strategy and its backends."""


@dataclass(frozen=True)
class Figure:
    """One figure, and what is known of it."""

    name: str
    """A latency metric, or a key of `SHARES`."""
    oracle: float | None = None
    """None: as the system's theory says."""
    relation: str = "="
    against: str = ""
    """An algorithm: the figure is divided by its figure, with the same requests."""
    title: str = ""
    """In place of the name of `against`."""
    widest: float = 0.05
    """Half the interval over the oracle, at most: wider ones would hold for anything."""
    off: float = 0.0
    """How far, relative, the oracle itself may be off: printed figures that were simulated or
    rounded, limits that finite systems only come near."""


@dataclass(frozen=True)
class System:
    """A scenario and its figures."""

    name: str
    source: str
    algorithm: str
    models: tuple[str, ...]
    """The lines of each [backend.model]."""
    rate: float
    """Requests per service time; 0 where `traffic` says who comes."""
    figures: tuple[Figure, ...]
    theory: Callable[[], Sojourn] | None = None
    requests: int = 1_000_000
    """In all replications."""
    warmup: float = 500.0
    """Service times."""
    traffic: str = ""
    tables: str = CALM
    quick: bool = False
    """Whether a quick run has it."""
    replications: int = REPLICATIONS
    run: str = ""
    """More of [run]."""

    def scenario(self, requests: int) -> Scenario:
        """As a file, with so many requests in all."""
        arrivals = f'arrivals = {{ process = "poisson", rate = {self.rate / UNIT!r} }}'
        lines = [
            self.tables,
            "[traffic]",
            arrivals if self.rate else "",
            self.traffic,
            "[run]",
            f"requests = {requests // self.replications}",
            f"replications = {self.replications}",
            f'warmup = "{self.warmup * UNIT:g}s"',
            self.run,
            f"seed = {SEED + zlib.crc32(self.name.encode())}",
        ]
        for i, model in enumerate(self.models):
            lines += ["[[backend]]", f'address = "b:{i}"', "[backend.model]", model]
        return Scenario.parse("\n".join(lines))


Share = Callable[[Record, float], float]


def _of(count: str) -> Share:
    return lambda record, _: float(getattr(record, count)) / record.requests


SHARES: Mapping[str, Share] = {
    "failed": _of("failed"),
    "gone": _of("gone"),
    "hedged": _of("hedged"),
    "attempts": lambda record, _: 1 + record.retried / record.requests,
    "throughput": lambda record, _: UNIT * record.completed / record.until,
    "within 1 s": lambda record, cut: float(np.mean(record.after(cut).latency <= 1.0)),
    "to the first": lambda record, cut: float(np.mean(record.after(cut).backend == 0)),
}
"""Of one replication; what comes in counts has the warm-up with it, and is per request."""


def checked(system: System, quick: bool = False) -> list[Check]:
    """Simulate it and judge its figures."""
    others = {figure.against for figure in system.figures if figure.against}
    file = system.scenario(system.requests // QUICK if quick else system.requests)
    result = simulate(file, [system.algorithm, *sorted(others - {system.algorithm})])
    theory = system.theory() if system.theory is not None else None
    return [_judged(system, figure, result, theory, quick) for figure in system.figures]


def _judged(
    system: System, figure: Figure, result: Result, theory: Sojourn | None, quick: bool
) -> Check:
    oracle = figure.oracle
    if oracle is None:
        assert theory is not None, "a figure that theory does not give states what is known"
        oracle = theory.mean if figure.name == "mean" else theory.quantile(QUANTILES[figure.name])
    found = _found(result[system.algorithm], figure, result)
    low = -math.inf if found.low is None else found.low
    high = math.inf if found.high is None else found.high
    slack = figure.off * oracle
    says = figure.name
    if figure.against:
        says = f"{figure.name} over that of {figure.title or figure.against}"
    if not (high - low) / 2 <= figure.widest * (WIDER if quick else 1.0) * oracle:
        kept, why = False, "too uncertain to tell"
    elif figure.relation == "<":
        kept, why = high < oracle, "not surely less"
    elif figure.relation == ">":
        kept, why = low > oracle, "not surely more"
    else:
        kept, why = low <= oracle + slack and oracle - slack <= high, "the oracle is outside"
    return Check(
        subject=system.name,
        says=says,
        kept=kept,
        why="" if kept else why,
        oracle=oracle,
        relation=figure.relation,
        simulated=found,
        source=system.source,
    )


def _found(run: AlgorithmRun, figure: Figure, result: Result) -> Estimate:
    """With its interval, from the replications."""
    if figure.against:
        pairs = zip(_each(run, figure), _each(result[figure.against], figure), strict=True)
        logs = confidence([math.log(mine / other) for mine, other in pairs], LEVEL)
        return _mapped(logs, math.exp)
    if figure.name in SHARES:
        return confidence(_each(run, figure), LEVEL)
    return _mapped(latency_estimates(run.samples, LEVEL)[0][figure.name], lambda t: t / UNIT)


def _each(run: AlgorithmRun, figure: Figure) -> list[float]:
    """One value for each replication."""
    if figure.name in SHARES:
        return [SHARES[figure.name](record, run.warmup) for record in run.records]
    return [latency_metrics(sample)[figure.name] for sample in run.samples]


def _mapped(estimate: Estimate, by: Callable[[float], float]) -> Estimate:
    low, high = (None if at is None else by(at) for at in (estimate.low, estimate.high))
    return Estimate(by(estimate.value), low, high)
