"""What a recording says about the balancer it was made of, at the top of each of its parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lb.balancing import Setup

MORE = ("at", "part", "share", "calls", "under_way")


@dataclass(frozen=True)
class Header:
    """What a recording says about the balancer it was made of."""

    lb: str
    """Version that recorded."""
    seed: int
    now: float
    """When the recording began."""
    setup: Setup
    """At the beginning of this part."""
    version: int
    """Of the format; from 3 on it says what became of requests."""
    at: float | None = None
    """What `now` is in seconds since 1970, where that is told."""
    part: int = 1
    """From 1."""
    share: float = 1.0
    """Of the calls that are in it."""
    calls: int = 0
    """That were admitted before this part."""
    under_way: int = 0
    """Attempts in flight as it begins."""
    names: tuple[str, ...] = ()
    """Of all backends until then, by order."""

    @property
    def whole(self) -> bool:
        """It begins at the beginning, and holds everything: it can be replayed."""
        return self.part == 1 and self.share >= 1.0

    def precedes(self, other: Header) -> bool:
        """Whether `other` is of the part that comes next in the same recording."""
        return (other.seed, other.now, other.part) == (self.seed, self.now, self.part + 1)


def _setup_of_format_1(header: dict[str, Any]) -> Setup:
    """The parts stand at the top of the header; failures had no say in health or line."""
    parts = {name: value for name, value in header.items() if name not in ("lb", "seed", "now")}
    rise = parts["health"]["rise"]
    parts["health"] = {**parts["health"], "first_rise": rise, "attempts": False}
    parts["queue"] = {**parts["queue"], "hold": True}
    return Setup.from_dict(parts)


READ = (1, 2, 3)
"""Formats that are read."""


def header_of(row: dict[str, Any], version: int) -> Header:
    """What the JSON says. Raises KeyError, TypeError or ValueError where that makes no sense."""
    setup = _setup_of_format_1(row) if version == 1 else Setup.from_dict(row["setup"])
    names = tuple(row.get("names", [settings.label for settings in setup.backends]))
    more = {name: row[name] for name in MORE if name in row}
    if (version > 2) != ("part" in row):
        raise ValueError(f"format {version} does not have these fields")
    return Header(row["lb"], row["seed"], row["now"], setup, version, names=names, **more)
