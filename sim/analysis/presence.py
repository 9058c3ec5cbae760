"""How many requests are at each backend over time."""

from __future__ import annotations

import numpy as np

from sim.analysis.record import Record
from sim.model.laws import Floats


def presence(record: Record, backends: int, edges: Floats) -> Floats:
    """The mean number at each backend in each interval; shape (backends, len(edges) - 1).

    `edges` are equally far apart. Those who come before the first or leave after the last one are
    there from it on, or up to it.
    """
    bins, width = len(edges) - 1, edges[1] - edges[0]
    total = np.zeros((backends, bins))
    for part in (record, record.lost):
        stayed = part.left > part.reached
        rows = part.backend[stayed] * bins
        for sign, times in ((1.0, part.reached[stayed]), (-1.0, part.left[stayed])):
            at = np.clip(times, edges[0], edges[-1])
            place = np.minimum(np.searchsorted(edges, at, side="right") - 1, bins - 1)
            size = backends * bins
            came = np.bincount(rows + place, minlength=size).reshape(backends, bins)
            rest = np.bincount(rows + place, edges[place + 1] - at, size).reshape(backends, bins)
            # Who came in an interval is there for the rest of it, and all of those after it.
            total += sign * (rest + (np.cumsum(came, axis=1) - came) * width)
    found: Floats = np.maximum(total / width, 0.0)
    return found
