"""Faults of modelled backends, each from one time to another."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from lb.config.model import BackendTable
from lb.config.values import Duration, Mistakes, Table
from lb.errors import nearest


def _list(value: object) -> object:
    if value in ([], ()):
        raise ValueError("names no backend; give a name, an address, or a list of them")
    return (value,) if isinstance(value, str) else value


class Fault(Table):
    """What every kind has. Times count from the start of the schedule."""

    backends: Annotated[
        tuple[str, ...], BeforeValidator(_list), Field(alias="backend", strict=False)
    ]
    """Names or addresses."""
    since: Annotated[Duration, Field(alias="from")] = 0.0
    until: Annotated[Duration, Field(alias="to")]

    @model_validator(mode="after")
    def _lasts(self) -> Fault:
        if self.until <= self.since:
            why = f"{self.until:g} s is not after the beginning, {self.since:g} s"
            raise Mistakes((("to",), why))
        return self

    def strikes(self, row: BackendTable) -> bool:
        """Whether `row` is one of its backends."""
        return row.address in self.backends or row.label in self.backends


class Slow(Fault):
    """Everything takes `factor` times as long."""

    kind: Literal["slow"]
    factor: Annotated[float, Field(ge=1)]


class Pause(Fault):
    """Nothing goes on; what is there stays."""

    kind: Literal["pause"]

    @property
    def factor(self) -> float:
        """A moment of work takes for ever."""
        return math.inf


FaultTable = Annotated[Slow | Pause, Field(discriminator="kind")]


def check(faults: Sequence[Fault], backends: Sequence[BackendTable]) -> None:
    """Raise Mistakes for backends that do not exist, and for two faults of one at one time."""
    found = [*_unknown(faults, backends), *_overlapping(faults, backends)]
    if found:
        raise Mistakes(*found)


Found = Iterator[tuple[tuple[int | str, ...], str]]


def _unknown(faults: Sequence[Fault], backends: Sequence[BackendTable]) -> Found:
    known = dict.fromkeys(word for row in backends for word in (row.label, row.address))
    for number, fault in enumerate(faults):
        for name in fault.backends:
            if name not in known:
                yield (number, "backend"), f"no backend is called {name!r}; {nearest(name, known)}"


def _overlapping(faults: Sequence[Fault], backends: Sequence[BackendTable]) -> Found:
    for (a, first), (b, second) in combinations(enumerate(faults), 2):
        if first.since < second.until and second.since < first.until:
            for row in backends:
                if first.strikes(row) and second.strikes(row):
                    span = f"{first.since:g} s to {first.until:g} s"
                    yield (b, "from"), f"overlaps fault[{a}] of {row.label}, which is from {span}"
