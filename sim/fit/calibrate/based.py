"""A calibrated scenario on the base of a file: its own tables stay, what was fitted takes the place
of its models and its traffic.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lb.config import Scenario
from lb.errors import ConfigError

FITTED = ("traffic", "faults", "calibration")
"""What the recording tells, by the names that code has."""


def based(found: Scenario, base: Scenario, source: str, recording: str) -> Scenario:
    """`found`, the fitted scenario, with all else as `base` has it.

    Backends are matched by name or address. Raises ConfigError where none does, and where the two
    contradict each other; `source` and `recording` are what messages call them.
    """
    places = matched(found, base)
    if all(place is None for place in places):
        there, seen = (", ".join(row.label for row in it.backends) for it in (base, found))
        why = f"none of its backends ({there or 'it has none'}) is in {recording}, which has {seen}"
        raise ConfigError([f"{source}: {why}"])
    tables: dict[str, Any] = {
        name: getattr(base, name) for name in base.model_fields_set - {"backends", *FITTED}
    }
    tables |= {name: getattr(found, name) for name in FITTED if name in found.model_fields_set}
    tables.setdefault("run", found.run)
    if (many := found.run.balancers) > 1:
        tables["run"] = tables["run"].model_copy(update={"balancers": many})
    if "attempt" in found.timeouts.model_fields_set:
        own = base.timeouts.model_dump(exclude_unset=True)
        tables["timeouts"] = {"attempt": found.timeouts.attempt, **own}
    tables["backends"] = [
        row if place is None else base.backends[place].model_copy(update={"model": row.model})
        for row, place in zip(found.backends, places, strict=True)
    ]
    called = {
        word: row.label
        for before, row in zip(found.backends, tables["backends"], strict=True)
        for word in (before.label, before.address)
    }
    tables["faults"] = [
        fault.model_copy(update={"backends": tuple(called[name] for name in fault.backends)})
        for fault in found.faults
    ]
    try:
        return Scenario(**tables)
    except ConfigError as error:
        raise ConfigError([f"{source}: with what {recording} tells: {error}"]) from None


def matched(found: Scenario, base: Scenario) -> list[int | None]:
    """The place in `base` of each backend of `found`."""
    words = [{row.label, row.address} for row in base.backends]
    return [
        next((at for at, own in enumerate(words) if own & {row.label, row.address}), None)
        for row in found.backends
    ]


def remarks(found: Scenario, base: Scenario, source: str, recording: str) -> Iterator[str]:
    """What somebody should know of the two."""
    yield f"all but models, traffic and faults is as {source} has it"
    places = matched(found, base)
    for row, place in zip(found.backends, places, strict=True):
        if place is None:
            yield f"{row.label} of {recording} is not in {source}: it stands here as calibrated"
    for at, own in enumerate(base.backends):
        if at not in places:
            yield f"{own.label} of {source} is not in {recording}: it is left out"
    many = found.run.balancers
    if many > 1 and (base.queue.limit or any(row.max_in_flight for row in base.backends)):
        yield (
            f"{recording} is of {many} balancers: in a simulation each of them has the limits of "
            f"{source}"
        )
    if base.algorithm.name != found.algorithm.name:
        yield (
            f"{recording} was made under {found.algorithm.name}; {source} says "
            f"{base.algorithm.name}, which is kept"
        )
