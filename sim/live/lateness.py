"""Whether the machine of a live run was punctual enough for a verdict.

A load generator knows when each request should have left and when it did. The difference is how
long this machine kept a process waiting for its turn, and the proxy and the backends, which share
it, were kept waiting as long: a figure that this can explain says nothing about the proxy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.analysis.statistics import latency_metrics
from sim.model.laws import Floats

WAKES = 6
"""Times that a request on loopback waits for some process to be woken: the generator to send it,
the proxy and the backend to read it, the backend to answer, the proxy and the generator to read."""


@dataclass(frozen=True)
class Lateness:
    """How late a run's requests left, seconds: one entry per request that was sent."""

    due: Floats
    """When each should have left, ascending."""
    late: Floats

    @property
    def figures(self) -> dict[str, float]:
        """Mean and quantiles."""
        return latency_metrics(self.late)

    def beyond(self, tolerated: Mapping[str, float]) -> list[str]:
        """Figures of the lateness alone that are more than what is `tolerated` there, seconds."""
        seen = self.figures
        return [name for name, most in tolerated.items() if seen[name] > most]

    def within(self, began: Floats, ended: Floats) -> Floats:
        """What the machine may have added to requests that lasted from `began` to `ended`.

        One of a request's waits is taken to be the longest seen meanwhile, the others as long as
        they were on average: right for one long stall and for a machine that is always late.
        """
        if not len(self.due):
            return np.zeros(len(began))
        last = len(self.due) - 1
        first = np.minimum(np.searchsorted(self.due, began, side="left"), last)
        after = np.maximum(np.searchsorted(self.due, ended, side="right"), first + 1)
        total = np.concatenate([[0.0], np.cumsum(self.late)])
        mean: Floats = (total[after] - total[first]) / (after - first)
        return _longest(self.late, first, after) + (WAKES - 1) * mean


def _longest(values: Floats, first: NDArray[np.int64], after: NDArray[np.int64]) -> Floats:
    """The largest of values[first:after], for many ranges, by maxima over powers of two."""
    level = np.log2(after - first).astype(int)
    found = np.empty(len(first))
    maxima, span = values, 1
    for power in range(int(level.max(initial=0)) + 1):
        mine = level == power
        found[mine] = np.maximum(maxima[first[mine]], maxima[after[mine] - span])
        maxima = np.maximum(maxima[:-span], maxima[span:])
        span *= 2
    return found
