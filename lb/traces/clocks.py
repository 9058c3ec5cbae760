"""Clocks that were set back by little, as the order of the lines of a log tells it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import log, sqrt

LEAST = 0.1
"""Seconds that lines are out of order by themselves: threads, timers, a busy machine."""
MOST = 3
"""Clocks that are set back more often are none: workers write what they have buffered in turns."""
SURELY = 4.0
"""By how much likelier it must be, as a logarithm, that what lines tell of came twice as often."""

FEWEST = 2
"""Lines that go through a time again; a single one was written late."""
DEVIATIONS = 3.0
"""Of how many of them are theirs that a time was gone through twice."""


def set_back(ends: Sequence[float]) -> list[tuple[int, float]]:
    """From which line on the clock is behind, and by how many seconds; `ends` are in the order of
    the lines.

    A time that was gone through twice has twice the usual lines, by Poisson's law; where several
    write to one file it has as many as any other.
    """
    jumps = [
        (place, before - after)
        for place, (before, after) in enumerate(pairwise(ends), 1)
        if before - after > LEAST
    ]
    if not jumps or len(jumps) > MOST:
        return []
    span = max(ends) - min(ends)
    return [(at, seconds) for at, seconds in jumps if _twice(ends, at, len(ends) * seconds / span)]


def _twice(ends: Sequence[float], at: int, usual: float) -> bool:
    """Whether from `ends[at]` to the end before it there are two lines for each that is `usual`.

    As far as the lines from `at` on go, about half of them are theirs, by the binomial law: one
    line that was written late within a crowd goes through no time again.
    """
    again, latest = ends[at], ends[at - 1]
    count = sum(again <= it <= latest for it in ends)
    if count * log(2) - usual <= SURELY:
        return False
    until = min(latest, max(ends[at:]))
    second = sum(again <= it <= until for it in ends[at:])
    both = sum(again <= it <= until for it in ends)
    return second >= FEWEST and abs(second - both / 2) <= DEVIATIONS * sqrt(both) / 2
