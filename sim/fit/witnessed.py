"""A simulated run as if it had been recorded: for trying on paper what is meant for recordings."""

from __future__ import annotations

from typing import Any

import numpy as np

from lb.config import Scenario
from lb.traces.observed import REFUSED, Observed, Observing
from sim.analysis.record import Record
from sim.engine.world import World
from sim.model.arrivals import Schedule


def witnessed(scenario: Scenario, replication: int = 0, source: str = "on paper") -> Observed:
    """One replication of `scenario` under its own algorithm, and how it was set up.

    Requests that failed have no attempts, and those that came at one moment may have each other's
    keys. Raises ConfigError.
    """
    users = scenario.offered().users is not None
    schedule = None if users else Schedule.draw(scenario, replication)
    record = World(scenario, schedule, None, replication, watched=False).replicate()
    return observed(scenario, schedule, record, source)


def observed(
    scenario: Scenario, schedule: Schedule | None, record: Record, source: str = "on paper"
) -> Observed:
    """What somebody beside the balancer would have written down of `record`."""
    rows = Observing(source)
    names = [row.label for row in scenario.backends]
    for name in names:
        rows.backend(name)

    def told(arrived: float) -> dict[str, Any]:
        """Its key, and the balancer that it came to."""
        if schedule is None:
            return {}
        row = int(np.searchsorted(schedule.times, arrived))
        key = None if schedule.keys is None else schedule.key(row)
        return {
            "key": key,
            "balancer": 0 if schedule.balancers is None else int(schedule.balancers[row]),
        }

    columns = (record.arrived, record.started, record.ended, record.backend)
    for arrived, started, ended, backend in zip(*map(np.ndarray.tolist, columns), strict=True):
        number = rows.request(arrived, ended, **told(arrived))
        rows.attempt(number, names[backend], started, started, ended, ended)
    for arrived, ended in record.failures.T.tolist():
        rows.request(arrived, ended, REFUSED, **told(arrived))
    lacking = frozenset({"status", "bytes_in", "bytes_out"})
    return rows.done(setup=scenario.setup(), lacking=lacking)
