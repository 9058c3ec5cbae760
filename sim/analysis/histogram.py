"""Counts of latencies in buckets of one relative width, so that any number of them takes no room.

A bucket is the exponent of a number and the first seven bits behind the point: 128 to an octave, as
in Tene's HdrHistogram. What is read from the middle of one is off by less than `ERROR`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim.model.laws import Floats

BITS = 7
ERROR = 2.0 ** -(BITS + 1)
"""Relative, at most: 0.4 %."""
LEAST, OCTAVES = -40, 64
"""Powers of two: from less than a picosecond to half a year; the last one holds what is beyond."""
BUCKETS = OCTAVES << BITS
_SHIFT = 52 - BITS
_FIRST = (1023 + LEAST) << BITS


def bucket_of(seconds: Floats) -> NDArray[np.int64]:
    """The bucket of each number, zero and below in the first."""
    raw = np.maximum(seconds, 0.0).view(np.int64) >> _SHIFT
    buckets: NDArray[np.int64] = np.clip(raw - _FIRST, 0, BUCKETS - 1)
    return buckets


def middles() -> Floats:
    """What each bucket stands for, in seconds."""
    edges = (np.arange(_FIRST, _FIRST + BUCKETS + 1) << _SHIFT).view(np.float64)
    return (edges[:-1] + edges[1:]) / 2


def stand_in(counts: NDArray[np.int64], mean: float, most: int) -> Floats:
    """Up to `most` numbers, ascending, spread as those that were counted, with their exact mean."""
    total = int(counts.sum())
    n = min(total, most)
    places = (np.arange(n) + 0.5) * (total / n) if n else np.empty(0)
    values: Floats = middles()[np.searchsorted(np.cumsum(counts), places, side="right")]
    found = float(values.mean()) if n else 0.0
    return values * (mean / found) if found > 0 else values
