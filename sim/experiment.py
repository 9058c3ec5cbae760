"""One scenario under several algorithms: replications, common random numbers, the result."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lb.config import Scenario
from lb.errors import ConfigError, UsageError
from lb.strategies import parse
from sim.analysis.record import Record
from sim.engine.jobs import Job, run_all
from sim.model.arrivals import Schedule
from sim.result import Result
from sim.summary import summarise


def simulate(
    scenario: Scenario,
    algorithms: str | Sequence[str] | None = None,
    *,
    schedule: Schedule | None = None,
    on_replication: Callable[[], None] | None = None,
    timeline: bool = False,
) -> Result:
    """Simulate `scenario` under each of `algorithms`, names or one name (default: the file's own).

    All algorithms see the same requests at the same times with the same sizes. `schedule` replaces
    the drawn one in every replication; replications then differ by the balancer's own randomness
    and the network only. `on_replication` is called after each replication. `timeline`:
    write down what a timeline shows, which runs that change with time do by themselves.

    Raises ConfigError when the scenario lacks models, traffic or keys, UsageError for an unknown or
    repeated algorithm.
    """
    given = [algorithms] if isinstance(algorithms, str) else algorithms
    names = list(given or [scenario.algorithm.name])
    for name in names:
        parse(name)
        if names.count(name) > 1:
            raise UsageError(f"algorithm {name!r} is given twice")
    if schedule is not None:
        schedule.check(scenario)
    keys = scenario.offered().keys if schedule is None else schedule.keys
    if keys is None and (lacking := scenario.keyless(names)):
        raise ConfigError(lacking)
    jobs = [
        Job(scenario, tuple(names), replication, schedule, timeline or None)
        for replication in range(scenario.run.replications)
    ]
    records: dict[str, list[Record]] = {name: [] for name in names}
    wall = dict.fromkeys(names, 0.0)
    for done in run_all(jobs, on_replication):
        records[done.algorithm].append(done.record)
        wall[done.algorithm] += done.seconds
    return summarise(scenario, records, wall, scenario.rate if schedule is None else schedule.rate)
