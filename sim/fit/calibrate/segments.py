"""Where a series changes: cut in two again and again, where both sides differ beyond chance."""

from __future__ import annotations

import math

import numpy as np

from sim.model.laws import Floats

BEYOND_CHANCE = 2.1
"""Of the largest excursion of a Brownian bridge: exceeded once in 3400 times (Kolmogorov)."""
SHORTEST = 30
"""Values of a piece."""
MOST_PIECES = 12


def segments(values: Floats) -> list[tuple[int, int]]:
    """Pieces of `values`, in their order, between which the mean changes; from, up to."""
    pieces = [(0, len(values))]
    whole: list[tuple[int, int]] = []
    while pieces and len(pieces) + len(whole) < MOST_PIECES:
        low, high = pieces.pop()
        cut = _cut(values[low:high])
        if cut is None:
            whole.append((low, high))
        else:
            pieces += [(low, low + cut), (low + cut, high)]
    return sorted([*pieces, *whole])


def _cut(values: Floats) -> int | None:
    n = len(values)
    if n < 2 * SHORTEST:
        return None
    # What changes is not noise: that is how neighbours differ.
    noise = math.sqrt(max(float((np.diff(values) ** 2).mean()) / 2, 1e-18))
    walk = np.cumsum(values - values.mean())[SHORTEST - 1 : n - SHORTEST]
    if float(np.abs(walk).max()) / noise / math.sqrt(n) < BEYOND_CHANCE:
        return None
    # The best place is told by both sides' sizes, too.
    at = np.arange(SHORTEST, n - SHORTEST + 1)
    return int(at[int((walk**2 / (at * (n - at))).argmax())])
