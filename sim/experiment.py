"""One scenario under several algorithms: replications, common random numbers, the result."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lb.config import Scenario
from lb.errors import ConfigError, UsageError
from lb.strategies import parse
from sim.analysis.record import Record
from sim.crew import Crew, Workers
from sim.engine.jobs import Job, run_all
from sim.model.arrivals import Schedule
from sim.result import Result
from sim.summary import summarise


def simulate(
    scenario: Scenario,
    algorithms: str | Sequence[str] | None = None,
    *,
    schedule: Schedule | None = None,
    workers: Workers = 1,
    on_replication: Callable[[], None] | None = None,
    timeline: bool = False,
) -> Result:
    """Simulate `scenario` under each of `algorithms`, names or one name (default: the file's own).

    All algorithms see the same requests at the same times with the same sizes. `schedule` replaces
    the drawn one in every replication; replications then differ by the balancer's own randomness
    and the network only. `workers` is a number of processes, this one included, "auto" for all
    cores where that is quicker, or a `concurrent.futures.Executor`; results do not depend on it.
    `on_replication` is called after each replication of each algorithm. `timeline`: write down what
    a timeline shows, which runs that change with time do by themselves.

    Raises ConfigError when the scenario lacks models, traffic or keys, or is offered more than it
    can serve and says neither how much nor how long, UsageError for an unknown or
    repeated algorithm, WorkerDied, and Interrupted where Ctrl-C leaves whole replications.
    """
    given = [algorithms] if isinstance(algorithms, str) else algorithms
    names = list(given or [scenario.algorithm.name])
    for name in names:
        parse(name)
        if names.count(name) > 1:
            raise UsageError(f"algorithm {name!r} is given twice")
    if schedule is not None:
        schedule.check(scenario)
    keyed = scenario.offered().keyed if schedule is None else schedule.keys is not None
    if not keyed and (lacking := scenario.keyless(names)):
        raise ConfigError(lacking)
    if schedule is None and (endless := scenario.endless()):
        raise ConfigError(endless)
    jobs = [
        Job(scenario, tuple(names), replication, schedule, timeline or None)
        for replication in range(scenario.run.replications)
    ]
    records: dict[str, list[Record]] = {name: [] for name in names}
    wall = dict.fromkeys(names, 0.0)
    rate = scenario.rate if schedule is None else schedule.rate
    try:
        with Crew(workers) as crew:
            for done in run_all(jobs, on_replication, crew):
                records[done.algorithm].append(done.record)
                wall[done.algorithm] += done.seconds
    except KeyboardInterrupt:
        # Those that are complete up to the first that is not: any other choice would favour
        # replications that are quickly simulated, which are not like the rest.
        whole = min(map(len, records.values()))
        if not whole:
            raise
        kept = {name: mine[:whole] for name, mine in records.items()}
        run = scenario.run.model_copy(update={"replications": whole})
        shorter = scenario.model_copy(update={"run": run})
        of = scenario.run.replications
        so_far = summarise(shorter, kept, wall, rate, drawn=schedule is None)
        raise Interrupted(so_far, of) from None
    return summarise(scenario, records, wall, rate, drawn=schedule is None)


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, after some replications."""

    def __init__(self, result: Result, of: int) -> None:
        super().__init__(f"{result.scenario.run.replications} of {of} replications")
        self.result = result
        """Of the replications that every algorithm has done; they are those that its `scenario`
        asks for."""
