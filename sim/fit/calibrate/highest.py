"""Where a function of one number is highest."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

RATIO = (math.sqrt(5) - 1) / 2


def golden(value: Callable[[float], float], low: float, high: float, steps: int) -> float:
    """Of a function of one hump between `low` and `high`, by golden sections (Kiefer 1953).

    What is left of the interval is 0.618 to the power of `steps`; its middle is the answer.
    """
    c, d = high - RATIO * (high - low), low + RATIO * (high - low)
    at_c, at_d = value(c), value(d)
    for _ in range(steps):
        if at_c > at_d:
            high, d, at_d = d, c, at_c
            c = high - RATIO * (high - low)
            at_c = value(c)
        else:
            low, c, at_c = c, d, at_d
            d = low + RATIO * (high - low)
            at_d = value(d)
    return (low + high) / 2


def highest(value: Callable[[float], float], low: float, high: float, grid: int = 13) -> float:
    """Of a function of one hump or little more: a grid, then golden sections around its best."""
    places = np.linspace(low, high, grid)
    heights = [value(float(place)) for place in places]
    at = int(np.argmax(heights))
    best = golden(value, float(places[max(at - 1, 0)]), float(places[min(at + 1, grid - 1)]), 18)
    return best if value(best) >= heights[at] else float(places[at])
