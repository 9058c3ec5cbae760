"""Whether backends can carry a setting, and whether that hangs on what could not be identified."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from lb.config import Errors, FaultTable, Scenario
from lb.errors import UsageError
from sim.fit.predict.runs import Ran, Setting
from sim.fit.unidentified import CURE, at, in_words, lightest, unknowns
from sim.fit.whatif import WhatIf


class Load(NamedTuple):
    """Of a setting."""

    offered: float
    """Work over what is left to serve it; infinite where nothing is."""
    why: str = ""
    """Why there are no figures, if there are none."""
    sure: bool = True
    """Whether it is too much at whatever end of what could not be identified."""


def offered(asked: WhatIf, now: Scenario) -> Load:
    """By arithmetic, before anything is simulated; `now` is the current setting."""

    def load(there: Scenario) -> float:
        left = asked.left(asked.applied(there))
        return 0.0 if left.bounded else left.utilisation

    try:
        own, value = load(now), asked.left(asked.applied(now)).utilisation
    except UsageError:
        return Load(math.inf, "no backend would be left")
    if own < 1:
        return Load(value)
    least, keys = lightest(now, load)
    if least < 1:
        return Load(own, f"{own:.2f} of capacity by the file, {_hangs(now, keys, least)}", False)
    why = f"{least:.2f} of capacity: the backends cannot keep up, lines grow as long as it lasts"
    return Load(own, why)


def overloaded(asked: WhatIf, now: Scenario, other: Setting, before: Setting) -> Load | None:
    """A backend that is sent more than it can serve, where nobody is now (`before`); None where
    there is none.
    """
    if any(map(partial(_passes, other.scenario.length), other.scenario.faults)):
        return None
    there_before = {row.address for row, load in _loads(before.scenario, before.runs) if load >= 1}
    for place, (row, load) in enumerate(_loads(other.scenario, other.runs)):
        if load < 1 or row.address in there_before:
            continue
        for ends, both in zip(unknowns(now.calibration), other.ends, strict=True):
            for keys, runs in zip(ends, both, strict=True):
                _, least = _loads(asked.applied(at(now, keys)), runs)[place]
                if least < 1:
                    why = f"{row.label} is sent {load:.2f} of what it can serve by the file, "
                    return Load(load, why + _hangs(now, keys, least), False)
        why = f"{row.label} is sent {load:.2f} of what it can serve: its line grows as long as it "
        return Load(load, why + "lasts")
    return None


def _passes(length: float, fault: FaultTable) -> bool:
    """Whether what is sent meanwhile, or can be served, is not so all the time."""
    return not isinstance(fault, Errors) and (fault.since > 0 or fault.until < length)


def _hangs(now: Scenario, keys: dict[str, object], least: float) -> str:
    return (
        f"and {least:.2g} at the other end of what was not identified: it cannot be told without "
        f"{in_words(now, keys)}; {CURE}"
    )


def _loads(scenario: Scenario, runs: Sequence[Ran]) -> list[tuple[Any, float]]:
    """Work sent to each backend over its capacity; 0 where its line cannot grow for ever."""
    rate, length, work = scenario.rate, scenario.length, scenario.offered().work
    found = []
    for place, (row, model) in enumerate(scenario.modelled()):
        sent = float(np.mean([run.entered[place] / max(run.requests, 1) for run in runs]))
        limited = scenario.bounded or model.queue is not None or row.max_in_flight is not None
        capacity = scenario.capacity_of(model, length)
        found.append((row, 0.0 if limited else sent * rate * work / capacity))
    return found
