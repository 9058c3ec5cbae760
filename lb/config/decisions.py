"""What decides, as the file writes it: the algorithm and every policy beside it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from lb import strategies
from lb.balancing import QueuePolicy, RetryPolicy, SubsetPolicy
from lb.config.values import Mistakes, PositiveDuration, Share, Table
from lb.errors import UsageError


def _known_algorithm(name: str) -> str:
    try:
        strategies.spec(name)
    except UsageError as error:
        raise ValueError(str(error)) from None
    return name


class Algorithm(Table):
    """`"p2c"`, `"p2c:choices=3"` or `{ name = "p2c", choices = 3 }`."""

    model_config = ConfigDict(extra="allow", frozen=True)
    name: Annotated[str, AfterValidator(_known_algorithm)]

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        name, colon, _ = value.partition(":")
        if not colon:
            return {"name": name}
        try:
            name, settings = strategies.parse(value)
        except UsageError as error:
            raise ValueError(str(error)) from None
        return {"name": name, **settings}

    @classmethod
    def of(cls, text: str) -> Algorithm:
        """From a command line. Raises UsageError."""
        name, settings = strategies.parse(text)
        return cls.model_validate({"name": name, **settings})

    @property
    def settings(self) -> Mapping[str, object]:
        return self.model_extra or {}

    @model_validator(mode="after")
    def _parameters(self) -> Algorithm:
        row = strategies.spec(self.name)
        try:
            row.configure(self.settings)
        except UsageError as error:
            raise self._mistakes(row) or ValueError(str(error)) from None
        return self

    def _mistakes(self, row: strategies.Spec) -> Mistakes | None:
        """The settings that are wrong by themselves, each under its key."""
        found: list[tuple[tuple[str], str]] = []
        for key, value in self.settings.items():
            try:
                row.configure({key: value})
            except UsageError as error:
                found.append(((key,), str(error)))
        return Mistakes(*found) if found else None


class Retries(Table):
    """Whether a failed attempt may be tried again; see RetryPolicy."""

    max: Annotated[int, Field(ge=0)] = RetryPolicy.max
    budget: Share | None = RetryPolicy.budget
    min_per_second: Annotated[float, Field(ge=0)] = RetryPolicy.min_per_second
    window: PositiveDuration = RetryPolicy.window


class Queue(Table):
    """The line in front of backends that are all at their limits."""

    limit: Annotated[int, Field(ge=0)] = QueuePolicy.limit
    timeout: PositiveDuration = QueuePolicy.timeout
    discipline: Literal["fifo", "adaptive"] = "fifo"
    """`adaptive`: first come first served while the line empties again and again, else newest
    first."""
    interval: PositiveDuration | None = QueuePolicy.interval
    """For `adaptive`: not empty for so long, the line is crowded, and who comes waits no longer
    than that. A tenth of the timeout unless given."""
    max_lag: PositiveDuration = QueuePolicy.max_lag
    """How late the event loop may be, smoothed; beyond it a share of the calls is refused."""

    @model_validator(mode="after")
    def _consistent(self) -> Queue:
        if self.discipline == "adaptive" and not self.limit:
            raise Mistakes(
                (("discipline",), "nobody waits in line; give limit, such as limit = 100")
            )
        if self.interval is not None and self.discipline != "adaptive":
            raise Mistakes((("interval",), 'is for discipline = "adaptive", and this is "fifo"'))
        if self.interval is not None and self.interval > self.timeout:
            raise Mistakes((("interval",), "is longer than timeout, which ends every wait"))
        return self


class Subset(Table):
    """For one of many balancers that are to use only some of many backends each."""

    size: Annotated[int, Field(ge=1)] | None = SubsetPolicy.size
    """Backends used; all unless given."""
    instance: Annotated[int, Field(ge=0)] = SubsetPolicy.instance
    """Number of this balancer; balancers with numbers that follow share the backends out."""


P = TypeVar("P")


def policy_of(table: Table, kind: Callable[..., P]) -> P:
    """The policy that a table of the file states; what it does not name keeps its default."""
    names = inspect.signature(kind).parameters.keys() & type(table).model_fields.keys()
    return kind(**{name: getattr(table, name) for name in names})
