"""Times at which a machine stood still while it recorded: nothing came, then all that was late.

Traffic does not make up for its pauses; who sends by a schedule, and could not, does.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from sim.model.laws import Floats

UNLIKELY = 9.0
"""A gap is longer than any that chance explains when not one of e^9 recordings of its length has
such a one."""
AT_ONCE = 0.25
"""Of the gap, in which what is late comes: that is, at five times the rate or more."""
TOGETHER = 0.05
"""Of the mean gap, below which requests come together; as much of Poisson's gaps are."""
AROUND = 10.0
"""So many gaps before and after it, the rate is looked at."""
MADE_UP = (0.6, 1.5)
"""What of those that are missing comes late, at least and at most, but for chance."""
MOST = 0.2
"""The share of the time from which on that is how the traffic is."""
OFTEN, TOLD = 5, 3
"""Stops from which a machine is called busy, and how many are told one by one."""


class Stood(NamedTuple):
    """Arrivals as if it had not stood still."""

    times: Floats
    """Ascending, in seconds from the first of them."""
    remarks: tuple[str, ...]


def stood(times: Floats) -> Stood:
    """Those of `times`, ascending, that came neither late nor after a stop; each stop is said."""
    stops = _stops(times)
    if not stops:
        return Stood(times, ())
    gaps = np.diff(times)
    kept = np.ones(len(times), dtype=bool)
    for first, last in stops:
        # The time until the next one that came by itself is as long as it was.
        gaps[first:last] = 0.0
        kept[first + 1 : last + 1] = False
    moved = times[0] + np.concatenate([[0.0], np.cumsum(gaps)])
    told = [
        f"stood still for {times[i + 1] - times[i]:.3g} s at {times[i] - times[0]:.4g} s: "
        "left out of the arrivals"
        for i, _ in stops[:TOLD]
    ]
    if len(stops) > TOLD:
        told.append(f"stood still {len(stops) - TOLD} times more")
    if len(stops) >= OFTEN:
        told.append("this machine was busy while it recorded: figures may be off")
    return Stood(moved[kept], tuple(told))


def _stops(times: Floats) -> list[tuple[int, int]]:
    """The last request before each stop, and the last of those that it made late."""
    number, seconds = len(times), float(times[-1] - times[0])
    if number < 100 or seconds <= 0:
        return []
    gaps = np.diff(times)
    # Of those that come together, one gap is all that chance has a say in.
    apart = float((gaps > TOGETHER * seconds / number).mean())
    surely = (math.log(number) + UNLIKELY) / max(min(apart + TOGETHER, 1.0), 1 / number)
    # A rate is hardly ever a third of the mean where nothing else is known of it.
    long = np.flatnonzero(gaps > surely * seconds / number / 3)
    found: list[tuple[int, int]] = []
    longest, after = 0, -1
    for i in long.tolist():
        if i < after:
            continue
        gap = float(gaps[i])
        low, high = np.searchsorted(times, [times[i] - AROUND * gap, times[i + 1] + AROUND * gap])
        last = int(high) - 1
        rate = (last - int(low)) / float(times[last] - times[low])
        if gap * rate < surely:
            continue
        longest += 1
        end = int(np.searchsorted(times, times[i + 1] + AT_ONCE * gap, side="right"))
        places = np.arange(i + 1, end)
        ahead = (places - i) - rate * (times[places] - times[i + 1])
        most = int(ahead.argmax())
        missing, came = rate * gap, float(ahead[most])
        leeway = 2 * math.sqrt(missing)
        if MADE_UP[0] * missing - leeway / 2 <= came <= MADE_UP[1] * missing + leeway:
            after = int(places[most])
            found.append((i, after))
    stopped = sum(float(times[last] - times[first]) for first, last in found)
    if stopped > MOST * seconds or 2 * len(found) < longest:
        return []
    return found
