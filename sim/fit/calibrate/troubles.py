"""What goes wrong at a backend: errors, resets and refusals, all the time or from when to when."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from lb.traces.observed import CONNECT, RESET, SERVER_ERROR
from sim.analysis.statistics import Estimate
from sim.fit.calibrate.segments import segments
from sim.fit.seen import Visits

KINDS = ((SERVER_ERROR, "errors"), (RESET, "reset"), (CONNECT, "down"))
"""Outcomes, and the fault that explains them."""
FEWEST = 3
"""Failures from which a fault is written."""
QUICK = 0.2
"""Of a good answer's time: errors that take less are no work."""
FOR_EVER = 86_400.0
"""Seconds: what lasts to the end of a recording lasts to that of any run."""
ALWAYS = 0.9
"""The share of failures from which it is all."""


@dataclass(frozen=True)
class Trouble:
    """A fault as the file has it."""

    backend: str
    kind: str
    since: float
    until: float
    rate: Estimate
    """The share of attempts, 1 at most."""

    def table(self) -> dict[str, Any]:
        """Keys of a [[fault]]; times in seconds."""
        row: dict[str, Any] = {"backend": self.backend, "kind": self.kind}
        row |= {"from": self.since, "to": self.until}
        if self.kind in ("errors", "reset"):
            row["rate"] = min(float(f"{self.rate.value:.4g}"), 1.0)
        return row


def quick_errors(visits: Visits) -> bool:
    """Whether errors come before any work is done."""
    failed = visits.answered & visits.failed
    fine = visits.answered & ~visits.failed
    if not failed.any() or not fine.any():
        return False
    took = visits.first_byte - visits.started
    return bool(np.median(took[failed]) < QUICK * np.median(took[fine]))


def troubles(name: str, visits: Visits, *, quick: bool) -> Iterator[Trouble]:
    """Of one backend, not two at a time."""
    taken: list[tuple[float, float]] = []
    counts = sorted(KINDS, key=lambda row: -int(np.count_nonzero(visits.outcome == row[0])))
    for outcome, kind in counts:
        struck = (visits.outcome == outcome).astype(float)
        if struck.sum() < FEWEST:
            continue
        for a, b in segments(struck):
            number, of = float(struck[a:b].sum()), b - a
            rate = share(number, of)
            if number < FEWEST or rate.value < 5e-4:
                continue
            since = 0.0 if a == 0 else float(visits.started[a])
            until = FOR_EVER if b == len(struck) else float(visits.started[b])
            if kind == "down" and rate.value < ALWAYS:
                continue
            told = "fail_fast" if kind == "errors" and quick and rate.value > ALWAYS else kind
            if until <= since or any(x < until and since < y for x, y in taken):
                continue
            taken.append((since, until))
            yield Trouble(name, told, _rounded(since), _rounded(until), rate)


def share(number: float, of: int) -> Estimate:
    """A proportion with its 95 % interval (Wilson 1927)."""
    z = 1.96
    p = number / of
    middle = (p + z * z / (2 * of)) / (1 + z * z / of)
    half = z * math.sqrt(p * (1 - p) / of + z * z / (4 * of * of)) / (1 + z * z / of)
    return Estimate(p, max(middle - half, 0.0), min(middle + half, 1.0))


def _rounded(seconds: float) -> float:
    return float(f"{seconds:.6g}")
