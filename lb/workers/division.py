"""What each of several workers gets of what is meant for all of them.

Numbers are divided, and nobody gets less than one; what is left over goes to the first ones. What
is a share already, or found out by each for itself, stays as it is.
"""

from __future__ import annotations

from dataclasses import replace

from lb.balancing import Add, Apply, Change, HealthPolicy, Setup
from lb.balancing.health import ELSEWHERE
from lb.balancing.settings import Settings
from lb.config import Scenario
from lb.system import cores


def workers(scenario: Scenario) -> int:
    """How many a file asks for."""
    wanted = scenario.server.workers
    return wanted if isinstance(wanted, int) else cores()


def share(total: int, number: int, count: int) -> int:
    """Of the worker of this number, from 0 on."""
    return max(1, total // count + (number < total % count))


def scenario_of(scenario: Scenario, number: int, count: int) -> Scenario:
    """The file of one worker."""
    most = share(scenario.limits.client_connections, number, count)
    limits = scenario.limits.model_copy(update={"client_connections": most})
    return scenario.model_copy(update={"limits": limits})


def setup_of(setup: Setup, number: int, count: int) -> Setup:
    """What makes the balancer of one worker. Each has a subset of its own."""
    queue, retries = setup.queue, setup.retries
    if queue.limit:
        queue = replace(queue, limit=share(queue.limit, number, count))
    instance = setup.subset.instance * count + number
    return replace(
        setup,
        backends=tuple(settings_of(row, number, count) for row in setup.backends),
        health=_asked(setup.health),
        queue=queue,
        retries=replace(retries, min_per_second=retries.min_per_second / count),
        subset=replace(setup.subset, instance=instance),
    )


def settings_of(settings: Settings, number: int, count: int) -> Settings:
    """One backend, as one worker knows it."""
    most, own = settings.max_in_flight, settings.health
    return replace(
        settings,
        max_in_flight=share(most, number, count) if isinstance(most, int) else most,
        health=None if own is None else _asked(own),
    )


def change_of(change: Change, number: int, count: int) -> Change:
    """A change, as one worker carries it out."""
    match change:
        case Add(settings):
            return Add(settings_of(settings, number, count))
        case Apply(setup):
            return Apply(setup_of(setup, number, count))
    return change


def offset_of(setup: Setup, number: int, count: int) -> int:
    """How many picks ahead of the first worker one begins: they stand evenly in a round."""
    return number * len(setup.backends) // count


def _asked(policy: HealthPolicy) -> HealthPolicy:
    return replace(policy, interval=ELSEWHERE)
