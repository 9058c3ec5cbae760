"""When faults happen: the plain spans that the lines of a file stand for.

A line that flaps, or comes and goes at random, is many faults; a restart is two, one after the
other. What is left is of a kind that a clock or a door knows, each with one beginning and one end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from random import Random

from lb.config import ColdStart, Down, FaultTable, Flapping

Span = tuple[float, float]


def occurrences(faults: Iterable[FaultTable], seed: int, replication: int = 0) -> list[FaultTable]:
    """The faults of a file, one by one, as chance has them in one replication.

    Each line has its own randomness, which all its backends share.
    """
    found: list[FaultTable] = []
    for number, fault in enumerate(faults):
        luck = Random(f"fault {number} {seed} {replication}")
        found += (part for span in _spans(fault, luck) for part in _parts(fault, span))
    return found


def _spans(fault: FaultTable, luck: Random) -> Iterator[Span]:
    if isinstance(fault, Flapping):
        half = fault.period / 2
        number, since = 0, fault.since
        while since < fault.until:
            yield since, min(since + half, fault.until)
            number += 1
            since = fault.since + number * fault.period
    elif fault.mttf is None or fault.mttr is None:
        yield fault.since, fault.until
    else:
        since = fault.since + luck.expovariate(1 / fault.mttf)
        while since < fault.until:
            until = since + luck.expovariate(1 / fault.mttr)
            yield since, min(until, fault.until)
            since = until + luck.expovariate(1 / fault.mttf)


def _parts(fault: FaultTable, span: Span) -> Iterator[FaultTable]:
    since, until = span
    if isinstance(fault, Flapping):
        yield Down(kind="down", backends=fault.backends, since=since, until=until)
        return
    once = {"mttf": None, "mttr": None}
    if isinstance(fault, ColdStart) and fault.down is not None:
        up = min(since + fault.down, until)
        yield Down(kind="down", backends=fault.backends, since=since, until=up)
        since = up
        once["down"] = None
    if since < until:
        yield fault.model_copy(update={**once, "since": since, "until": until})
