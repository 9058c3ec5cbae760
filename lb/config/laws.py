"""Laws of service times, gaps and delays, as the file writes them.

Each knows its `mean` in seconds and its `squared_cv`, the variance over the mean squared, exactly;
and its `wildness`, the mean fourth power over the square of the mean square: about so many draws of
it tell as much of how far it spreads as one draw of a law that hardly varies.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PrivateAttr, model_validator

from lb.config.files import DataFile, numbers_in
from lb.config.shapes import LAW, Also
from lb.config.values import Duration, Mistakes, Positive, PositiveDuration, Table


def _wildness_of_gamma(shape: float) -> float:
    return (shape + 2) * (shape + 3) / (shape * (shape + 1))


class Exponential(Table):
    """Without memory."""

    law: Literal["exponential"]
    mean: PositiveDuration
    """How long on average."""

    @property
    def squared_cv(self) -> float:
        return 1.0

    @property
    def wildness(self) -> float:
        return 6.0


class Deterministic(Table):
    """Always the same."""

    law: Literal["deterministic", "constant"]
    mean: Duration
    """How long each time."""

    @property
    def squared_cv(self) -> float:
        return 0.0

    @property
    def wildness(self) -> float:
        return 1.0


class _Spread(Table):
    """What is given by its mean and how far it varies."""

    mean: PositiveDuration
    """How long on average."""
    cv: Positive
    """Standard deviation over mean."""

    @property
    def squared_cv(self) -> float:
        return self.cv**2


class Lognormal(_Spread):
    """The exponential of a normal law."""

    law: Literal["lognormal"]

    @property
    def wildness(self) -> float:
        return math.exp(min(4 * math.log1p(self.cv**2), 700.0))


class Gamma(_Spread):
    """A gamma law; below a cv of one it is narrower than the exponential."""

    law: Literal["gamma"]

    @property
    def wildness(self) -> float:
        return _wildness_of_gamma(self.cv**-2)


class Hyperexponential(_Spread):
    """Two exponential phases with balanced means."""

    law: Literal["hyperexponential"]
    cv: Annotated[float, Field(ge=1)]

    @property
    def chance(self) -> float:
        """Of the first phase, so that both bring as much work: its mean is 1 / (2 chance)."""
        return (1 + math.sqrt((self.cv**2 - 1) / (self.cv**2 + 1))) / 2

    @property
    def wildness(self) -> float:
        rates = (2 * self.chance, 2 * (1 - self.chance))
        fourth, second = (sum(rate / 2 * rate**-k for rate in rates) for k in (4, 2))
        return 6 * fourth / second**2


class Erlang(Table):
    """The sum of `k` exponential stages."""

    law: Literal["erlang"]
    mean: PositiveDuration
    """How long on average."""
    k: Annotated[int, Field(ge=1)]
    """How many stages; the more, the less it varies."""

    @property
    def squared_cv(self) -> float:
        return 1 / self.k

    @property
    def wildness(self) -> float:
        return _wildness_of_gamma(self.k)


class Uniform(Table):
    """Each value between two as likely."""

    law: Literal["uniform"]
    low: Duration
    """The shortest."""
    high: PositiveDuration
    """The longest."""

    @property
    def mean(self) -> float:
        return (self.low + self.high) / 2

    @property
    def squared_cv(self) -> float:
        return (self.high - self.low) ** 2 / 12 / self.mean**2

    @property
    def wildness(self) -> float:
        low, high = self.low, self.high
        fourth = sum(low**k * high ** (4 - k) for k in range(5)) / 5
        return 9 * fourth / (low**2 + low * high + high**2) ** 2

    @model_validator(mode="after")
    def _ordered(self) -> Uniform:
        if self.low > self.high:
            raise ValueError("low is above high")
        return self


class Weibull(Table):
    """A power of the exponential; below a shape of one its tail is heavier."""

    law: Literal["weibull"]
    mean: PositiveDuration
    """How long on average."""
    shape: Annotated[float, Field(ge=0.05)]
    """The exponent of the tail, exp(-(t / scale) ** shape)."""

    @property
    def squared_cv(self) -> float:
        second, first = math.lgamma(1 + 2 / self.shape), math.lgamma(1 + 1 / self.shape)
        return math.expm1(second - 2 * first)

    @property
    def wildness(self) -> float:
        fourth, second = math.lgamma(1 + 4 / self.shape), math.lgamma(1 + 2 / self.shape)
        return math.exp(min(fourth - 2 * second, 700.0))


class BoundedPareto(Table):
    """A power law cut at both ends, as sizes of files and of jobs have it.

    The density is proportional to x ** -(alpha + 1) from `low` to `ratio` times as much, which the
    mean decides (Crovella, Harchol-Balter and Murta 1998).
    """

    law: Literal["bounded_pareto"]
    mean: PositiveDuration
    """How long on average."""
    alpha: Annotated[float, Field(gt=0, le=20)]
    """The exponent of the tail; the smaller, the heavier."""
    ratio: Annotated[float, Field(gt=1, le=1e15)]
    """The largest value over the smallest."""

    @property
    def low(self) -> float:
        """The smallest value."""
        return self.mean / self._moment(1)

    @property
    def squared_cv(self) -> float:
        return self._moment(2) / self._moment(1) ** 2 - 1

    @property
    def wildness(self) -> float:
        return self._moment(4) / self._moment(2) ** 2

    def _moment(self, order: int) -> float:
        """The mean of (x / low) ** order."""
        span, power = math.log(self.ratio), order - self.alpha
        area = math.expm1(power * span) / power if power else span
        return self.alpha * area / -math.expm1(-self.alpha * span)


class Bimodal(Table):
    """Short and long work, or any few values that come with fixed chances."""

    law: Literal["bimodal"]
    values: Annotated[tuple[Duration, ...], Field(strict=False)]
    """How long each kind takes."""
    weights: Annotated[tuple[Annotated[float, Field(ge=0)], ...], Field(strict=False)]
    """How likely each value is, relative to the others."""

    @model_validator(mode="after")
    def _paired(self) -> Bimodal:
        wanted, given = len(self.values), len(self.weights)
        if wanted < 2:
            raise Mistakes((("values",), f"holds {wanted}; give at least two"))
        if wanted != given:
            raise Mistakes((("weights",), f"holds {given}, and values {wanted}; give one for each"))
        if not sum(self.weights):
            raise Mistakes((("weights",), "all are 0; give one above it"))
        if not self.mean:
            raise Mistakes((("values",), "the mean is 0; give one that is above it and has weight"))
        return self

    @property
    def chances(self) -> tuple[float, ...]:
        """The probability of each value."""
        return tuple(weight / sum(self.weights) for weight in self.weights)

    @property
    def mean(self) -> float:
        return self._mean_of(self.values)

    @property
    def squared_cv(self) -> float:
        mean = self.mean
        return self._mean_of([(value / mean - 1) ** 2 for value in self.values])

    @property
    def wildness(self) -> float:
        squares = [value**2 for value in self.values]
        return self._mean_of([it**2 for it in squares]) / self._mean_of(squares) ** 2

    def _mean_of(self, values: tuple[float, ...] | list[float]) -> float:
        return math.fsum(p * value for p, value in zip(self.chances, values, strict=True))


class Empirical(Table):
    """What was measured: each number of a file as likely."""

    law: Literal["empirical"]
    file: DataFile
    """One number of seconds a line."""
    _values: tuple[float, ...] = PrivateAttr(())
    _mean: float = PrivateAttr(0.0)

    @model_validator(mode="after")
    def _read(self) -> Empirical:
        try:
            self._values = numbers_in(self.file)
        except ValueError as error:
            raise Mistakes((("file",), str(error))) from None
        self._mean = math.fsum(self._values) / len(self._values)
        if not self._mean:
            raise Mistakes((("file",), f"{self.file}: every number is 0"))
        return self

    @property
    def values(self) -> tuple[float, ...]:
        """Seconds, in the file's order."""
        return self._values

    @property
    def mean(self) -> float:
        return self._mean

    @property
    def squared_cv(self) -> float:
        squares = ((value / self._mean - 1) ** 2 for value in self._values)
        return math.fsum(squares) / len(self._values)

    @property
    def wildness(self) -> float:
        squares = [value**2 for value in self._values]
        return len(squares) * math.fsum(it**2 for it in squares) / math.fsum(squares) ** 2


