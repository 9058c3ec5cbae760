"""What `calibrate` gives: the model, the file that says it, its replay of the recording."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from lb.config import Scenario
from sim.fit.calibrate import based, replay, telling, writing
from sim.fit.calibrate.model import Fitted
from sim.model.arrivals import Schedule
from sim.model.laws import Floats


@dataclass(frozen=True)
class Calibration(Fitted):
    """A model, and how well it replays its recording."""

    replayed: replay.Replayed | None = field(default=None, compare=False)
    """None where that was not tried."""
    base: tuple[Scenario, str] | None = field(default=None, compare=False)
    """A file whose other tables are kept, and what it is called."""

    @property
    def error(self) -> dict[str, float]:
        """Of the replay: mean, p50, p95 and p99 over those recorded, less one; empty without."""
        return {} if self.replayed is None else self.replayed.error

    @property
    def lived(self) -> Scenario:
        """The file with the algorithm that balanced what was recorded."""
        if self.base is None or self.seen.observed.setup is None:
            return self.scenario
        own = writing.scenario(self, {}).algorithm
        return self.scenario.model_copy(update={"algorithm": own})

    @cached_property
    def scenario(self) -> Scenario:
        """The whole file, as code has it."""
        found = writing.scenario(self, self.error)
        if self.base is None:
            return found
        return based.based(found, *self.base, self.seen.observed.source)

    def based_on(self, file: Scenario, name: str) -> Calibration:
        """The same with all but models, traffic and faults as `file` has it, backends in its order.

        It is called `name`. Raises ConfigError where none of its backends was recorded.
        """
        told = based.remarks(self.scenario, file, name, self.seen.observed.source)
        places = based.matched(self.scenario, file)
        order = sorted(
            range(len(places)),
            key=lambda row: math.inf if (place := places[row]) is None else place,
        )
        backends = tuple(self.backends[row] for row in order)
        there = replace(self, base=(file, name), backends=backends, remarks=(*self.remarks, *told))
        _ = there.scenario  # which contradictions end
        return there

    def schedule(self, number: int = 0) -> Schedule:
        """The recorded arrivals and keys, with sizes drawn from the laws found; another draw for
        each `number`.
        """
        return replay.schedule(self, self.scenario, number)

    def text(self, beside: dict[str, Floats] | None = None) -> str:
        """The scenario file, with comments that tell intervals.

        What fits no law is a list of values in it; or, where `beside` is given, a file of its own,
        whose name and numbers are put there for whoever writes both.
        """
        return writing.text(self, self.scenario, beside)

    def as_dict(self) -> dict[str, Any]:
        """For `lb calibrate --json`."""
        return telling.as_dict(self, self.scenario, self.replayed)
