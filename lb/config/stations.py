"""What a modelled backend is: its workers, their queue, what slows them down, what comes after."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from lb.config.laws import Law
from lb.config.profile import Course
from lb.config.shapes import POINTS, Also
from lb.config.values import Duration, Mistakes, PositiveDuration, Table
from lb.errors import nearest


class Usl(Table):
    """How work slows down as more of it goes on at once: the Universal Scalability Law.

    n requests at a time are served as fast as n / (1 + a (n - 1) + b n (n - 1)) alone, shared
    equally. Source: Gunther, "Guerrilla Capacity Planning", 2007, chapter 4.
    """

    contention: Annotated[float, Field(ge=0, le=1)] = 0.0
    """a: the share of the work that can only be done by one at a time."""
    coherency: Annotated[float, Field(ge=0, le=1)] = 0.0
    """b: what each pair of requests costs to be kept in agreement."""

    @model_validator(mode="after")
    def _slows(self) -> Usl:
        if not (self.contention or self.coherency):
            why = "0, and so is coherency: nothing slows down; give one of them, or no usl"
            raise Mistakes((("contention",), why))
        return self

    def capacity(self, n: int) -> float:
        """Of `n` requests at a time, as a multiple of one alone."""
        return n / (1 + self.contention * (n - 1) + self.coherency * n * (n - 1))


class Speed(Course):
    """How fast a backend works as time goes by, 1 being that of its `service`."""

    @field_validator("points")
    @classmethod
    def _works(cls, points: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
        why = 'a speed is above zero; to stand still for a time is a [[fault]] of kind "pause"'
        still = [((number, 1), why) for number, (_, speed) in enumerate(points) if not speed]
        if still:
            raise Mistakes(*still)
        return points


def _points(value: object) -> object:
    return {"points": value} if isinstance(value, list | tuple) else value


class StationTable(Table):
    """Workers and their queue."""

    service: Law
    """How long a worker takes for a request."""
    discipline: Literal["fifo", "ps"] = "fifo"
    """First come first served, or "ps": all at once, each slower the more there are."""
    workers: Annotated[int, Field(ge=1)] = 1
    """How many requests are worked at together."""
    queue: Annotated[int, Field(ge=0)] | None = None
    """Requests that may wait there; unlimited unless given."""
    usl: Usl | None = None
    """How requests that are worked at together slow each other down; not at all unless given. They
    are as many as are there, at most as many as there are workers, under either discipline."""
    speed: Annotated[Speed | None, BeforeValidator(_points), Also(POINTS)] = None
    """How fast it works as time goes by: points, as in `[["0s", 1.0], ["30s", 0.5]]`, or a table of
    `points` and `shape`, see the profile of arrivals. Times count from the first request on."""

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.usl is not None and self.workers == 1:
            why = "one worker has nobody beside it that could slow it down; give workers"
            raise Mistakes((("usl",), why))
        return self

    @property
    def holds(self) -> bool:
        """Whether workers stay with their requests when the work here is done."""
        return False

    @property
    def separate(self) -> bool:
        """Whether each worker has a line of its own."""
        return False

    @property
    def plain(self) -> bool:
        """Whether it is a line and its workers, and nothing else makes a difference."""
        unusual = self.usl is not None or self.speed is not None
        return not (unusual or self.holds or self.separate)

    def pace(self, n: int) -> float:
        """How fast each of `n` requests at work goes on; 1 is that of one alone."""
        return 1.0 if self.usl is None else self.usl.capacity(n) / n

    @property
    def capacity(self) -> float:
        """Requests per second at full use, all workers busy: with a backlog there is no other.

        At a speed of 1.
        """
        return self._served(self.workers)

    def capacity_over(self, seconds: float) -> float:
        """The same on average over a run of that length."""
        return self.capacity * (1.0 if self.speed is None else self.speed.mean(seconds))

    @property
    def best(self) -> tuple[float, int]:
        """The most requests per second, and how many at a time it takes; more may be slower."""
        most = max(range(1, self.workers + 1), key=self._served)
        return self._served(most), most

    def _served(self, n: int) -> float:
        return n * self.pace(n) / self.service.mean if self.service.mean else float("inf")


class Model(StationTable):
    """A modelled backend, read by the simulator and by `lb backend`."""

    accept: Literal["shared", "reuseport"] = "shared"
    """Whether its workers share one line, or each has its own, of `queue` places, to which requests
    are dealt at random, as connections are to processes that listen with SO_REUSEPORT."""
    then: str | None = None
    """The [[shared]] station where a request goes on before it is answered, a database say."""
    holds_worker: bool | None = None
    """Whether a worker waits with its request meanwhile, as a thread does, or takes another one, as
    an event loop does. It waits unless said otherwise, but not with "ps", which has none to hold.
    """
    report_every: PositiveDuration = 1.0
    """What a load report averages over."""
    report_delay: Duration = 0.0
    """How old its figures are when it is made."""

    @model_validator(mode="after")
    def _waits(self) -> Self:
        if self.holds_worker is not None and self.then is None:
            why = "there is nothing to wait for; give then, the name of a [[shared]] station"
            raise Mistakes((("holds_worker",), why))
        if self.holds_worker and self.discipline == "ps":
            why = 'with discipline "ps" nobody has a worker to hold; write false, or "fifo"'
            raise Mistakes((("holds_worker",), why))
        return self

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if self.separate and self.workers == 1:
            why = "one worker has one line either way; give workers"
            raise Mistakes((("accept",), why))
        if self.separate and self.usl is not None:
            raise Mistakes(
                (("accept",), "usl is of workers that share a line; leave one of them out")
            )
        return self

    @property
    def separate(self) -> bool:
        return self.accept == "reuseport"

    @property
    def holds(self) -> bool:
        waits = self.discipline == "fifo" if self.holds_worker is None else self.holds_worker
        return self.then is not None and waits


class Shared(StationTable):
    """A station where requests of several backends go on, whatever balancer they came through."""

    name: Annotated[str, Field(min_length=1)]
    """What a backend's model calls it in `then`."""


def check_shared(shared: Sequence[Shared], models: Sequence[Model | None]) -> None:
    """Raise Mistakes for names that are given twice, that nobody knows or that nobody uses."""
    found: list[tuple[tuple[str | int, ...], str]] = []
    names = [row.name for row in shared]
    used = {model.then for model in models if model is not None}
    for number, name in enumerate(names):
        if name in names[:number]:
            why = f"{name} is given twice, first as shared[{names.index(name)}]"
            found.append((("shared", number, "name"), why))
        elif name not in used:
            why = f'no backend goes on there; write then = "{name}" in a [backend.model]'
            found.append((("shared", number, "name"), why))
    for number, model in enumerate(models):
        if model is not None and model.then is not None and model.then not in names:
            known = nearest(model.then, names) if names else "give [[shared]], with this name"
            why = f"no [[shared]] station is called {model.then!r}; {known}"
            found.append((("backend", number, "model", "then"), why))
    if found:
        raise Mistakes(*found)
