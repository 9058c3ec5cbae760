"""Counts of durations, in two ways: in the buckets that metrics have, and in fine ones for
quantiles.

The fine buckets are of one relative width: the exponent of a number and the first bits behind the
point, as in Tene's HdrHistogram. The simulator counts in the same ones.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from functools import partial
from itertools import accumulate
from math import ldexp

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Seconds, each the last of its bucket: what OpenTelemetry advises for durations of HTTP requests
(semantic conventions, `http.server.request.duration`). One more bucket holds what is beyond."""
BITS = 7
"""Behind the point: 128 buckets to an octave, whose middle is off by 0.4 % at most."""
_BIAS = 127
_UPPER = 1 if sys.byteorder == "little" else 0
_bucket = partial(bisect_left, BOUNDS)


class Histogram:
    """Durations in seconds, by the `BOUNDS`."""

    __slots__ = ("buckets", "sum")

    def __init__(self) -> None:
        self.buckets = [0] * (len(BOUNDS) + 1)
        """How many there are in each, not those below."""
        self.sum = 0.0

    def __repr__(self) -> str:
        return f"<Histogram of {self.count}, {self.sum:.6g} s>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Histogram):
            return NotImplemented
        return (self.buckets, self.sum) == (other.buckets, other.sum)

    __hash__ = None  # type: ignore[assignment]  # it changes

    @property
    def count(self) -> int:
        """How many there are."""
        return sum(self.buckets)

    def take(self, seconds: Sequence[float]) -> None:
        """Count many at once."""
        for bucket, count in Counter(map(_bucket, seconds)).items():
            self.buckets[bucket] += count
        self.sum += sum(seconds)

    def add(self, other: Histogram) -> None:
        """Count what another one has counted."""
        self.buckets = [
            ours + theirs for ours, theirs in zip(self.buckets, other.buckets, strict=True)
        ]
        self.sum += other.sum

    def copy(self) -> Histogram:
        """One that goes on by itself."""
        found = Histogram()
        found.buckets = self.buckets[:]
        found.sum = self.sum
        return found

    def cumulative(self) -> list[int]:
        """How many are not above each of the `BOUNDS`, and in all."""
        return list(accumulate(self.buckets))


class Spread:
    """Durations in seconds, in so fine buckets that quantiles can be told."""

    __slots__ = ("fine",)

    def __init__(self) -> None:
        self.fine: Counter[int] = Counter()
        """By the upper half of a number in single precision: sign, exponent and `BITS`."""

    def __repr__(self) -> str:
        return f"<Spread of {self.fine.total()}>"

    def __eq__(self, other: object) -> bool:
        return self.fine == other.fine if isinstance(other, Spread) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # it changes

    def take(self, seconds: Sequence[float]) -> None:
        """Count many at once."""
        halves = memoryview(array("f", seconds)).cast("B").cast("H")
        self.fine.update(halves[_UPPER::2])

    def add(self, other: Spread) -> None:
        """Count what another one has counted."""
        self.fine.update(other.fine)

    def copy(self) -> Spread:
        """One that goes on by itself."""
        found = Spread()
        found.add(self)
        return found

    def quantile(self, share: float) -> float | None:
        """Seconds that `share` (0 to 1) of them do not exceed, to 0.4 %; None of nothing."""
        left = share * self.fine.total()
        value = None
        for key, count in sorted(self.fine.items()):
            value = middle(key)
            left -= count
            if left <= 0:
                break
        return value


def middle(key: int) -> float:
    """What a fine bucket stands for, in seconds."""
    exponent, fraction = key >> BITS, key & ((1 << BITS) - 1)
    return ldexp((1 << BITS) + fraction + 0.5, exponent - _BIAS - BITS) if key else 0.0
