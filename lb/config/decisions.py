"""What decides, as the file writes it: the algorithm and every policy beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from lb import strategies
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


class HealthTable(Table):
    enabled: bool = True
    path: Annotated[str, Field(pattern=r"^/\S*$")] = "/health"
    expect: Annotated[str, Field(pattern=r"^\d{3}(-\d{3})?$")] = "200-299"
    interval: PositiveDuration = 30.0
    fast_interval: PositiveDuration = 1.0
    timeout: PositiveDuration = 2.0
    rise: Annotated[int, Field(ge=1)] = 2
    fall: Annotated[int, Field(ge=1)] = 3
    jitter: Annotated[float, Field(ge=0, lt=1)] = 0.1

    def expects(self, status: int) -> bool:
        low, _, high = self.expect.partition("-")
        return int(low) <= status <= int(high or low)


class Retries(Table):
    max: Annotated[int, Field(ge=0)] = 1
    budget: Share = 0.2
    min_per_second: Annotated[float, Field(ge=0)] = 10.0
    window: PositiveDuration = 10.0


class Queue(Table):
    limit: Annotated[int, Field(ge=0)] = 0
    timeout: PositiveDuration = 1.0


class Subset(Table):
    """For one of many balancers that are to use only some of many backends each."""

    size: Annotated[int, Field(ge=1)] | None = None
    """Backends used; all unless given."""
    instance: Annotated[int, Field(ge=0)] = 0
    """Number of this balancer; balancers with numbers that follow share the backends out."""
