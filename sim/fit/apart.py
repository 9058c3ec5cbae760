"""What several balancers share of the limits that are meant for all of them."""

from __future__ import annotations

from lb.config import Scenario


def apart(scenario: Scenario, balancers: int, before: int = 1) -> Scenario:
    """`scenario` with so many balancers, each with its part of what `before` had each.

    All balancers of a simulation are alike, so each has the whole number nearest to its part, and
    at least one. `lb serve --workers` gives what is left over to the first ones: where a limit does
    not divide, the sum of the parts here may differ from it by half a place for each balancer, or
    by more where there are fewer places than balancers.
    """

    def part(limit: int) -> int:
        return _part(limit * before, balancers)

    rows = [
        row.model_copy(update={"max_in_flight": part(row.max_in_flight)})
        if isinstance(row.max_in_flight, int)
        else row
        for row in scenario.backends
    ]
    least = scenario.retries.min_per_second * before / balancers
    tables = {
        "backends": tuple(rows),
        "queue": scenario.queue.model_copy(update={"limit": part(scenario.queue.limit)}),
        "retries": scenario.retries.model_copy(update={"min_per_second": least}),
    }
    return scenario.model_copy(update=tables).with_run(balancers=balancers)


def undivided(scenario: Scenario, balancers: int, before: int = 1) -> list[str]:
    """A remark on each limit that is another in sum when balancers have a whole part each."""
    limits = {
        f"max_in_flight of {row.label}": row.max_in_flight
        for row in scenario.backends
        if isinstance(row.max_in_flight, int)
    }
    limits["queue.limit"] = scenario.queue.limit
    return [
        f"{name}: {total} does not divide among {balancers} balancers; "
        f"each is modelled with {_part(total, balancers)}"
        for name, total in ((name, limit * before) for name, limit in limits.items())
        if total % balancers
    ]


def _part(total: int, balancers: int) -> int:
    nearest = (2 * total + balancers) // (2 * balancers)
    return max(nearest, 1) if total else 0  # no line stays none
