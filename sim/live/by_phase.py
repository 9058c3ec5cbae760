"""Each phase of a live run beside the same of those predicted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.analysis.distances import Distance, distance
from sim.analysis.record import Record
from sim.live.line import OF_LATENCY, Figure, Line, latency_figures
from sim.live.phases import Phase
from sim.live.seen import Seen
from sim.model.laws import Floats

ANYTHING = 0.01
"""Share of the requests that a distribution is not judged by: a percentile is judged by itself."""
FEWEST = 20
"""Requests of a phase that are enough to judge it."""
LOOSE = 4.0
"""Times as far off that latencies may be while there is trouble, and until it is over: what is left
of a capacity that hardly suffices decides how long lines get, and a hundredth of it makes much of
that."""
LOOSE_WAY = 0.05
"""Seconds that latencies may be off there in any case."""
LOOSE_SHARE, LOOSE_FAILED = (0.2, 0.05), (0.2, 5.0)
"""The same of shares and of failures, relative and in any case."""


@dataclass(frozen=True)
class PhaseVerdict:
    """One phase, measured beside predicted."""

    phase: Phase
    requests: int
    distribution: Distance
    latency: dict[str, Line]
    shares: dict[str, Line] = field(default_factory=dict)
    failures: Line | None = None

    @property
    def lines(self) -> dict[str, Line]:
        """All that is judged of it but its distribution."""
        shares = {f"share of {name}": line for name, line in self.shares.items()}
        failed = {} if self.failures is None else {"failed": self.failures}
        return {**self.latency, **shares, **failed}

    @property
    def misses(self) -> list[str]:
        found = [name for name, line in self.lines.items() if not line.ok]
        return found if self.distribution.ok else ["distribution", *found]

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.phase.name,
            "from": self.phase.since,
            "to": self.phase.until,
            "requests": self.requests,
            "ok": not self.misses,
            "latency": {name: line.as_dict() for name, line in self.latency.items()},
            "distribution": self.distribution.as_dict(),
            "shares": {name: line.as_dict() for name, line in self.shares.items()},
            "failed": None if self.failures is None else self.failures.as_dict(),
        }


@dataclass(frozen=True)
class PhaseFigures:
    """What a phase is judged by, before it is known how many are judged together."""

    phase: Phase
    requests: int
    measured: Floats
    runs: list[Floats]
    tolerance: float
    slack: float
    """Seconds that latencies may be off in any case."""
    latency: dict[str, Figure]
    shares: dict[str, Figure]
    failures: Figure

    @property
    def judged(self) -> int:
        """How many figures."""
        all_ = (*self.latency.values(), *self.shares.values(), self.failures)
        return 1 + sum(one.judged for one in all_)

    def verdict(self, level: float) -> PhaseVerdict:
        """`level`: of each figure."""
        return PhaseVerdict(
            self.phase,
            self.requests,
            distance(self.measured, self.runs, level, self.tolerance, ANYTHING, self.slack),
            {name: one.line(level) for name, one in self.latency.items()},
            {name: one.line(level) for name, one in self.shares.items()},
            self.failures.line(level),
        )


def phase_figures(seen: Seen, names: Sequence[str]) -> list[PhaseFigures]:
    """`names` are those of the backends, where shares are told; phases too short are left out."""
    found = []
    for phase in seen.phases:
        count = int(np.count_nonzero(phase.holds(seen.due)))
        if count >= FEWEST:
            found.append(_figures(seen, phase, count, names))
    return found


def _figures(seen: Seen, phase: Phase, count: int, names: Sequence[str]) -> PhaseFigures:
    allowed = seen.scenario.verdict
    times, way = (LOOSE, LOOSE_WAY) if phase.loose else (1.0, seen.way)
    mine = phase.holds(seen.live.arrived)
    runs = [(record, phase.holds(record.arrived)) for record in seen.records]
    measured, *paper = [record.latency[rows] for record, rows in ((seen.live, mine), *runs)]
    shares = {
        name: Figure(
            _share(seen.live, mine, order),
            [_share(record, rows, order) for record, rows in runs],
            *(LOOSE_SHARE if phase.loose else (allowed.share, 0.0)),
        )
        for order, name in enumerate(names)
    }
    lost = ~seen.fates.good & phase.holds(seen.fates.arrived)
    tolerance, slack = LOOSE_FAILED if phase.loose else (allowed.failed, 0.0)
    failures = Figure(
        float(np.count_nonzero(lost)),
        [_failed(record, phase) for record in seen.whole],
        tolerance,
        slack,
        counted=True,
    )
    return PhaseFigures(
        phase,
        count,
        measured,
        paper,
        times * allowed.p50,
        way,
        latency_figures(
            measured,
            paper,
            OF_LATENCY,
            [times * share for share in (allowed.p50, allowed.p95, allowed.p99)],
            way,
        ),
        shares,
        failures,
    )


def _share(record: Record, rows: NDArray[np.bool_], order: int) -> float:
    count = int(np.count_nonzero(rows))
    return float(np.count_nonzero(record.backend[rows] == order)) / count if count else math.nan


def _failed(record: Record, phase: Phase) -> float:
    return float(np.count_nonzero(phase.holds(record.failures[0])))
