"""What somebody should know who trusts a model: what changed, what is hardly known."""

from __future__ import annotations

import math

import numpy as np

from sim.fit.calibrate.arrivals import Process
from sim.fit.calibrate.keys import Keys
from sim.fit.calibrate.model import Backend
from sim.fit.seen import Seen


def remarks(
    seen: Seen, arrivals: Process, popularity: Keys | None, backends: tuple[Backend, ...]
) -> list[str]:
    """A sentence each."""
    told = list(arrivals.remarks)
    if seen.observed.share < 1.0:
        told.append("a sample does not tell who waited for whom: its model is a rough one")
    for row in backends:
        if row.guessed:  # which is told with what is unknown
            continue
        if row.course:
            changes = ", ".join(f"{speed:.3g} from {at:.3g} s on" for at, speed in row.course)
            told.append(f"{row.name} changes its speed: {changes}")
        if (maybe := row.station.maybe) is not None and maybe.usl is not None:
            told.append(
                f"{row.name}: {maybe.workers} workers that slow each other down (contention "
                f"{maybe.usl.contention:.2g}) are likelier by a little; a longer recording tells"
            )
        if row.doubt:
            told.append(f"{row.name}: {row.doubt}")
    if popularity is not None and popularity.distance > 0.1:
        told.append("keys are not as Zipf's law has them; replay the recording for hash algorithms")
    short = max(float(row.station.stays.cut.mean()) for row in backends)
    if short > 0.2:
        told.append(f"{short:.0%} of the attempts were cut short: services are of those answered")
    broken = int(np.count_nonzero(~seen.good))
    lost = broken / max(len(seen), 1)
    if lost > 0.02:
        told.append(f"{lost:.1%} of the requests had no good answer")
    if math.isfinite(arrivals.rate.value) and len(seen) < 5000:
        told.append(f"{len(seen)} requests: intervals are wide; a model is good from 5000 on")
    return told
