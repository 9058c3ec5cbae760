"""The station of a model: which one it takes, and what its faults put around it."""

from __future__ import annotations

from collections.abc import Sequence

from lb.config import FaultTable, StationTable
from sim.model.faults import Clock, colds_of, faulty_station, spans_of
from sim.model.reneging import (
    Reneging,
    RenegingClocked,
    RenegingFifo,
    RenegingSharing,
    RenegingWarming,
)
from sim.model.separate import Dealer, Separate
from sim.model.slowing import SlowingFifo, SlowingSharing
from sim.model.speed import Course
from sim.model.stations import J, Station


def make(
    model: StationTable,
    faults: Sequence[FaultTable] = (),
    start: float = 0.0,
    *,
    noticed: bool = False,
    dealer: Dealer | None = None,
) -> Station[J]:
    """An empty station for `model`; one that jobs may leave when it is `noticed` that they do.

    It suffers those of `faults`, plain ones with times from `start` on, that are a matter of time.
    `dealer` deals jobs to workers that have a line each.
    """
    if model.plain and not noticed:
        return faulty_station(model, faults, start)
    if model.separate:
        assert dealer is not None, "nobody deals"
        alone = model.model_copy(update={"workers": 1})
        lines: list[Reneging[J]] = [
            reneging_station(alone, faults, start) for _ in range(model.workers)
        ]
        return Separate(lines, dealer, holds=model.holds)
    return reneging_station(model, faults, start)


def reneging_station(
    model: StationTable, faults: Sequence[FaultTable] = (), start: float = 0.0
) -> Reneging[J]:
    """One that jobs may leave."""
    it: Reneging[J] = _bare(model)
    spans = spans_of(faults)
    if model.speed is not None:
        it = RenegingClocked(it, Course(spans, model.speed, start))
    elif spans:
        it = RenegingClocked(it, Clock(spans, start))
    if colds := colds_of(faults):
        it = RenegingWarming(it, colds, start)
    return it


def _bare(model: StationTable) -> Reneging[J]:
    shared = model.discipline == "ps"
    if model.usl is None and not model.holds:
        kind = RenegingSharing if shared else RenegingFifo
        return kind(model.workers, model.queue)
    paces = [1.0, *(model.pace(n) for n in range(1, model.workers + 1))]
    if shared:
        return SlowingSharing(paces, model.queue)
    return SlowingFifo(paces, model.queue, holds=model.holds)
