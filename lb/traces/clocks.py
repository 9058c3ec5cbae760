"""Clocks that were set back by little, as the order of the lines of a log tells it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import log

LEAST = 0.1
"""Seconds that lines are out of order by themselves: threads, timers, a busy machine."""
MOST = 3
"""Clocks that are set back more often are none: workers write what they have buffered in turns."""
SURELY = 4.0
"""By how much likelier it must be, as a logarithm, that what lines tell of came twice as often."""


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
    """Whether from `ends[at]` to the end before it there are two lines for each that is `usual`."""
    again, latest = ends[at], ends[at - 1]
    count = sum(again <= it <= latest for it in ends)
    return count * log(2) - usual > SURELY
