"""The rows of a trace, checked one by one as they are read."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from lb.errors import ConfigError

YEARS = 1e8
"""Seconds; times that begin later than that are a calendar's, and count from the first."""


class Row(NamedTuple):
    """One request, as a line gives it."""

    line: int
    time: float
    size: float | None
    key: str | None
    balancer: int | None = None


@dataclass(frozen=True)
class Rows:
    """Requests by arrival; arrays have one entry each."""

    times: array[float]
    """Seconds from the start, ascending."""
    sizes: array[float] | None
    """Work relative to a backend's mean."""
    keys: array[int] | None
    """Numbers of `texts`."""
    texts: tuple[str, ...]
    whole_seconds: bool
    """Whether the file says no more than in which second a request came."""
    balancers: array[int] | None = None
    """Which of several each came to, from 0 on."""

    @property
    def work(self) -> float:
        """The mean of the sizes; 1 where they are drawn."""
        return 1.0 if self.sizes is None else sum(self.sizes) / len(self.sizes)


def collected(
    source: str, rows: Iterable[Row], *, ordered: bool = True, whole_seconds: bool = False
) -> Rows:
    """All of them. Raises ConfigError at the first that cannot be; `ordered`: they must ascend."""
    times, sizes, keys, balancers = array("d"), array("d"), array("q"), array("q")
    numbers: dict[str, int] = {}
    before = 0.0
    for line, time, size, key, balancer in rows:
        if not 0 <= time < float("inf"):
            raise wrong(source, line, f"time {time:g} is not a number of seconds from zero up")
        if ordered and time < before:
            why = f"time {time:.15g} is before that above it, {before:.15g}; sort the lines by time"
            raise wrong(source, line, why)
        before = time
        times.append(time)
        if size is not None:
            if not 0 <= size < float("inf"):
                raise wrong(source, line, f"size {size:g} is not a number from zero up")
            sizes.append(size)
        if key is not None:
            key = key.strip(" \t")
            if not key.isprintable():
                why = f"key {key!r} holds a character that no header field can carry"
                raise wrong(source, line, why)
            keys.append(numbers.setdefault(key, len(numbers)))
        if balancer is not None:
            balancers.append(balancer)
    if not times:
        raise ConfigError([f"{source}: holds no request"])
    if not ordered:
        order = sorted(range(len(times)), key=times.__getitem__)
        times = array("d", [times[i] for i in order])
        keys = array("q", [keys[i] for i in order]) if keys else keys
    if times[0] > YEARS:
        first = times[0]
        times = array("d", [time - first for time in times])
    if not times[-1] and not whole_seconds:
        raise ConfigError([f"{source}: all that it holds comes at 0 s, and a run takes time"])
    if numbers.keys() == {""}:  # nobody has a key
        keys, numbers = array("q"), {}
    return Rows(
        times, sizes or None, keys or None, tuple(numbers), whole_seconds, balancers or None
    )


def wrong(source: str, line: int, why: str) -> ConfigError:
    """An error of that line."""
    return ConfigError([f"{source}:{line}: {why}"])


def seconds_of(value: object) -> float:
    """A number of seconds, or a time of day as ISO 8601 has it. Raises ValueError."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            at = datetime.fromisoformat(value.strip())
            return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    raise ValueError(value)


def number_of(value: object) -> float:
    """A number, or its text. Raises ValueError or TypeError."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError(value)
    return float(value)
