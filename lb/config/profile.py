"""What changes with time as the file says, point by point: a rate of arrivals, a speed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, ClassVar, Literal, NamedTuple

from pydantic import BeforeValidator, Field, field_validator

from lb.config.values import Duration, Mistakes, Table


class Piece(NamedTuple):
    """A time in which a rate changes evenly, or not at all."""

    since: float
    until: float
    first: float
    """Requests per second at its beginning."""
    last: float

    @property
    def holds(self) -> float:
        """Requests on average, all of it."""
        if self.until == math.inf:
            return math.inf if self.last else 0.0
        return self.expected(self.until)

    def expected(self, until: float) -> float:
        """Requests on average, from its beginning to `until` or its end."""
        seconds = max(min(until, self.until) - self.since, 0.0)
        return seconds * (self.first + self.slope * seconds / 2)

    def taken(self, requests: float) -> float:
        """Seconds from its beginning until so many have come on average; they all do within it."""
        root = math.sqrt(max(self.first**2 + 2 * self.slope * requests, 0.0))
        return 2 * requests / (self.first + root) if requests else 0.0

    @property
    def slope(self) -> float:
        """By how much the rate rises in a second."""
        return (self.last - self.first) / (self.until - self.since)


def _point(value: object) -> object:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise ValueError('a point is a time and the rate there, such as ["20s", 150]')
    return tuple(value)


Point = Annotated[tuple[Duration, Annotated[float, Field(ge=0)]], BeforeValidator(_point)]


class Course(Table):
    """What changes with time, point by point."""

    points: Annotated[tuple[Point, ...], Field(strict=False)]
    """Times, and the rate there; the first holds before, the last from there on."""
    shape: Literal["linear", "step"] = "linear"
    """Whether the rate changes evenly between two points, or at each at once."""

    @field_validator("points")
    @classmethod
    def _ascending(cls, points: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
        found: list[tuple[tuple[int, int], str]] = []
        for number, ((before, _), (at, _)) in enumerate(pairwise(points), 1):
            if at <= before:
                found.append(((number, 0), f"{at:g} s is not after the time before, {before:g} s"))
        if found:
            raise Mistakes(*found)
        if not points:
            raise ValueError("holds no point; give at least one time and rate")
        return points

    @property
    def pieces(self) -> Iterator[Piece]:
        """The whole of time, cut where the rate begins to change in another way."""
        before, rate = 0.0, self.points[0][1]
        for at, given in self.points:
            if at > before:
                yield Piece(before, at, rate, rate if self.shape == "step" else given)
            before, rate = at, given
        yield Piece(before, math.inf, rate, rate)

    def mean(self, seconds: float) -> float:
        """The mean rate from the start on for so long."""
        if not seconds:
            return self.points[0][1]
        return sum(piece.expected(seconds) for piece in self.pieces) / seconds


class Profile(Course):
    """Poisson arrivals at a rate that changes with time, as on a day or in a flash crowd.

    A ramp is two points; a step two with shape = "step"; a spike three of that shape.
    """

    changes: ClassVar[bool] = True
    process: Literal["profile"]

    @field_validator("points")
    @classmethod
    def _possible(cls, points: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
        if not any(rate for _, rate in points):
            raise ValueError("every rate is 0: nobody would ever come")
        return points

    def mean_rate(self, duration: float | None, requests: float) -> float:
        """Requests per second on average over a run of that length, zero where none comes."""
        if duration is not None:
            return self.mean(duration)
        left = requests
        for piece in self.pieces:
            if left <= piece.holds:
                return requests / (piece.since + piece.taken(left))
            left -= piece.holds
        ends = max(piece.until for piece in self.pieces if piece.until < math.inf)
        return (requests - left) / ends
