"""One scenario under several algorithms: replications, common random numbers, the result."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from lb.config import Scenario
from lb.errors import ConfigError, UsageError
from lb.strategies import parse
from sim.crew import Crew, Workers
from sim.engine.jobs import Done, Job, run_all
from sim.model.arrivals import Schedule
from sim.model.flow import flows
from sim.outline import first_counted, outline
from sim.precision import FEWEST, MOST_REQUESTS, checked, replications
from sim.result import Result
from sim.summary import summarise


def simulate(
    scenario: Scenario,
    algorithms: str | Sequence[str] | None = None,
    *,
    schedule: Schedule | None = None,
    vary: Callable[[Schedule, int], Schedule] | None = None,
    workers: Workers = 1,
    precision: Mapping[str, float] | None = None,
    max_requests: int = MOST_REQUESTS,
    on_replication: Callable[[], None] | None = None,
    timeline: bool = False,
    trace: bool = True,
) -> Result:
    """Simulate `scenario` under each of `algorithms`, names or one name (default: the file's own).

    All algorithms see the same requests at the same times with the same sizes. `schedule` replaces
    the drawn one in every replication; replications then differ by the balancer's own randomness
    and the network only, and by what `vary` makes of it for each, by number. `workers` is a number
    of processes, this one included, "auto" for all cores where that is quicker, or a
    `concurrent.futures.Executor`; results do not depend on it.
    `precision`, half the width of an interval over its value by figure (`{"p99": 0.02}`), adds
    replications until every algorithm has it; the result's scenario says how many they became.
    `on_replication` is called after each replication of each algorithm. `timeline`: write down what
    a timeline shows, which runs that change with time do by themselves.

    Without `trace` the result has no `records`. Where requests come one by one at a steady rate to
    plain backends without faults, they are then drawn as they come and only counted, in buckets
    that are off by 0.4 % at most, so that any number of them takes no memory; the warm-up is
    the one of theory.

    Raises ConfigError when the scenario lacks models, traffic or keys, is offered more than it can
    serve and says neither how much nor how long, or when a precision would take more than
    `max_requests` of an algorithm, UsageError for no algorithm, an unknown or repeated one
    or figure, WorkerDied, and Interrupted where Ctrl-C leaves whole replications.
    """
    given = scenario.algorithm.name if algorithms is None else algorithms
    names = [given] if isinstance(given, str) else list(given)
    if not names:
        raise UsageError("no algorithms; name one at least, or give None for the file's own")
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
    precision = checked(precision or {})
    goal = max(scenario.run.replications, FEWEST if precision else 1)
    done: dict[str, list[Done]] = {name: [] for name in names}
    rate = scenario.rate if schedule is None else schedule.rate
    counted = not trace and schedule is None and flows(scenario)
    cut = first_counted(scenario) if counted else None

    def result(replications: int) -> Result:
        kept = {name: mine[:replications] for name, mine in done.items()}
        file = scenario.with_run(replications=replications)
        records: dict[str, list[Any]] = {name: [it.record for it in kept[name]] for name in kept}
        wall = {name: sum(one.seconds for one in mine) for name, mine in kept.items()}
        if cut is not None:
            return outline(file, records, wall, rate)
        whole = summarise(file, records, wall, rate, drawn=schedule is None)
        if trace:
            return whole
        return dataclasses.replace(
            whole, runs=[dataclasses.replace(run, records=[]) for run in whole.runs]
        )

    begun, sent = 0, partial(_sent, schedule, vary)
    try:
        with Crew(workers) as crew:
            while begun < goal:
                first, rounds = not begun, range(begun, goal)
                jobs = [
                    Job(scenario, tuple(names), k, sent(k), timeline or None, cut) for k in rounds
                ]
                begun = goal
                for one in run_all(jobs, on_replication, crew):
                    done[one.algorithm].append(one)
                if precision:
                    goal = replications(result(begun), precision, max_requests, first=first)
    except KeyboardInterrupt:
        # Those that are complete up to the first that is not: any other choice would favour
        # replications that are quickly simulated, which are not like the rest.
        whole = min(map(len, done.values()))
        if not whole:
            raise
        raise Interrupted(result(whole), goal) from None
    return result(begun)


def _sent(
    schedule: Schedule | None,
    vary: Callable[[Schedule, int], Schedule] | None,
    replication: int,
) -> Schedule | None:
    return schedule if schedule is None or vary is None else vary(schedule, replication)


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, after some replications."""

    def __init__(self, result: Result, of: int) -> None:
        super().__init__(f"{result.scenario.run.replications} of {of} replications")
        self.result = result
        """Of the replications that every algorithm has done; they are those that its `scenario`
        asks for."""
