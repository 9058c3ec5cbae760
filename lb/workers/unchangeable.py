"""What of a file cannot be changed while it runs."""

from __future__ import annotations

from collections.abc import Iterator

from lb.config import Scenario
from lb.workers.division import workers


def unchangeable(before: Scenario, after: Scenario, serving: int) -> Iterator[str]:
    """What `after` wants and will not have, one line each: a restart with --replace brings it.

    `serving` is how many workers there are.
    """
    old, new = ([it.address for it in scenario.listening()] for scenario in (before, after))
    if old != new:
        place = after.place("server", "listen")
        yield f"{place}: stays {', '.join(old)}; lb serve --replace changes it"
    modes = {it.address: it.mode for it in before.listening()}
    for one in after.listening():
        if one.mode != modes.get(one.address, one.mode):
            place = after.place(*one.place[:-1], "mode")
            yield f"{place}: is given to a socket when it is made; lb serve --replace changes it"
    if (workers(after) == 1) != (serving == 1):  # one is the main process itself
        place = after.place("server", "workers")
        yield f"{place}: stays {serving}; lb serve --replace changes it"
    if before.server.admin != after.server.admin:
        place, now = after.place("server", "admin"), before.server.admin or "off"
        yield f"{place}: stays {now}; lb serve --replace changes it"
