"""Algorithms that other packages bring: entry points of the group `lb.strategies`.

The name of an entry point is the algorithm's and its value is a module attribute that holds a Spec.
Finding entry points reads a file of every installed package, so nobody asks before he must.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from lb.errors import UsageError
from lb.strategies.spec import CLAIMS, Spec

GROUP = "lb.strategies"
HEIR = "interpreted classes cannot inherit from compiled"
"""What mypyc says when one that does is to be made."""


@cache
def offered() -> Mapping[str, tuple[EntryPoint, ...]]:
    """Everything on offer, by name; nothing is imported."""
    found: dict[str, tuple[EntryPoint, ...]] = {}
    for point in sorted(entry_points(group=GROUP), key=_said):
        found[point.name] = (*found.get(point.name, ()), point)
    return found


def load(name: str, built_in: Container[str]) -> Spec:
    """The row that a plug-in brings. UsageError, in one line, for one that is broken.

    Raises KeyError when there is no plug-in of this name.
    """
    point, *others = offered()[name]
    if name in built_in:
        raise UsageError(f"{_said(point)} has the name of lb's own {name!r}, which stays")
    if others:
        raise UsageError(
            f"algorithm {name!r} is on offer twice: {_said(point)}; {_said(others[0])}"
        )
    try:
        row = point.load()
    except Exception as error:
        why = " ".join(f"{type(error).__name__}: {error}".split())
        raise UsageError(f"{_said(point)} cannot be loaded: {why}") from None
    if not isinstance(row, Spec):
        raise UsageError(f"{_said(point)} is no Spec, but {type(row).__name__}")
    if row.name != name:
        raise UsageError(f"{_said(point)} calls itself {row.name!r}, not {name!r}")
    if not row.claims <= CLAIMS:
        raise UsageError(f"{_said(point)} claims {sorted(row.claims - CLAIMS)}, which no law knows")
    return row


def disinherited(row: Spec) -> str:
    """What to do instead, in a line, for a row whose class inherits from one that is no base."""
    heir, *above = getattr(row.factory, "__mro__", (row.factory,))
    compiled = (one.__name__ for one in above if "__mypyc_attrs__" in vars(one))
    return (
        f"{row.name}: {getattr(heir, '__name__', heir)} inherits from "
        f"{next(compiled, 'a class')}, which is compiled and not made for that: hold one instead, "
        "or inherit from a class of lb.strategies.parts that is marked for it (LB_PURE=1 does "
        "without what is compiled)"
    )


def _said(point: EntryPoint) -> str:
    package = point.dist.name if point.dist is not None else "?"
    return f"plug-in {package}: entry point {point.name} = {point.value}"
