"""What modelled backends make of the very requests that live ones got, when they got them.

Backends where requests stay longer than predicted are not slow if the balancer sent them too many
at a time: then their model keeps those requests just as long.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sim.live.seen import Seen
from sim.model.arrivals import streams
from sim.model.laws import Floats, draw, shape
from sim.model.making import make
from sim.model.stations import Station

DRAWS = 20
"""Of the work of backends that do not say what they did."""


class Kept(NamedTuple):
    """Mean stay at a backend of the requests that it got, seconds."""

    stayed: float
    """By the clients' clock, without the way."""
    modelled: float
    low: float
    high: float
    """The least and the most of `DRAWS` of the model."""


def stays_as_got(seen: Seen) -> list[tuple[Floats, Floats]] | None:
    """Of each backend, how long requests stayed, and would have at its model; seconds.

    None where that is not all there is to it: requests that failed, faults, stations that backends
    share, lines of workers that chance deals, or answers that do not say how long they stayed.
    """
    scenario, schedule = seen.scenario, seen.schedule
    models = [model for _, model in scenario.modelled()]
    sojourn = seen.measured.sojourn
    if schedule is None or sojourn is None or not _all_there_is(seen):
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


def kept_as_got(seen: Seen, names: Sequence[str]) -> dict[str, Kept]:
    """The same by backend where answers do not say how long they stayed nor what work it was.

    Their clients know when they came back, and the law of the service what it may have been. Empty
    where that is not all there is to it, or answers do not name their backend.
    """
    scenario, measured = seen.scenario, seen.measured
    ways = [(it.latency - (it.left - it.reached)).mean() for it in seen.records if len(it.arrived)]
    if not _all_there_is(seen) or not ways:
        return {}
    way, found = float(np.mean(ways)), {}
    for place, (name, (_, model)) in enumerate(zip(names, scenario.modelled(), strict=False)):
        mine = np.flatnonzero(measured.backend == place)
        mine = mine[np.argsort(measured.sent[mine], kind="stable")]
        judged = seen.due[mine] >= seen.cut
        if not judged.any():
            continue
        came, rng = measured.sent[mine], streams(scenario.run.seed, place, "kept")[0]
        means = [
            float(stays[judged & np.isfinite(stays)].mean())
            for _ in range(DRAWS)
            for stays in [_stays(make(model), came, draw(model.service, rng, len(mine)))]
        ]
        stayed = float((measured.ended[mine] - came)[judged].mean()) - way
        found[name] = Kept(stayed, float(np.mean(means)), min(means), max(means))
    return found


def _all_there_is(seen: Seen) -> bool:
    models = [model for _, model in seen.scenario.modelled()]
    shared = any(model.then is not None or model.separate for model in models)
    return not shared and not seen.scenario.faults and bool(seen.fates.good.all())


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
