"""The same file under more load, with a backend lost, with other weights, with more of them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from lb.config import BackendTable, Scenario, multiplied
from lb.errors import LbError, UsageError


def scaled(scenario: Scenario, factor: float) -> Scenario:
    """`factor` times the rate; of users so many times as many. Raises UsageError.

    What follows the clock stays where it is.
    """
    if factor == 1:
        return scenario
    traffic = scenario.offered()
    if traffic.users is not None:
        count = max(round(traffic.users.count * factor), 1)
        users = traffic.users.model_copy(update={"count": count})
        return scenario.model_copy(update={"traffic": traffic.model_copy(update={"users": users})})
    return scenario.at_rate(scenario.rate * factor)


def without(scenario: Scenario, place: int) -> Scenario:
    """One backend fewer, and no fault that strikes it alone."""
    gone = scenario.backends[place]
    kept = [row for at, row in enumerate(scenario.backends) if at != place]
    names = {gone.address, gone.label}
    faults = []
    for fault in scenario.faults:
        others = tuple(name for name in fault.backends if name not in names)
        if others or not fault.backends:
            faults.append(fault.model_copy(update={"backends": others}))
    return scenario.model_copy(update={"backends": tuple(kept), "faults": tuple(faults)})


def kinds(scenario: Scenario) -> list[int]:
    """Places of backends that differ in more than what they are called."""
    seen: list[tuple[int, object]] = []
    for place, row in enumerate(scenario.backends):
        struck = [number for number, it in enumerate(scenario.faults) if it.strikes(row)]
        same = (row.model_copy(update={"address": "", "name": ""}), struck)
        if same not in [other for _, other in seen]:
            seen.append((place, same))
    return [place for place, _ in seen]


def losses(scenario: Scenario) -> list[tuple[str, Scenario]]:
    """With one backend lost, each kind once, that of the most capacity first."""
    if len(scenario.backends) < 2:
        return []
    found = []
    for place in kinds(scenario):
        with suppress(LbError):
            found.append((scenario.backends[place].label, without(scenario, place)))
    return sorted(found, key=lambda it: it[1].capacity)


def weighted(scenario: Scenario, weights: Sequence[float]) -> Scenario:
    """With these weights, in the order of the file."""
    rows: list[BackendTable] = [
        row.model_copy(update={"weight": weight})
        for row, weight in zip(scenario.backends, weights, strict=True)
    ]
    return scenario.model_copy(update={"backends": tuple(rows)})


def of_number(scenario: Scenario, number: int) -> Scenario | None:
    """So many backends, see `multiplied`; None where a fault names one that is gone."""
    if number == len(scenario.backends):
        return scenario
    try:
        return multiplied(scenario, number)
    except UsageError:
        return None
