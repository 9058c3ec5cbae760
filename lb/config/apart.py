"""What suffers where several workers serve, each of which balances its own requests only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lb import strategies
from lb.config.places import Place
from lb.system import cores

Found = Iterator[tuple[Place, str]]


def suffering(file: Any, present: int | None = None) -> Found:
    """Of the algorithm, and of limits that do not divide. `present` cores there are."""
    wanted = file.server.workers
    count = wanted if isinstance(wanted, int) else present or cores()
    if count > 1:
        yield from _partial(file, count)
        yield from _indivisible(file, count)


def _partial(file: Any, count: int) -> Found:
    row = strategies.spec(file.algorithm.name)
    found = [] if "sets_cookie" in row.needs and file.key.startswith("cookie:") else [row]
    if row.nests:
        inner = str(getattr(row.configure(file.algorithm.settings), "inner", row.name))
        found.append(strategies.spec(inner.partition(":")[0]))
    modelled = file.traffic is not None and all(it.model is not None for it in file.backends)
    for one in found:
        if one.partial:
            how = f"lb sweep --balancers 1,{count} with this file says what that costs"
            without = f"with models and traffic, {how}"
            yield (
                ("server", "workers"),
                f"of {count} workers {one.partial} ({one.name}); {how if modelled else without}",
            )


def _indivisible(file: Any, count: int) -> Found:
    for number, row in enumerate(file.backends):
        if isinstance(row.max_in_flight, int):
            yield from _shared(("backend", number, "max_in_flight"), row.max_in_flight, count)
    if file.queue.limit:
        yield from _shared(("queue", "limit"), file.queue.limit, count)


def _shared(place: Place, most: int, count: int) -> Found:
    if most < count:
        why = f"{most} is less than one for each of {count} workers, which take one each: {count}"
        yield place, f"{why} in all; give {count}, or fewer workers"
    elif most % count:
        less = most // count
        why = f"{most} does not divide by {count} workers: some have {less + 1}, others {less}"
        yield place, f"{why}; give {less * count} or {(less + 1) * count}"
