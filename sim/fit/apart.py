"""What several balancers share of the limits that are meant for all of them."""

from __future__ import annotations

from lb.config import Scenario


def apart(scenario: Scenario, balancers: int, before: int = 1) -> Scenario:
    """`scenario` with so many balancers, each with its part of what `before` had each: as
    `lb serve --workers` divides it, nobody with less than one.
    """

    def part(limit: int) -> int:
        return -(-limit * before // balancers)

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
