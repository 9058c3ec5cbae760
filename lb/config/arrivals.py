"""Arrival processes and keys, as the file writes them.

Each process knows the mean rate that it offers; `changes` says whether the rate follows the clock.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from lb.config.files import DataFile
from lb.config.laws import Law, law_table
from lb.config.profile import Profile
from lb.config.shapes import COUNT, LAW, Also
from lb.config.values import Mistakes, Positive, PositiveDuration, Share, Table
from lb.traces import Rows, read


class Zipf(Table):
    """Keys 0 .. count-1, key k with probability proportional to (k + 1) ** -s."""

    law: Literal["zipf"]
    count: Annotated[int, Field(ge=1)]
    """How many keys there are."""
    s: Annotated[float, Field(ge=0)]
    """How much the first ones are preferred; 0 is not at all."""


class _Even(Table):
    """What has one rate from the start to the end."""

    changes: ClassVar[bool] = False
    rate: Positive
    """Requests per second."""

    def mean_rate(self, _duration: float | None, _requests: float) -> float:
        """Requests per second on average over a run of that length."""
        return self.rate


class Poisson(_Even):
    """Arrivals that know nothing of each other."""

    process: Literal["poisson"]


class Paced(_Even):
    """Arrivals at equal distances."""

    process: Literal["deterministic"]


class Constant(Table):
    """So many requests each time."""

    law: Literal["deterministic", "constant"]
    mean: Annotated[int, Field(ge=1)]
    """How many."""


class Geometric(Table):
    """From one request up, each further one as likely as the one before."""

    law: Literal["geometric"]
    mean: Annotated[float, Field(ge=1)]
    """How many on average."""


def _requests(value: object) -> object:
    if isinstance(value, str):
        return law_table(value)
    if isinstance(value, bool | int | float):
        if isinstance(value, bool) or value != int(value) or value < 1:
            example = '{ law = "geometric", mean = 2.5 }'
            raise ValueError(f"a whole number from 1 up, or a law such as {example}, not {value!r}")
        return {"law": "constant", "mean": int(value)}
    return value


Requests = Annotated[
    Constant | Geometric,
    Field(discriminator="law"),
    BeforeValidator(_requests),
    Also(COUNT, LAW),
]
"""How many requests: a number, or a law."""


class Batch(_Even):
    """Several requests at one instant; the batches are Poisson arrivals."""

    process: Literal["batch"]
    size: Requests
    """How many requests come together."""


class Renewal(Table):
    """Gaps that know nothing of each other, of any law; the first begins with the run."""

    changes: ClassVar[bool] = False
    process: Literal["renewal"]
    law: Law
    """Its mean is that of the gaps."""

    @model_validator(mode="after")
    def _goes_on(self) -> Renewal:
        if not self.law.mean:
            raise Mistakes((("law", "mean"), "0 s between requests; write how long a gap is"))
        return self

    def mean_rate(self, _duration: float | None, _requests: float) -> float:
        """Requests per second on average over a long run."""
        return 1 / self.law.mean


class Mmpp(Table):
    """Poisson arrivals at rates that take turns: a Markov-modulated Poisson process.

    Stays are exponential, and the process is stationary: which rate is first is drawn by how long
    each stays.
    """

    changes: ClassVar[bool] = False
    process: Literal["mmpp"]
    rates: Annotated[tuple[Annotated[float, Field(ge=0)], ...], Field(strict=False)]
    """Requests per second, visited in turn."""
    dwell: Annotated[tuple[PositiveDuration, ...], Field(strict=False)]
    """How long each stays, on average."""

    @model_validator(mode="after")
    def _paired(self) -> Mmpp:
        wanted, given = len(self.rates), len(self.dwell)
        if wanted < 2:
            raise Mistakes((("rates",), f"holds {wanted}; give two, or the process poisson"))
        if wanted != given:
            raise Mistakes((("dwell",), f"holds {given}, and rates {wanted}; give one for each"))
        if not any(self.rates):
            raise Mistakes((("rates",), "every rate is 0: nobody would ever come"))
        return self

    def mean_rate(self, _duration: float | None, _requests: float) -> float:
        """Requests per second on average over a run of any length."""
        held = (rate * stay for rate, stay in zip(self.rates, self.dwell, strict=True))
        return math.fsum(held) / math.fsum(self.dwell)


class Sine(Table):
    """Poisson arrivals at a rate that goes up and down, as by day and night."""

    changes: ClassVar[bool] = True
    process: Literal["sine"]
    rate: Positive
    """Requests per second, the mean of a period; it begins there, rising."""
    amplitude: Share
    """How far it goes from there, as a part of it."""
    period: PositiveDuration
    """From one height to the next."""

    def expected(self, until: float) -> float:
        """Requests on average, from the start to `until`."""
        turn = 2 * math.pi / self.period
        return self.rate * (until + self.amplitude * (1 - math.cos(turn * until)) / turn)

    def mean_rate(self, duration: float | None, requests: float) -> float:
        """Requests per second on average over a run of that length."""
        if duration is not None:
            return self.expected(duration) / duration
        low, high = 0.0, requests / self.rate  # never later than at the mean rate alone
        while low < (until := (low + high) / 2) < high:
            low, high = (low, until) if self.expected(until) > requests else (until, high)
        return requests / high


class Trace(Table):
    """What came once comes again: requests of a file, at its times.

    CSV with the header `time,size,key` (size and key may lack; `balancer`, from 1 on, says which of
    several each comes to), JSON lines with the same names, access logs in the common or combined
    format, or recordings of lb. Times are seconds from the start; times of day count from the
    first. Sizes are work relative to a backend's mean, as in X-LB-Size; those that the file does
    not give are drawn, in each replication anew. Keys of an access log are its clients, or what
    `key = "path"` or "uri" says. A run that gives no length takes all of it, and none goes on when
    it ends.
    """

    changes: ClassVar[bool] = True
    process: Literal["trace"]
    file: DataFile
    """Relative to the file that names it."""
    scale: Positive = 1.0
    """How many times this traffic: time runs so much faster. That keeps every law of its gaps,
    their correlation, and the order of sizes and keys; bursts and tides are as much shorter."""

    @property
    def rows(self) -> Rows:
        """What is in it, at its own pace. Raises ConfigError."""
        return read(self.file)

    def keyed_by(self, key: str) -> Rows:
        """The same; an access log's keys are what `key` of the file says. Raises ConfigError."""
        return read(self.file, key)

    @property
    def ends(self) -> float:
        """Seconds until all of it has come. Raises ConfigError."""
        return self._until(len(self.rows.times))

    def mean_rate(self, duration: float | None, requests: float) -> float:
        """Requests per second on average over a run of that length, or to the end of all.

        Raises ConfigError.
        """
        times = self.rows.times
        most = int(min(len(times), requests))
        count = most if duration is None else bisect_left(times, duration * self.scale, 0, most)
        seconds = self._until(count) if duration is None or count == most else duration
        return count / seconds if seconds else math.inf

    def _until(self, count: int) -> float:
        """Seconds until so many have come."""
        rows = self.rows
        return (rows.times[max(count, 1) - 1] + rows.whole_seconds) / self.scale


ProcessTable = Poisson | Paced | Renewal | Batch | Mmpp | Profile | Sine
"""Those that are drawn."""
ArrivalsTable = ProcessTable | Trace
Arrivals = Annotated[ArrivalsTable, Field(discriminator="process")]
