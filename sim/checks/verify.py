"""Strategies against their laws and known sequences, the simulator against queueing theory.

Everything here is small enough to be run by anybody on any day: half a minute for all of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from lb.config import Scenario
from lb.laws import LAWS, Law
from lb.laws.kit import make, send, servers
from lb.strategies import Spec, spec
from sim.analysis.intervals import latency_estimates
from sim.checks.theory import e_n_m_1, m_g_1, m_m_1, m_m_c
from sim.experiment import simulate

LOAD = 0.8
WEIGHTS = ((1,), (1, 1), (1, 2), (5, 1, 1), (1, 2, 3), (4, 2, 1), (10, 1), (11, 3), (1, 2, 3, 4))
"""Of the backends that weighted round robin is checked with."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at, and whether it was as it should be."""

    subject: str
    says: str
    kept: bool | None
    """None: it does not bind this one."""
    why: str = ""

    def as_dict(self) -> dict[str, str | bool | None]:
        return {"subject": self.subject, "says": self.says, "kept": self.kept, "why": self.why}


def laws_of(row: Spec) -> Iterator[Check]:
    """Each law on one algorithm at each of its cases. Whatever a law trips over has broken it."""
    for case in row.cases:
        for law in LAWS:
            if law.binds(case):
                yield _held(case, law)
            elif case.title == row.title:  # a variant is exempt where its row is
                yield Check(case.title, law.says, None, law.unless)


def _held(case: Spec, law: Law) -> Check:
    try:
        law.check(case, Random)
    except Exception as error:
        why = " ".join(str(error).split()) or type(error).__name__
        return Check(case.title, law.says, False, why)
    return Check(case.title, law.says, True)


def smooth(weights: Sequence[int]) -> str:
    """One period of nginx's smooth weighted round robin, by its definition: a scan per pick."""
    credit = [0] * len(weights)
    period = ""
    for _ in range(sum(weights)):
        credit = [have + weight for have, weight in zip(credit, weights, strict=True)]
        best = credit.index(max(credit))
        credit[best] -= sum(weights)
        period += chr(ord("a") + best)
    return period


def known_sequences() -> Iterator[Check]:
    """Weighted round robin, pick by pick, beside its definition."""
    row = spec("weighted_round_robin")
    for weights in WEIGHTS:
        period = smooth(weights)
        strategy = make(row, Random(0), servers(*weights))
        seen = "".join(repr(send(strategy)) for _ in range(2 * len(period)))
        kept = seen == 2 * period
        why = "" if kept else f"{seen} instead of {2 * period}"
        named = ",".join(map(str, weights))
        yield Check(row.name, f"weights {named} give nginx's sequence {period}", kept, why)


@dataclass(frozen=True, slots=True)
class Queue:
    """A system whose mean sojourn is known exactly."""

    name: str
    algorithm: str
    backends: int
    model: str
    workers: int
    exact: float
    requests: int


EXPONENTIAL = 'service = { law = "exponential", mean = "1s" }'
CONSTANT = 'service = { law = "deterministic", mean = "1s" }'
E4 = e_n_m_1(4, LOAD).mean
QUEUES = (
    Queue("random over four is M/M/1", "random", 4, EXPONENTIAL, 1, m_m_1(LOAD).mean, 40_000),
    Queue("round robin over four is E4/M/1", "round_robin", 4, EXPONENTIAL, 1, E4, 30_000),
    Queue("four workers are M/M/4", "round_robin", 1, EXPONENTIAL, 4, m_m_c(4, LOAD).mean, 20_000),
    Queue("constant service is M/D/1", "round_robin", 1, CONSTANT, 1, m_g_1(0.0, LOAD), 12_000),
)
WIDEST = 0.06
"""Of the exact value, to either side: a wider interval would hold for anything."""


def theory() -> Iterator[Check]:
    """Means of twenty runs of one fixed seed; the interval is at 99.9 %."""
    for queue in QUEUES:
        file = _scenario(queue)
        samples = simulate(file, [queue.algorithm])[queue.algorithm].samples
        mean = latency_estimates(samples, level=0.999)[0]["mean"]
        found = f"{mean.value:.4f} ± {mean.half_width:.4f}"
        says = f"{queue.name}: {queue.exact:.4f}, simulated {found}"
        narrow = mean.half_width <= WIDEST * queue.exact
        kept = narrow and abs(mean.value - queue.exact) <= mean.half_width
        why = "" if kept else "the exact value is outside" if narrow else "too uncertain to tell"
        yield Check("simulator", says, kept, why)


def _scenario(queue: Queue) -> Scenario:
    rate = LOAD * queue.backends * queue.workers
    lines = [
        '[timeouts]\nresponse = "24h"',  # closed forms wait for ever
        f'[traffic]\narrivals = {{ process = "poisson", rate = {rate} }}',
        f'[run]\nrequests = {queue.requests}\nreplications = 20\nwarmup = "500s"\nseed = 20261123',
    ]
    lines += [
        f'[[backend]]\naddress = "b:{i}"\n[backend.model]\n{queue.model}\nworkers = {queue.workers}'
        for i in range(queue.backends)
    ]
    return Scenario.parse("\n".join(lines))
