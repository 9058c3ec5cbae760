"""What became of every request of one run, and when: what a run looks like second by second."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
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
    """Step by step, the mean of the runs; entry k is the time from since + k steps, one step long.

    Quantiles are of the latencies of the good answers of all runs; NaN where there is none.
    """

    arrivals: Floats
    good: Floats
    """Good answers, per second as all of these."""
    lost: Floats
    """Requests whose clients heard, or found, that there is no answer for them."""
    p50: Floats
    p95: Floats
    p99: Floats
    """Not of a step with fewer than a hundred answers."""
    usable: Floats
    """Backends in rotation; NaN where nobody looked."""
    step: float = 1.0
    """Seconds."""
    since: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """For JSON, which has no word for what is not a number."""
        columns = ("arrivals", "good", "lost", "p50", "p95", "p99", "usable")
        return {
            "step": self.step,
            **{
                name: [float(f"{x:.6g}") if math.isfinite(x) else None for x in getattr(self, name)]
                for name in columns
            },
        }


QUANTILES = ((0.50, 1), (0.95, 1), (0.99, 100))
"""Of a step, each with the answers that it takes."""


def series(
    runs: Sequence[Fates], step: float = 1.0, since: float = 0.0, until: float | None = None
) -> Series:
    """The mean of the runs, step by step, to `until` or as far as the longest of them goes."""
    if until is None:
        ends = [float(np.nanmax(run.ended, initial=0.0)) for run in runs]
        steps = math.floor((max(ends, default=0.0) - since) / step) + 1
    else:
        steps = max(math.ceil((until - since) / step), 1)
    edges = since + step * np.arange(steps + 1.0)

    def rate(times: Sequence[Floats]) -> Floats:
        counts = np.histogram(np.concatenate(times), edges)[0]
        found: Floats = counts / max(len(runs), 1) / step
        return found

    ended = np.concatenate([run.ended[run.good] for run in runs])
    latency = np.concatenate([run.latency[run.good] for run in runs])
    order = np.argsort(ended, kind="stable")
    parts = np.split(latency[order], np.searchsorted(ended[order], edges))[1:-1]
    p50, p95, p99 = (
        np.array([float(np.quantile(x, q)) if len(x) >= least else math.nan for x in parts])
        for q, least in QUANTILES
    )
    usable = np.array([[run.usable(a, b) for a, b in pairwise(edges)] for run in runs])
    looked = np.isfinite(usable).all(axis=0)
    return Series(
        arrivals=rate([run.arrived for run in runs]),
        good=rate([run.ended[run.good] for run in runs]),
        lost=rate([run.ended[~run.good & np.isfinite(run.ended)] for run in runs]),
        p50=p50,
        p95=p95,
        p99=p99,
        usable=np.where(looked, usable.sum(axis=0) / max(len(runs), 1), math.nan),
        step=step,
        since=since,
    )
