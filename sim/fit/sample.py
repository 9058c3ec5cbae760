"""The figures of one run, measured or modelled: latencies, shares, how many failed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lb.errors import ConfigError
from lb.terminal import plain
from sim.analysis.record import Record
from sim.analysis.statistics import FIGURES, QUANTILES, ordered_metrics
from sim.fit.seen import Flags, Seen
from sim.model.laws import Floats

FAILED = "failed"
METRICS = (*FIGURES, FAILED)
"""What a gain may be told by: a latency, or the share of the requests that fail."""
COLD, TAIL = 0.05, 0.05
"""Share of a recording at its start that is not judged: what was in flight before is in nobody's
record; and at most at its end, where the replay has no later arrivals that slow others down."""
SLOWEST = 3.0
"""Times the p99 that is left out at the end, where that is less."""
MOST = 100_000
"""Requests of a recording that are replayed: what more of them would tell takes too long."""
CARRIES = 10
"""Requests beyond a quantile without which one run does not tell it."""


class Window(NamedTuple):
    """Arrivals that count, in seconds from the first."""

    since: float
    until: float
    share: float = 1.0
    """Of them, which a recording took at random."""

    def at(self, pace: float) -> Window:
        """The same arrivals when time runs `pace` times as fast."""
        return Window(self.since / pace, self.until / pace, self.share)

    def holds(self, arrived: Floats) -> Flags:
        """Whether each arrival counts."""
        inside: Flags = (arrived >= self.since) & (arrived <= self.until)
        return inside


@dataclass(frozen=True)
class Sample:
    """One run."""

    latency: Floats
    """Seconds, of the good answers, ascending."""
    mean: float
    shares: Floats
    """Of the good answers, each backend's in configured order; NaN where nobody says."""
    requests: int
    failed: int

    @classmethod
    def of(cls, latency: Floats, shares: Floats, failed: int) -> Sample:
        """`latency` in any order."""
        mean = float(latency.mean()) if len(latency) else float("nan")
        return cls(np.sort(latency), mean, shares, len(latency) + failed, failed)

    @property
    def figures(self) -> dict[str, float]:
        """`FIGURES` in seconds; NaN where no request succeeded."""
        if not len(self.latency):
            return dict.fromkeys(FIGURES, float("nan"))
        told = ordered_metrics(self.latency, self.mean)
        return {name: told[name] for name in FIGURES}

    @property
    def lost(self) -> float:
        """The share of requests that failed."""
        return self.failed / self.requests if self.requests else 0.0


def fewest(figure: str) -> int:
    """Good answers without which one run does not tell `figure`."""
    if figure not in QUANTILES:
        return CARRIES
    q = QUANTILES[figure]
    return round(CARRIES / min(q, 1 - q))


def modelled(record: Record, backends: int, window: Window) -> Sample:
    """Of a replication."""
    inside, lost = window.holds(record.arrived), window.holds(record.failures[0])
    if window.share < 1.0:
        luck = np.random.default_rng([record.requests, record.completed])
        inside &= luck.random(len(inside)) < window.share
        lost &= luck.random(len(lost)) < window.share
    failed = int(np.count_nonzero(lost))
    shares = np.bincount(record.backend[inside], minlength=backends) / max(inside.sum(), 1)
    return Sample.of(record.latency[inside], shares[:backends], failed)


def measured(seen: Seen, window: Window, places: Sequence[int], backends: int) -> Sample:
    """Of a recording; `places` says which of so many backends each of its own is."""
    told = window.holds(seen.arrived) & ~np.isnan(seen.ended)
    good = told & seen.good
    shares = np.full(backends, np.nan)
    if len(seen.request):
        rows = seen.last[good]
        mine = np.array(places, np.int64)[seen.backend[rows[rows >= 0]]]
        if len(mine):
            shares = np.bincount(mine[mine >= 0], minlength=backends) / len(mine)
    failed = int(np.count_nonzero(told & ~good))
    return Sample.of((seen.ended - seen.arrived)[good], shares, failed)


def window_of(seen: Seen, warmup: float | None) -> tuple[Window, list[str]]:
    """Which arrivals count, and what should be known of it. Raises ConfigError where none would."""
    source = seen.observed.source
    if not len(seen):
        raise ConfigError([f"{source}: holds no request"])
    if not seen.good.any():
        lacking = sorted(seen.observed.lacking & {"ended", "outcome", "status"})
        why = f"it does not say {', '.join(lacking)}" if lacking else "all requests failed"
        hint = "a log with the time each took is needed; see lb calibrate --help"
        raise ConfigError([f"{source}: no good answer with its time: {why}; {hint}"])
    length = float(seen.arrived[min(len(seen), MOST) - 1])
    latency = seen.latency
    cool = min(TAIL * length, SLOWEST * float(np.quantile(latency, 0.99)))
    since, until = (COLD * length if warmup is None else warmup), length - cool
    remarks = []
    if len(seen) > MOST:
        remarks.append(
            f"the first {MOST:,} of {len(seen):,} requests are replayed, {plain(length)} s"
        )
    open_ = np.isnan(seen.ended)
    open_ &= seen.arrived <= length
    if open_.any():
        first = float(seen.arrived[open_][0])
        if first >= (1 - 2 * TAIL) * length:
            until = min(until, float(np.nextafter(first, 0.0)))
        else:
            often = int(open_.sum())
            remarks.append(f"{often} requests have no end in {source}: they are left out")
    if since >= until:
        why = (
            f"lasts {plain(length, 3)} s, and nothing is left after {plain(since, 3)} s of warm-up"
        )
        raise ConfigError([f"{source}: {why}; record for longer"])
    return Window(since, until, seen.observed.share), remarks
