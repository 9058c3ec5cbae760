"""What a backend may be, ranked by likelihood."""

from __future__ import annotations

from typing import NamedTuple

from sim.fit.calibrate.stays import Discipline, Hypothesis, Stays

TELLING = 4.0
"""Of the logarithm of a likelihood: half of 3.84 would be an interval of 95 % if densities were
known; what their estimate moves is as much again."""
MOST_TRIED = 40
"""Numbers of workers that are tried one by one; beyond, every tenth part more."""
DISCIPLINES: tuple[Discipline, ...] = ("fifo", "ps")


class Scored(NamedTuple):
    """A hypothesis and the logarithm of its likelihood."""

    value: float
    hypothesis: Hypothesis


def numbers(most: int) -> list[int]:
    """Of workers that are tried where never more than `most` were in flight."""
    tried = list(range(1, min(most, MOST_TRIED) + 1))
    while tried[-1] < most:
        tried.append(min(int(tried[-1] * 1.1) + 1, most))
    return tried


def scored(stays: Stays, overhead: float) -> list[Scored]:
    """Every discipline and number of workers, best first."""
    found = []
    for workers in numbers(max(stays.most, 1)):
        for discipline in DISCIPLINES:
            if discipline == "ps" and workers == stays.most > 1:
                continue  # nobody ever shares: the same as the other
            it = Hypothesis(discipline, workers, overhead)
            found.append(Scored(stays.log_likelihood(it), it))
    return sorted(found, key=lambda one: -one.value)
