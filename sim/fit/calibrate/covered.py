"""The time that a recording covers: arrivals without the long silences that no traffic explains.

A clock that jumps, lines that are lost, or one request long before the others would else be taken
for what traffic does.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from sim.fit.seen import Ints
from sim.model.laws import Floats

LONG, BEYOND = 10.0, 10.0
"""Seconds of a silence that is cut out at least, and how many times the longest that chance
explains."""
MOST = 3
"""Silences that are cut out: more of them are how the traffic is."""
HARDLY = 0.01
"""The share of requests of a part between silences, below which it tells no rate."""


class Covered(NamedTuple):
    """Arrivals as if there had been no silences."""

    times: Floats
    """Ascending, in seconds from the first of them."""
    remarks: tuple[str, ...]


def covered(times: Floats) -> Covered:
    """Those of `times`, ascending, that tell how requests arrive; what is left out is said."""
    gaps = np.diff(times)
    cuts, usual = _silences(gaps)
    if not len(cuts):
        return Covered(times, ())
    parts = np.split(times, cuts + 1)
    kept = [part for part in parts if len(part) >= HARDLY * len(times)]
    left_out = len(times) - sum(map(len, kept))
    moved, end = [], 0.0
    for part in kept:
        moved.append(part - part[0] + end)
        end = float(moved[-1][-1]) + usual
    told = np.concatenate(moved)
    if not told[-1] > 0:
        return Covered(times, ())
    silences = " and ".join(f"{gaps[i]:.4g} s from {times[i]:.4g} s on" for i in cuts.tolist())
    alone = f", without the few beyond, {left_out} in all" if left_out else ""
    remark = (
        f"no request came for {silences}: arrivals are fitted to the {told[-1]:.4g} s that are "
        f"left{alone}"
    )
    return Covered(told, (remark,))


def _silences(gaps: Floats) -> tuple[Ints, float]:
    """Which gaps are no part of the traffic, ascending, and the mean of the others."""
    order = np.argsort(-gaps, kind="stable")[: MOST + 1]
    rest = float(gaps.sum())
    found: list[int] = []
    usual = rest / max(len(gaps), 1)
    for place in order.tolist():
        rest -= float(gaps[place])
        others = max(rest, 0.0) / max(len(gaps) - len(found) - 1, 1)
        if gaps[place] <= max(LONG, BEYOND * others * math.log(max(len(gaps), 2))):
            break
        found.append(place)
        usual = others
    if len(found) > MOST:
        return np.empty(0, np.int64), usual
    return np.sort(np.array(found, np.int64)), usual
