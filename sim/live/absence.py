"""A backend that answered nothing for a while: killed, drained, or out of rotation.

The file knows nothing of it, so no run as predicted is without it for as long.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sim.analysis.record import Record
from sim.live.seen import Seen

MISSED = 20.0
"""Requests that a backend was to get meanwhile, at least."""
LONGER = 2.0
"""Times the longest pause of all predicted runs."""


class Absence(NamedTuple):
    """When a backend answered nothing."""

    backend: str
    since: float
    until: float
    """Seconds from the start."""
    share: float
    """Of all requests, which was to be its."""


def absence(seen: Seen, names: Sequence[str]) -> Absence | None:
    """The longest; None where there is none or all were away, and where the file means trouble."""
    runs = [record for record in seen.records if len(record.arrived)]
    if seen.scenario.eventful or not runs or not len(seen.live.arrived):
        return None
    last = float(seen.due[-1])
    rate = len(seen.live.arrived) / max(last - seen.cut, 1e-9)
    found = []
    for place, name in enumerate(names):
        since, until = _pause(seen.live, place, seen.cut, last)
        share = float(np.mean([np.mean(it.backend == place) for it in runs]))
        paper = max(
            end - start for start, end in (_pause(it, place, seen.cut, last) for it in runs)
        )
        if until - since > LONGER * paper and share * rate * (until - since) >= MISSED:
            found.append(Absence(name, since, until, share))
    if len(found) == len(names):  # which is no matter of one of them
        return None
    return max(found, key=lambda one: one.until - one.since, default=None)


def _pause(record: Record, place: int, start: float, end: float) -> tuple[float, float]:
    """The longest time between two of its requests."""
    came = np.sort(record.arrived[record.backend == place])
    edges = np.concatenate([[start], came, [end]])
    longest = int(np.argmax(np.diff(edges)))
    return float(edges[longest]), float(edges[longest + 1])
