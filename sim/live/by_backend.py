"""Each backend of a live run by itself: what its clients waited, and what it says it worked."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from sim.live.line import Figure, latency_figures
from sim.live.seen import Seen
from sim.model.laws import shape

SERVICE = 0.05
"""By how much a backend's work may differ from its model's, relative."""


def backend_figures(seen: Seen, names: Sequence[str]) -> dict[str, dict[str, Figure]]:
    """p50 and p95 of each backend's clients while all is calm, and the mean of its work.

    Its work is that of the requests which it says it worked at, beside what the model makes of the
    very same ones.
    """
    allowed = seen.scenario.verdict
    runs_calm = [(record, seen.calm(record.arrived)) for record in (seen.live, *seen.records)]
    found: dict[str, dict[str, Figure]] = {}
    for order, name in enumerate(names):
        measured, *runs = (
            record.latency[(record.backend == order) & calm] for record, calm in runs_calm
        )
        tolerances = (allowed.p50, allowed.p95)
        found[name] = latency_figures(measured, runs, ("p50", "p95"), tolerances, seen.way)
        service = service_figure(seen, order)
        if service is not None:
            found[name]["service"] = service
    return found


def service_figure(seen: Seen, order: int) -> Figure | None:
    """Mean work of the requests that a backend says it worked at; None where it says nothing, and
    of users' requests where long ones may be missing.
    """
    said = seen.column("service")
    mine = (seen.live.backend == order) & np.isfinite(said)
    if not mine.any():
        return None
    law = seen.scenario.modelled()[order][1].service
    if seen.schedule is None and seen.scenario.offered().work_by_key is not None:
        return None
    measured = float(said[mine].mean())
    if seen.schedule is not None and shape(law) in seen.schedule.shapes:
        sizes = seen.schedule.sizes[seen.schedule.shapes.index(shape(law))]
        expected = float(sizes[seen.answered][mine].mean()) * law.mean
        return Figure(measured, [expected], SERVICE, slack=1e-5)
    if seen.gave_up:  # mostly on long ones: the others say less than the law
        return None
    # Users' requests have no work that is known here, and a backend draws what it is not told.
    error = float(said[mine].std()) / math.sqrt(int(mine.sum()))
    return Figure(measured, [law.mean], SERVICE, slack=SERVICE * law.mean + 4 * error)
