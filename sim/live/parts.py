"""Where the latency of a live run was spent, beside where the simulator spends it.

A request's latency is how late it left, the time that its backend had it, how late the backend was
to answer, and the rest: the way there and back, the balancer and its line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sim.live.seen import Seen
from sim.model.laws import Floats

TAIL = 0.95
"""From which quantile on a request is one of the slow ones."""


@dataclass(frozen=True)
class Split:
    """Mean seconds per request; they add up to the mean latency."""

    generator: float
    proxy: float
    """Between client and backend: network, balancer, its line."""
    backends: float
    """At the backends, as they say themselves."""
    machine: float
    """By which backends were late to answer."""

    @property
    def whole(self) -> float:
        return self.generator + self.proxy + self.backends + self.machine

    def less(self, other: Split) -> dict[str, float]:
        """The difference of each part, by name."""
        return {name: mine - getattr(other, name) for name, mine in vars(self).items()}

    def as_dict(self) -> dict[str, float]:
        """Seconds."""
        return {name: float(f"{seconds:.6g}") for name, seconds in vars(self).items()}


@dataclass(frozen=True)
class Parts:
    """Of all requests, and of the slowest twentieth."""

    measured: Split
    predicted: Split
    slowest_measured: Split
    slowest_predicted: Split

    def as_dict(self) -> dict[str, Any]:
        return {name: split.as_dict() for name, split in vars(self).items()}


def parts(seen: Seen) -> Parts | None:
    """None where fewer than half of the answers say how long the backend had the request."""
    sojourn = seen.column("sojourn")
    told = np.isfinite(sojourn)
    if not len(told) or np.count_nonzero(told) < len(told) / 2:
        return None
    live = seen.live
    generator = np.maximum(live.started - live.arrived, 0.0)[told]
    latency = live.latency[told]
    late = np.nan_to_num(seen.column("late"))[told]
    measured = np.array(
        [generator, latency - generator - sojourn[told] - late, sojourn[told], late]
    )
    paper = []
    for record in seen.records:
        if len(record.arrived):
            there = record.left - record.reached
            nothing = np.zeros(len(there))
            paper.append(np.array([nothing, record.latency - there, there, nothing]))
    if not paper:
        return None
    return Parts(
        _mean(measured, 0.0),
        _mean_of([_mean(one, 0.0) for one in paper]),
        _mean(measured, TAIL),
        _mean_of([_mean(one, TAIL) for one in paper]),
    )


def _mean(rows: Floats, share: float) -> Split:
    """Of the requests beyond that share, by latency."""
    latency = rows.sum(axis=0)
    kept = np.argsort(latency, kind="stable")[int(share * len(latency)) :]
    return Split(*(float(row[kept].mean()) for row in rows))


def _mean_of(splits: list[Split]) -> Split:
    names = ("generator", "proxy", "backends", "machine")
    return Split(*(float(np.mean([getattr(one, name) for one in splits])) for name in names))
