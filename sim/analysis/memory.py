"""How long a queue remembers: over how many requests latencies hang together.

Two figures rest on it, how much a sample is worth and how much of a run's start is cut. Found from
a run alone they would follow its luck: a run without a burst looks both low and steady. So theory
says first, from the load, and the data only where they contradict.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lb.config import ArrivalsTable, Batch, Renewal, Scenario
from lb.config.arrivals import Constant
from sim.model.laws import Floats

PIECES = 20
"""Pieces of a sample that its memory is seen by."""
ABOVE, BELOW = 2.0, 3.0
"""How far what is seen may lie above and below what theory says before it counts. Over 400 runs of
10 times 2,000 requests of M/M/1 at 0.8 it was between 0.45 and 1.04 times that."""
SHORT = 5.0
"""Memories that a piece must be far longer than: short ones show too little, and least where chance
has brought no burst."""


class Memory(NamedTuple):
    """Of one stream of requests."""

    requests: float
    """How many of them tell as much as one that is independent of the others: the variance of their
    mean over that of independent ones."""
    wild: float = 1.0
    """The same of the mean square of their work, which decides how long queues are on average and
    is far less certain where a few requests are most of it."""
    queues: int = 1
    """Among which they are spread: as many times as long is the start of one remembered."""

    @property
    def span(self) -> float:
        """After how many requests of the stream the past hardly matters."""
        return self.requests * self.queues

    def seen(self, samples: Sequence[Floats]) -> Memory:
        """Corrected where `samples`, one array per replication, say something else."""
        found = found_memory(samples)
        pieces = sum(map(len, samples)) / PIECES
        most = BELOW * found * (1 + SHORT * found / max(pieces, 1.0))
        return self._replace(requests=max(min(self.requests, most), found / ABOVE, 1.0))

    def shortfall(self, length: float) -> float:
        """The variance of means of so many in a row over what independent means would have.

        Correlations that decay exponentially; 1 for pieces that are long enough.
        """
        lasts = self.span / 2
        return 1.0 - lasts / length * -math.expm1(-length / lasts)


def expected_memory(scenario: Scenario, load: float) -> Memory:
    """By heavy-traffic theory, for the busiest backend at `load`; infinite from 1 on.

    The workload of G/G/1 is nearly a reflected Brownian motion, whose mean over a time has twice
    the variance that its drift and variance alone suggest (Whitt, "Planning queueing simulations",
    Management Science 1989): 82 requests for M/M/1 at 0.8, where 79 is exact. It is an upper bound
    for algorithms that know more than chance.
    """
    models = [model for _, model in scenario.modelled()]
    if load >= 1:
        return Memory(math.inf, queues=len(models))
    work = max(model.service.squared_cv for model in models)
    gaps = max(1.0, _dispersion(scenario.offered().arrivals))
    wild = max(model.service.wildness for model in models)
    requests = 2 * (load**2 * work + gaps) / (1 - load) ** 2
    return Memory(max(1.0, requests), wild, len(models))


def found_memory(samples: Sequence[Floats]) -> float:
    """As seen in samples, by the variance of means of long pieces; at least 1."""
    pieces = -(-PIECES // max(len(samples), 1))
    parts = [part for one in samples for part in np.array_split(one, pieces) if len(part)]
    if len(parts) < PIECES:
        return 1.0
    everything = float(np.concatenate(samples).var())
    means = float(np.var([part.mean() for part in parts], ddof=1))
    length = sum(map(len, parts)) / len(parts)
    return max(1.0, length * means / everything) if everything > 0 else 1.0


def _dispersion(process: ArrivalsTable | None) -> float:
    """Variance over mean of the arrivals within a long time; 1 where no formula is at hand."""
    match process:
        case Renewal():
            return process.law.squared_cv
        case Batch(size=Constant(mean=mean)):
            return mean
        case Batch(size=size):
            return 2 * size.mean - 1
        case _:
            return 1.0
