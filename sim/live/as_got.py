"""What modelled backends make of the very requests that live ones got, when they got them.

Backends where requests stay longer than predicted are not slow if the balancer sent them too many
at a time: then their model keeps those requests just as long.
"""

from __future__ import annotations

import numpy as np

from sim.live.seen import Seen
from sim.model.laws import Floats, shape
from sim.model.making import make
from sim.model.stations import Station


def stays_as_got(seen: Seen) -> list[tuple[Floats, Floats]] | None:
    """Of each backend, how long requests stayed, and would have at its model; seconds.

    None where that is not all there is to it: requests that failed, faults, stations that backends
    share, lines of workers that chance deals, or answers that do not say how long they stayed.
    """
    scenario, schedule = seen.scenario, seen.schedule
    models = [model for _, model in scenario.modelled()]
    sojourn = seen.measured.sojourn
    if schedule is None or sojourn is None or scenario.faults or not seen.fates.good.all():
        return None
    if any(model.then is not None or model.separate for model in models):
        return None
    if not np.isfinite(sojourn).all():
        return None
    late = np.nan_to_num(seen.measured.late) if seen.measured.late is not None else 0.0
    way = seen.measured.ended - seen.measured.sent - sojourn - late
    came = seen.measured.sent + way / 2
    found = []
    for place, model in enumerate(models):
        mine = np.flatnonzero(seen.measured.backend == place)
        mine = mine[np.argsort(came[mine], kind="stable")]
        row = schedule.sizes[schedule.shapes.index(shape(model.service))]
        work = row[mine] * model.service.mean
        stays = _stays(make(model), came[mine], work)
        kept = (schedule.times[mine] >= seen.cut) & np.isfinite(stays)
        found.append((sojourn[mine][kept], stays[kept]))
    return found


def _stays(station: Station[int], came: Floats, work: Floats) -> Floats:
    """Seconds; infinite for those that find no place."""
    left = np.full(len(came), np.inf)
    for index, (now, service) in enumerate(zip(came.tolist(), work.tolist(), strict=True)):
        while station.next_departure() <= now:
            due, job = station.depart()
            left[job] = due
        station.arrive(index, now, service)
    while station.next_departure() < np.inf:
        due, job = station.depart()
        left[job] = due
    stays: Floats = left - came
    return stays
