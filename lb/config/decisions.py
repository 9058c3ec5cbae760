"""What decides, as the file writes it: the algorithm and every policy beside it."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from functools import cache
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    PlainSerializer,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from lb import strategies
from lb.balancing import HedgePolicy, QueuePolicy, RetryPolicy, SubsetPolicy
from lb.balancing.hedges import quantile
from lb.balancing.retries import OUTCOMES
from lb.config.shapes import HEDGE, OUTCOME, Shape
from lb.config.values import (
    Duration,
    Mistakes,
    PositiveDuration,
    Share,
    Table,
    duration,
    each,
    in_the_file,
)
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
    def __get_pydantic_json_schema__(cls, core: Any, handler: GetJsonSchemaHandler) -> Shape:
        from lb.config.shapes_of_algorithms import any_of

        return any_of(*strategies.all_specs())

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


def _outcome(given: object) -> None:
    """Check a member of `RetryPolicy.on`. Raises ValueError."""
    if isinstance(given, str) and given.isdecimal():
        raise ValueError(f"{given!r} is a text; write the status as a number, {given}")
    if isinstance(given, str) and given not in OUTCOMES:
        near = difflib.get_close_matches(given, OUTCOMES, 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(f"{given!r} is unknown; {hint}known: {', '.join(OUTCOMES)}, or a status")
    if not isinstance(given, str) and (type(given) is not int or not 400 <= given <= 599):
        raise ValueError(f"{given!r} is no status of an error, which are 400 to 599")


class Retries(Table):
    """Whether a failed attempt may be tried again; see RetryPolicy."""

    max: Annotated[int, Field(ge=0)] = RetryPolicy.max
    on: Annotated[tuple[Annotated[Any, WithJsonSchema(OUTCOME)], ...], Field(strict=False)] = (
        RetryPolicy.on
    )
    backoff: Annotated[Duration, Field(ge=0)] = RetryPolicy.backoff
    budget: Share | None = RetryPolicy.budget
    min_per_second: Annotated[float, Field(ge=0)] = RetryPolicy.min_per_second
    window: PositiveDuration = RetryPolicy.window
    """How far back requests count for the budget."""

    @field_validator("on")
    @classmethod
    def _outcomes(cls, on: tuple[str | int, ...]) -> tuple[str | int, ...]:
        return each(on, _outcome)


def _wait(value: object, info: ValidationInfo) -> float | str | None:
    if value is None:
        return None
    if isinstance(value, str) and value.startswith("p"):
        quantile(value)
        return value
    try:
        wait = duration(value, info)
    except ValueError as error:
        raise ValueError(f'{error}; or a quantile, such as "p95"') from None
    if wait <= 0:
        raise ValueError("a hedge needs a wait before it; give a duration above zero")
    return wait


class Hedging(Table):
    """A second attempt beside one that takes long; see HedgePolicy."""

    after: Annotated[
        float | str | None,
        BeforeValidator(_wait),
        PlainSerializer(in_the_file),
        WithJsonSchema(HEDGE),
    ] = HedgePolicy.after


class Queue(Table):
    """The line in front of backends that are all at their limits."""

    limit: Annotated[int, Field(ge=0)] = QueuePolicy.limit
    timeout: PositiveDuration = QueuePolicy.timeout
    """The longest wait in line; 503 then."""
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
    return kind(**{name: getattr(table, name) for name in _common(type(table), kind)})


@cache
def _common(table: type[Table], kind: Callable[..., object]) -> frozenset[str]:
    return frozenset(inspect.signature(kind).parameters.keys() & table.model_fields.keys())
