"""What became of every request of one run, and when: what a run looks like second by second."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.model.laws import Floats

EVERY = 0.1
"""Seconds between two looks at who is in rotation."""


@dataclass(frozen=True)
class Fates:
    """One run, one entry per request. Times are seconds from the start."""

    arrived: Floats
    ended: Floats
    """When its client had a good answer, or knew that there would be none; NaN is never."""
    good: NDArray[np.bool_]
    rotation: Floats | None = None
    """Which backends were usable: a row for each look, every `EVERY` seconds, a column for each
    backend, between 0 and 1; NaN where the look failed. None where nobody looked."""

    @property
    def latency(self) -> Floats:
        return self.ended - self.arrived

    def usable(self, since: float, until: float) -> float:
        """Backends in rotation, on average over a time; NaN where nobody looked."""
        if self.rotation is None:
            return math.nan
        rows = self.rotation[_look(since) : max(_look(until), _look(since) + 1)]
        seen = rows[np.isfinite(rows).all(axis=1)]
        return float(seen.sum(axis=1).mean()) if len(seen) else math.nan

    def out(self, since: float, until: float) -> list[float]:
        """Seconds that each backend was out of rotation within a time; empty when not looked at."""
        if self.rotation is None:
            return []
        missing = 1.0 - self.rotation[_look(since) : _look(until)]
        return [float(seconds) for seconds in np.nansum(missing, axis=0) * EVERY]


def _look(at: float) -> int:
    return round(at / EVERY)


@dataclass(frozen=True)
class Series:
    """Second by second, the mean of the runs; entry k is the time from k to k + 1."""

    arrivals: Floats
    good: Floats
    """Good answers."""
    lost: Floats
    """Requests whose clients heard, or found, that there is no answer for them."""
    p95: Floats
    """Of the latencies of the good answers of all runs; NaN where there is none."""
    usable: Floats
    """Backends in rotation; NaN where nobody looked."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON, which has no word for what is not a number."""
        return {
            "step": 1.0,
            **{
                name: [float(f"{x:.6g}") if math.isfinite(x) else None for x in column]
                for name, column in vars(self).items()
            },
        }


def series(runs: Sequence[Fates]) -> Series:
    """The mean of the runs, as far as the longest of them goes."""
    ends = [float(np.nanmax(run.ended, initial=0.0)) for run in runs]
    seconds = math.floor(max(ends, default=0.0)) + 1
    edges = np.arange(seconds + 1.0)

    def count(times: Sequence[Floats]) -> Floats:
        found: Floats = np.histogram(np.concatenate(times), edges)[0] / max(len(runs), 1)
        return found

    ended = np.concatenate([run.ended[run.good] for run in runs])
    latency = np.concatenate([run.latency[run.good] for run in runs])
    order = np.argsort(ended, kind="stable")
    cuts = np.searchsorted(ended[order], edges[1:-1])
    usable = np.array([[run.usable(k, k + 1) for k in range(seconds)] for run in runs])
    looked = np.isfinite(usable).all(axis=0)
    return Series(
        arrivals=count([run.arrived for run in runs]),
        good=count([run.ended[run.good] for run in runs]),
        lost=count([run.ended[~run.good & np.isfinite(run.ended)] for run in runs]),
        p95=np.array(
            [
                float(np.quantile(part, 0.95)) if len(part) else math.nan
                for part in np.split(latency[order], cuts)
            ]
        ),
        usable=np.where(looked, usable.sum(axis=0) / max(len(runs), 1), math.nan),
    )