LawTable = (
    Exponential
    | Deterministic
    | Lognormal
    | Gamma
    | Erlang
    | Hyperexponential
    | Uniform
    | Weibull
    | BoundedPareto
    | Bimodal
    | Empirical
)

BARE = {"bimodal": "values", "empirical": "file"}
"""What a short form's value without a key is, where it is not the mean."""
LISTS = ("bimodal",)
"""Laws whose parameters are lists."""


def law_table(value: object) -> object:
    """`"lognormal:20ms,cv=1"` as a table; a bare value is the mean. Anything else as it is.

    A bare value behind another one belongs to the same list: `"bimodal:1ms,50ms,weights=9,1"`.
    """
    if not isinstance(value, str):
        return value
    name, _, rest = value.partition(":")
    name = name.strip()
    first = BARE.get(name, "mean")
    table: dict[str, object] = {"law": name}
    listed: list[object] = []
    for part in filter(None, rest.split(",")):
        key, equals, given = part.partition("=")
        item = _number_or_text(given if equals else key)
        if name in LISTS and (equals or not listed):
            table[key.strip() if equals else first] = listed = [item]
        elif name in LISTS:
            listed.append(item)
        else:
            table[key.strip() if equals else first] = item
    return table


def _number_or_text(text: str) -> object:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text.strip()


Law = Annotated[LawTable, Field(discriminator="law"), BeforeValidator(law_table), Also(LAW)]
