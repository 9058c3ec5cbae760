"""What a calibration leaves open of a model's parameters: sets drawn from it, and what they do.

A set and its mirror image see the same luck; how a figure follows the parameters is then read off
all sets together, by least squares, so that what chance adds to single ones does not count as if
the parameters had done it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

import numpy as np

from lb.config import Calibration
from lb.errors import LbError
from lb.units import seconds
from sim.fit.said import Keys
from sim.fit.unidentified import kind_of
from sim.model.laws import Floats

FEWEST, MOST = 40, 120
"""Sets that are drawn; three for each parameter in between."""
OF_INTERVAL = 1.959964
"""Standard deviations in half of a 95 % interval."""
BENT = (0.5, 2.0)
"""Times the deviation on one side that the other may have, at least and at most."""


@dataclass(frozen=True)
class Sets:
    """Parameters drawn, each as a standard normal deviate too."""

    keys: list[Keys] = field(default_factory=list)
    luck: Floats = field(default_factory=lambda: np.empty((0, 0)))
    """Shape (sets, parameters); a set and its mirror image follow each other."""

    def __len__(self) -> int:
        return len(self.keys)


def sets(calibration: Calibration | None, seed: int) -> Sets:
    """By the calibration's intervals, taken to be independent of each other.

    Several backends' parameters of one kind that are the same to the last digit were estimated
    together, and are drawn together.
    """
    rows = () if calibration is None else calibration.estimate
    known: dict[tuple[str, float, float, float], list[str]] = {}
    for row in rows:
        within = row.given or row
        numbers = _ordered(within.low, row.value, within.high)
        if numbers is not None:
            known.setdefault((kind_of(row.key), *numbers), []).append(row.key)
    if not known:
        return Sets()
    rng = Random(f"parameters {seed}")
    pairs = min(max(FEWEST // 2, -(-3 * len(known) // 2)), MOST // 2)
    half = [[rng.gauss(0.0, 1.0) for _ in known] for _ in range(pairs)]
    luck = np.array([side for row in half for side in (row, [-z for z in row])])
    drawn: list[Keys] = [
        {
            key: _at(z, *three)
            for z, ((_, *three), keys) in zip(row, known.items(), strict=True)
            for key in keys
        }
        for row in luck.tolist()
    ]
    return Sets(drawn, luck)


def _ordered(*three: object) -> tuple[float, float, float] | None:
    """Low, value and high as numbers above zero that differ, else None: whole ones count."""
    try:
        low, value, high = (seconds(it) if isinstance(it, str) else float(str(it)) for it in three)
    except (ValueError, LbError):
        return None
    whole = all(isinstance(it, int) for it in three)
    return (low, value, high) if 0 < low <= value <= high and low < high and not whole else None


def _at(z: float, low: float, value: float, high: float) -> float:
    """A normal law of the logarithm, whose halves are as wide as the interval's."""
    end = high if z > 0 else low
    return value * math.exp(abs(z) / OF_INTERVAL * math.log(end / value))


def variances(luck: Floats, differences: Sequence[float] | Floats) -> tuple[float, float]:
    """Of a figure below and above its value, by how it differs with each set."""
    d = np.asarray(differences, dtype=float)
    n, many = luck.shape if luck.size else (0, 0)
    if not n or not np.isfinite(d).all():
        return 0.0, 0.0
    if 2 * many >= n:  # too many to tell which does what: half the difference of mirror images
        odd = float((((d[::2] - d[1::2]) / 2) ** 2).mean())
        return odd, odd
    design = np.column_stack([np.ones(n), luck])
    found, *_ = np.linalg.lstsq(design, d, rcond=None)
    left = d - design @ found
    noise = float(left @ left) / (n - many - 1)
    inverse = np.linalg.inv(design.T @ design)
    slopes = found[1:]
    square = max(float(slopes @ slopes) - noise * float(np.trace(inverse[1:, 1:])), 0.0)
    deviation, length = math.sqrt(square), float(np.linalg.norm(slopes))
    if not deviation or not length:
        return 0.0, 0.0
    # Latencies bend upwards with load: the same along the direction that moves them most.
    along = luck @ slopes / length
    curve = along**2 - float((along**2).mean())
    bend = float(left @ curve) / float(curve @ curve)
    rest = left - bend * curve
    chance = float(rest @ rest) / (n - many - 2) / float(curve @ curve)
    bend *= max(1 - chance / bend**2, 0.0) if bend else 0.0  # as much of it as is no chance
    least, most = (times * deviation for times in BENT)
    low, high = (min(max(deviation + sign * bend * OF_INTERVAL, least), most) for sign in (-1, 1))
    return low**2, high**2
