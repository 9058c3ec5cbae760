"""A live run and the runs predicted of it, cut alike: what every judgement starts from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lb.config import Scenario
from sim.analysis.fates import Fates
from sim.analysis.record import Record
from sim.live.lateness import Lateness
from sim.live.measurement import Measurement
from sim.live.phases import Phase, phases
from sim.model.arrivals import Schedule
from sim.model.laws import Floats

WAY, UNSAID = 0.002, 0.005
"""Seconds that latencies of parts of a run may be off in any case: what the way and the balancer
cost differs by as much from machine to machine, and by more where the file has no network at all.
"""


@dataclass(frozen=True)
class Seen:
    """One live run beside its prediction."""

    scenario: Scenario
    schedule: Schedule | None
    """None for users, who have none."""
    measured: Measurement
    whole: list[Record]
    """The predicted runs, from their start."""
    cut: float
    """Seconds from the start that are not judged on either side."""

    @property
    def due(self) -> Floats:
        """When each request should have left."""
        return self.measured.due_by(self.schedule)

    @property
    def way(self) -> float:
        """Seconds that parts of its latencies, and distributions, may be off in any case."""
        return UNSAID if self.scenario.offered().network is None else WAY

    @property
    def way_of_all(self) -> float:
        """The same of the latencies of the whole run: nothing, where the file has a network."""
        return WAY if self.scenario.offered().network is None else 0.0

    @cached_property
    def records(self) -> list[Record]:
        """The predicted runs after the cut."""
        return [record.after(self.cut) for record in self.whole]

    @cached_property
    def answered(self) -> NDArray[np.intp]:
        """Rows of the measurement with a good answer, after the cut."""
        return np.flatnonzero(np.isfinite(self.measured.ended) & (self.due >= self.cut))

    @cached_property
    def live(self) -> Record:
        """The live run after the cut."""
        rows, measured = self.answered, self.measured
        started, ended = measured.sent[rows], measured.ended[rows]
        return Record(
            requests=len(self.due),
            arrived=self.due[rows],
            started=started,
            ended=ended,
            backend=measured.backend[rows],
            reached=started,
            left=ended,
            until=float(self.due[-1]) if len(self.due) else 0.0,
        )

    @cached_property
    def fates(self) -> Fates:
        """Of every request of the live run, from its start."""
        return self.measured.fates(self.schedule)

    @property
    def gave_up(self) -> bool:
        """Whether somebody may have taken no answer, or another's, for one that took long."""
        file = self.scenario
        hurried = file.timeouts.attempt is not None or file.hedging.after is not None
        return hurried or not self.fates.good.all()

    @cached_property
    def phases(self) -> list[Phase]:
        """Those of the time after the cut; none where all of it is alike."""
        last = float(self.due[-1]) if len(self.due) else 0.0
        runs = [record.fates for record in self.whole]
        return phases(self.scenario, runs, self.cut, last)

    def calm(self, arrived: Floats) -> NDArray[np.bool_]:
        """Which of these arrivals are in no trouble, nor in what it has left behind."""
        if not self.phases:
            return np.ones(len(arrived), bool)
        found = np.zeros(len(arrived), bool)
        for phase in self.phases:
            if not phase.loose:
                found |= phase.holds(arrived)
        return found

    @cached_property
    def lateness(self) -> Lateness:
        """How late its requests left, after the cut."""
        sent = np.isfinite(self.measured.sent) & (self.due >= self.cut)
        due = self.due[sent]
        return Lateness(due, self.measured.sent[sent] - due)

    def column(self, name: str) -> Floats:
        """What the measurement says of each answered request; NaN where it does not."""
        found: Floats | None = getattr(self.measured, name)
        return np.full(len(self.answered), np.nan) if found is None else found[self.answered]

    def sooner(self, by: Floats) -> Seen:
        """The same run with each of its answers so much earlier, seconds."""
        ended = self.measured.ended.copy()
        ended[self.answered] -= by
        return replace(self, measured=replace(self.measured, ended=ended))
