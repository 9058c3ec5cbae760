"""Ranking and selection: which of many is best, on the same random numbers, and how sure that is.

Everything begins with a few replications of each. In rounds those that are surely worse than the
best so far leave, and the rest have twice as many: the budget goes to the contenders. One leaves
when the paired difference to the leader is above zero by Student's t. The levels of all rounds and
rivals sum up to `ERROR`, so that whatever the means, the variances and the correlations are (of
normal figures), the best one stays with a probability of at least 95 %: Bonferroni's inequality
needs no independence, which common random numbers take away. It is the screening of Nelson, Swann,
Goldsman & Song ("Simple procedures for selecting the best simulated system when the number of
alternatives is large", Operations Research 49, 2001) in the rounds of Kim & Nelson ("A fully
sequential procedure for indifference-zone selection in simulation", ACM TOMACS 11, 2001) with the
differences paired. How much better than the chosen one another could be is bounded as by Hsu
("Constrained simultaneous confidence intervals for multiple comparisons with the best", Annals of
Statistics 12, 1984).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from sim.analysis.statistics import student_t as quantile_of_t
from sim.fit.recommend.scores import Score

student_t = lru_cache(4096)(quantile_of_t)
ERROR = 0.05
"""How often the best of all may not be in the set that is left."""
ROUNDS = 8
"""Looks at most: the replications of the last are `FIRST` times 2 ** (ROUNDS - 1)."""
FIRST, FEWEST = 10, 4
"""Replications of each in the first round. With 10 a t of 1 in 5,000 is 5.6, where it is 3.5
without end: fewer would decide nothing, more would be wasted on those that are far off. So few as
`FEWEST` only where long replications would take more than the budget."""
ALIKE = 0.01
"""Share of the best score that nobody cares about: rounds end when all are surely that near."""


@dataclass(frozen=True)
class Selection:
    """What came of it."""

    left: tuple[str, ...]
    """Those that cannot be told from the best; the best of all is among them with a probability of
    at least 1 - ERROR."""
    leader: str
    """Of the lowest score."""
    scores: dict[str, Score]
    """Of all, by as many replications as each had."""
    rounds: int

    def regret(self, name: str) -> float:
        """By what share of its own score the best of all may be lower than `name`, at 95 %; 0
        where nothing can be better.
        """
        mine = self.scores[name]
        if not math.isfinite(mine.value):
            return math.inf
        rivals = [other for other in self.left if other != name]
        most = 0.0
        for other in rivals:
            gap, error, degrees = paired(mine, self.scores[other])
            t = student_t(1 - ERROR / len(rivals) / 2, degrees) if degrees else math.inf
            most = max(most, gap + (t * error if error else 0.0))
        return most / mine.value if mine.value else 0.0


Rounds = Callable[[Sequence[str], int], Mapping[str, Score] | None]
"""The scores of these after so many replications each; None when the budget is spent."""


def select(names: Sequence[str], rounds: Rounds, first: int = FIRST) -> Selection:
    """The best of `names`, or those that it cannot be told from.

    The first round is of `first` replications of each.
    """
    left, scores, done = list(names), dict[str, Score](), 0
    leader = names[0]
    for look in range(ROUNDS):
        told = rounds(left, first * 2**look)
        if told is None:
            break
        done += 1
        scores.update(told)
        leader = min(left, key=lambda name: scores[name].value)
        left = [
            name
            for name in left
            if name == leader or not _worse(scores[name], scores[leader], len(names))
        ]
        if len(left) == 1 or _alike(left, leader, scores):
            break
    return Selection(tuple(left), leader, scores, done)


def _worse(mine: Score, best: Score, count: int) -> bool:
    if not math.isfinite(mine.value):
        return math.isfinite(best.value)
    gap, error, degrees = paired(mine, best)
    if not error:
        return gap > 0
    return gap > student_t(1 - ERROR / ROUNDS / max(count - 1, 1), degrees) * error


def _alike(left: Sequence[str], leader: str, scores: Mapping[str, Score]) -> bool:
    """Whether all are surely within `ALIKE` of the leader."""
    best = scores[leader]
    if not math.isfinite(best.value):
        return True
    for name in left:
        gap, error, degrees = paired(scores[name], best)
        if not degrees or gap + student_t(1 - ERROR / 2, degrees) * error > ALIKE * best.value:
            return False
    return True


def paired(mine: Score, other: Score) -> tuple[float, float, int]:
    """By how much the first is higher, the standard error of that, and its degrees of freedom."""
    n = min(len(mine.parts), len(other.parts))
    if not (math.isfinite(mine.value) and math.isfinite(other.value)):
        same = mine.value == other.value
        return (0.0 if same else mine.value - other.value), 0.0, max(n - 1, 0)
    gaps = mine.parts[:n] - other.parts[:n]
    if n < 2:
        return float(gaps.mean()) if n else 0.0, math.inf, 0
    return float(gaps.mean()), float(gaps.std(ddof=1)) / math.sqrt(n), n - 1
