"""Faults of modelled backends, each from one time to another.

Those of the clock change how fast work goes on at a backend; those of the door keep requests out of
it, or falsify what they are answered.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from lb.config.model import BackendTable
from lb.config.shapes import Also
from lb.config.values import Duration, Mistakes, PositiveDuration, Table
from lb.errors import nearest


def _list(value: object) -> object:
    if value in ([], ()):
        raise ValueError("names no backend; give a name, an address, or a list of them")
    return (value,) if isinstance(value, str) else value


Hold = tuple[str, float, float]
"""What a fault has for itself, the clock or the door, from when, and until when."""


def _long_enough(span: float) -> float:
    if span < SHORTEST:
        raise ValueError(f"{span:g} s is too short to be told from work; give at least 1 ms")
    return span


SHORTEST = 0.001
"""Seconds between two changes of a backend; shorter ones are only many."""
Span = Annotated[PositiveDuration, AfterValidator(_long_enough)]


class Fault(Table):
    """What every kind has. Times count from the start of the schedule."""

    backends: Annotated[
        tuple[str, ...],
        BeforeValidator(_list),
        Also({"type": "string"}),
        Field(alias="backend", strict=False),
    ] = ()
    """Names or addresses; several suffer together."""
    since: Annotated[Duration, Field(alias="from")] = 0.0
    """When it begins."""
    until: Annotated[Duration, Field(alias="to")]
    """When it is over."""

    place: ClassVar[str] = "door"
    shuts: ClassVar[bool] = False
    """Whether no request reaches the station, so that nothing else can be seen of it."""

    @model_validator(mode="after")
    def _lasts(self) -> Fault:
        if self.until <= self.since:
            why = f"{self.until:g} s is not after the beginning, {self.since:g} s"
            raise Mistakes((("to",), why))
        return self

    def strikes(self, row: BackendTable) -> bool:
        """Whether `row` is one of its backends."""
        return row.address in self.backends or row.label in self.backends

    @property
    def holds(self) -> tuple[Hold, ...]:
        """What no other fault of the same backend may have meanwhile."""
        return ((self.place, self.since, self.until),)


class Recurring(Fault):
    """A fault that may come and go at random within its time."""

    mttf: Span | None = None
    """Mean time to the failure, exponential; with `mttr` in place of one long span. The backends of
    one line fail together, those of several lines independently."""
    mttr: Span | None = None
    """Mean time to the repair, exponential."""

    @model_validator(mode="after")
    def _both(self) -> Recurring:
        if (self.mttf is None) != (self.mttr is None):
            given, missing = ("mttf", "mttr") if self.mttr is None else ("mttr", "mttf")
            raise Mistakes(((missing,), f"missing; {given} is given, and one needs the other"))
        return self


class Slow(Recurring):
    """Everything takes `factor` times as long."""

    kind: Literal["slow"]
    factor: Annotated[float, Field(ge=1)]
    """How many times as long."""
    place = "clock"


class Pause(Recurring):
    """Nothing goes on and nothing is answered, health checks neither; what is there stays."""

    kind: Literal["pause"]
    place = "clock"

    @property
    def factor(self) -> float:
        """A moment of work takes for ever."""
        return math.inf


class ColdStart(Recurring):
    """Just started: work takes `factor` times as long at first, and ever less.

    It is warm at `to`, the factor falling evenly with time, or evenly with each of `requests`.
    """

    kind: Literal["cold_start"]
    factor: Annotated[float, Field(ge=1)]
    """How many times as long work takes at first."""
    requests: Annotated[int, Field(ge=1)] | None = None
    """Served after which it is warm."""
    down: PositiveDuration | None = None
    """How long it is down before; without it nothing in flight is lost."""
    place = "clock"

    @model_validator(mode="after")
    def _comes_up(self) -> ColdStart:
        if self.down is not None and self.mttf is None and self.since + self.down >= self.until:
            length = f"{self.until - self.since:g} s"
            raise Mistakes((("down",), f"it never comes up; make it shorter than {length}"))
        return self

    @property
    def holds(self) -> tuple[Hold, ...]:
        if self.down is None:
            return super().holds
        until = self.until if self.mttf is not None else self.since + self.down
        return (*super().holds, ("door", self.since, until))


class Down(Recurring):
    """Connections are refused, and what is in flight when it begins is lost."""

    kind: Literal["down"]
    shuts = True


class BlackHole(Recurring):
    """Connections are accepted and nothing is ever answered, health checks neither.

    What was there before is worked off.
    """

    kind: Literal["black_hole"]
    shuts = True


class FailFast(Recurring):
    """Every request is answered 503 within a millisecond; health checks are fine."""

    kind: Literal["fail_fast"]
    shuts = True


class Errors(Recurring):
    """A share `rate` of the requests is answered 500 after its work; health checks are fine."""

    kind: Literal["errors"]
    rate: Annotated[float, Field(gt=0, le=1)]
    """The share of its requests."""


class Reset(Recurring):
    """A share `rate` of the requests has its connection reset at once; health checks are fine."""

    kind: Literal["reset"]
    rate: Annotated[float, Field(gt=0, le=1)]
    """The share of its requests."""


class HealthLost(Recurring):
    """Health checks and load probes are never answered; requests are."""

    kind: Literal["health_lost"]


class Flapping(Fault):
    """Down and up in turns, half a `period` each, down first."""

    kind: Literal["flapping"]
    period: Span
    """From one failure to the next."""

    @model_validator(mode="after")
    def _alternates(self) -> Flapping:
        length = self.until - self.since
        if self.period >= 2 * length:
            why = f"down all the time; make it shorter than {2 * length:g} s"
            raise Mistakes((("period",), why))
        return self


FaultTable = Annotated[
    Slow | Pause | ColdStart | Down | BlackHole | FailFast | Errors | Reset | HealthLost | Flapping,
    Field(discriminator="kind"),
]


def check(faults: Sequence[Fault], backends: Sequence[BackendTable]) -> None:
    """Raise Mistakes for backends that do not exist, and for faults that cannot be at one time."""
    found = [*_unknown(faults, backends), *_overlapping(faults, backends)]
    if found:
        raise Mistakes(*found)


Found = Iterator[tuple[tuple[int | str, ...], str]]


def _unknown(faults: Sequence[Fault], backends: Sequence[BackendTable]) -> Found:
    known = dict.fromkeys(word for row in backends for word in (row.label, row.address))
    for number, fault in enumerate(faults):
        if not fault.backends:
            names = ", ".join(row.label for row in backends)
            yield (number, "backend"), f"missing; name one of {names}, or a list of them"
        for name in fault.backends:
            if name not in known:
                yield (number, "backend"), f"no backend is called {name!r}; {nearest(name, known)}"
        for row in backends:
            given = [name for name in fault.backends if name in (row.label, row.address)]
            if len(given) > 1:
                yield (number, "backend"), f"backend {row.label} is named twice; once will do"


def _overlapping(faults: Sequence[Fault], backends: Sequence[BackendTable]) -> Found:
    for (a, first), (b, second) in combinations(enumerate(faults), 2):
        both = [row.label for row in backends if first.strikes(row) and second.strikes(row)]
        if both and (why := _clash(first, second)) is not None:
            span = f"{first.since:g} s to {first.until:g} s"
            for label in both:
                yield (b, "from"), f"overlaps fault[{a}] of {label}, which is from {span}{why}"


def _clash(first: Fault, second: Fault) -> str | None:
    """What keeps the two from being at one time; None when they may, or are not."""
    for here, since, until in first.holds:
        for there, begin, end in second.holds:
            if since < end and begin < until:
                if here == there:
                    return ""
                if first.shuts or second.shuts:
                    return " and shuts the rest out" if first.shuts else " and would be shut out"
    return None
