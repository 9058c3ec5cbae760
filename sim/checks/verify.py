"""Strategies against their laws and known sequences, the simulator against theory and papers.

Anybody can run it on any day: minutes for all of it, less than one for the quick part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from random import Random

from lb.laws import LAWS, Law
from lb.laws.kit import make, send, servers
from lb.strategies import Spec, spec
from sim.analysis.statistics import Estimate
from sim.checks import papers, queues
from sim.checks.check import Check
from sim.checks.coverage import LEVEL, coverage
from sim.checks.systems import System, checked
from sim.crew import Crew, Workers

WEIGHTS = ((1,), (1, 1), (1, 2), (5, 1, 1), (1, 2, 3), (4, 2, 1), (10, 1), (11, 3), (1, 2, 3, 4))
"""Of the backends that weighted round robin is checked with."""


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


def simulator(quick: bool = False, workers: Workers = "auto") -> Iterator[Check]:
    """Each figure of each system; a quick run has some of them, and wider limits."""
    work: list[Callable[[], list[Check]]] = [partial(intervals, quick)]
    work += [
        partial(_checked, place, quick)
        for place, system in enumerate(_systems())
        if system.quick or not quick
    ]
    with Crew(workers) as crew:
        for checks in crew.each(_done, work, expected=1.0):
            yield from checks


@cache
def _systems() -> Sequence[System]:
    return (*queues.systems(), *papers.systems())


def _checked(place: int, quick: bool) -> list[Check]:
    """A system by its place in the list: that travels to another process, its theory does not."""
    return checked(_systems()[place], quick)


def _done(work: Callable[[], list[Check]]) -> list[Check]:
    return work()


def intervals(quick: bool = False) -> list[Check]:
    """How often intervals cover what is true; the interval around that is what chance makes."""
    return [
        Check(
            subject=f"95 % intervals of M/M/1 at {row.case.load:g}, {row.told} seeds",
            says=f"{row.figure} covered",
            kept=row.ok,
            why="" if row.ok else "more often or less than chance allows",
            oracle=LEVEL,
            simulated=Estimate(
                seen := row.covered / row.told,
                seen - (row.most / row.told - LEVEL),
                min(seen + (LEVEL - row.least / row.told), 1.0),
            ),
            source="binomial limits",
        )
        for row in coverage(quick=quick)
    ]
