"""From what a source said before to what it says now, in single changes of a balancer.

So whatever an operator has changed of other backends, or of these in another way, stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from lb.balancing import Add, Apply, Change, Remove, Settings, Setup, SetWeight


def changes(setup: Setup, before: Sequence[Settings], after: Sequence[Settings]) -> list[Change]:
    """What makes of a balancer that is now as `setup` has it one that has heard the news.

    Others join before those leave that are not there any more, but for one that comes back under
    the same name from another address. Backends that somebody else has removed stay removed, and
    those that somebody else has added are left alone.
    """
    there = {row.label for row in setup.backends}
    old, new = _by_name(before), _by_name(after)
    kept = {
        name: row
        for name, row in new.items()
        if name in there and name in old and row.address == old[name].address
    }
    moved = [
        name for name, row in new.items() if name in there and name in old and name not in kept
    ]
    other = {name: row for name, row in kept.items() if _beside_weight(old[name], row)}
    found: list[Change] = []
    if other:
        found.append(Apply(replace(setup, backends=_altered(setup, other))))
    found += [
        SetWeight(name, row.weight) for name, row in kept.items() if row.weight != old[name].weight
    ]
    found += [Remove(name) for name in moved]
    found += [
        Add(row)
        for name, row in new.items()
        if name in moved or (name not in there and name not in old)
    ]
    found += [Remove(name) for name in old if name not in new and name in there]
    return found


def _by_name(rows: Sequence[Settings]) -> dict[str, Settings]:
    return {row.label: row for row in rows}


def _beside_weight(before: Settings, after: Settings) -> bool:
    return replace(before, weight=after.weight) != after


def _altered(setup: Setup, other: Mapping[str, Settings]) -> tuple[Settings, ...]:
    """The rows of `setup`, those of `other` anew; weights are as they are."""
    return tuple(
        replace(other[row.label], weight=row.weight) if row.label in other else row
        for row in setup.backends
    )
