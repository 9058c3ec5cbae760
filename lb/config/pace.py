"""The same traffic faster or slower: every rate of a process times a factor."""

from __future__ import annotations

from typing import Any

from lb.config.arrivals import ArrivalsTable, Mmpp, Renewal, Trace
from lb.config.laws import Empirical, LawTable
from lb.config.profile import Profile
from lb.errors import UsageError

TIMES = ("mean", "low", "high", "values")
"""Parameters of laws that are times; the others are shapes, which stay."""


def quickened(arrivals: ArrivalsTable, factor: float) -> ArrivalsTable:
    """`arrivals` at `factor` times the rate; several rates keep their proportion, and times theirs.

    Raises UsageError for gaps that are read from a file.
    """
    match arrivals:
        case Profile():
            points = tuple((at, rate * factor) for at, rate in arrivals.points)
            return arrivals.model_copy(update={"points": points})
        case Mmpp():
            rates = tuple(rate * factor for rate in arrivals.rates)
            return arrivals.model_copy(update={"rates": rates})
        case Renewal():
            return arrivals.model_copy(update={"law": _stretched(arrivals.law, 1 / factor)})
        case Trace():
            return arrivals.model_copy(update={"scale": arrivals.scale * factor})
        case _:
            return arrivals.model_copy(update={"rate": arrivals.rate * factor})


def _stretched(law: LawTable, factor: float) -> LawTable:
    if isinstance(law, Empirical):
        raise UsageError(f"the gaps of {law.file} are as they were measured: no other rate fits")
    known = type(law).model_fields
    given: dict[str, Any] = {name: getattr(law, name) for name in TIMES if name in known}
    return law.model_copy(
        update={
            name: tuple(x * factor for x in value) if isinstance(value, tuple) else value * factor
            for name, value in given.items()
        }
    )
