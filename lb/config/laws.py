"""Laws of service times and gaps, and arrival processes, as the file writes them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from lb.config.values import Duration, Positive, PositiveDuration, Table


class Exponential(Table):
    """Without memory."""

    law: Literal["exponential"]
    mean: PositiveDuration


class Deterministic(Table):
    """Always the same."""

    law: Literal["deterministic", "constant"]
    mean: Duration


class Lognormal(Table):
    """The exponential of a normal law."""

    law: Literal["lognormal"]
    mean: PositiveDuration
    cv: Positive
    """Standard deviation over mean."""


class Gamma(Table):
    """A gamma law; below a cv of one it is narrower than the exponential."""

    law: Literal["gamma"]
    mean: PositiveDuration
    cv: Positive


class Erlang(Table):
    """The sum of `k` exponential stages."""

    law: Literal["erlang"]
    mean: PositiveDuration
    k: Annotated[int, Field(ge=1)]


class Hyperexponential(Table):
    """Two exponential phases with balanced means."""

    law: Literal["hyperexponential"]
    mean: PositiveDuration
    cv: Annotated[float, Field(ge=1)]


class Uniform(Table):
    """Each value between two as likely."""

    law: Literal["uniform"]
    low: Duration
    high: PositiveDuration

    @property
    def mean(self) -> float:
        return (self.low + self.high) / 2

    @model_validator(mode="after")
    def _ordered(self) -> Uniform:
        if self.low > self.high:
            raise ValueError("low is above high")
        return self


LawTable = Exponential | Deterministic | Lognormal | Gamma | Erlang | Hyperexponential | Uniform


def law_table(value: object) -> object:
    """`"lognormal:20ms,cv=1"` as a table; a bare value is the mean. Anything else as it is."""
    if not isinstance(value, str):
        return value
    name, _, rest = value.partition(":")
    table: dict[str, object] = {"law": name.strip()}
    for part in filter(None, rest.split(",")):
        key, equals, given = part.partition("=")
        table[key.strip() if equals else "mean"] = _number_or_text(given if equals else key)
    return table


def _number_or_text(text: str) -> object:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text.strip()


Law = Annotated[LawTable, Field(discriminator="law"), BeforeValidator(law_table)]


class Zipf(Table):
    """Keys 0 .. count-1, key k with probability proportional to (k + 1) ** -s."""

    law: Literal["zipf"]
    count: Annotated[int, Field(ge=1)]
    s: Annotated[float, Field(ge=0)]


class Poisson(Table):
    """Arrivals that know nothing of each other."""

    process: Literal["poisson"]
    rate: Positive
    """Requests per second."""


class Paced(Table):
    """Arrivals at equal distances."""

    process: Literal["deterministic"]
    rate: Positive


Arrivals = Annotated[Poisson | Paced, Field(discriminator="process")]
