"""What a calibration could not identify: its ends, in words, and what a load hangs on of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lb.config import Calibration, Scenario, changed
from lb.errors import ConfigError, UsageError
from sim.fit.said import Keys, said

NO_END = 1_000
"""A number from which it is none, as calibrations have it: nobody has so many workers."""
NAMED = 3
"""Of a long list."""
CURE = (
    "to find out, record while each backend gets requests and, at times, more than it has workers, "
    "and calibrate from that"
)


def kind_of(key: str) -> str:
    """A path without the numbers in it."""
    return ".".join(part for part in key.split(".") if not part.isdigit())


def unknowns(calibration: Calibration | None) -> list[tuple[Keys, Keys]]:
    """Low and high ends; those of one kind at several backends go together."""
    kinds: dict[str, tuple[Keys, Keys]] = {}
    for row in () if calibration is None else calibration.unknown:
        low, high = kinds.setdefault(kind_of(row.key), ({}, {}))
        low |= row.settings("low")
        high |= row.settings("high")
    return list(kinds.values())


def at(scenario: Scenario, keys: Mapping[str, object]) -> Scenario:
    """With these ends. Raises ConfigError for a key that the file does not have."""
    try:
        return changed(scenario, said(scenario, keys))
    except UsageError as error:
        raise ConfigError([f"{scenario.place('calibration')}: {error}"]) from None


def lightest(scenario: Scenario, load: Callable[[Scenario], float]) -> tuple[float, Keys]:
    """The least that `load` may be, and the ends that make it so: empty where none lightens it."""
    least, found = load(scenario), Keys()
    for ends in unknowns(scenario.calibration):
        tried = [(load(at(scenario, {**found, **end})), place) for place, end in enumerate(ends)]
        best, place = min(tried)
        if best < least:
            least, found = best, {**found, **ends[place]}
    return least, found


def in_words(scenario: Scenario, keys: Mapping[str, object]) -> str:
    """`workers of a, at least 4, and workers of b, 2 to 6`."""
    rows = () if scenario.calibration is None else scenario.calibration.unknown
    told = [
        f"{_named(scenario, row.key)}, {_range(row.low, row.high)}"
        for row in rows
        if row.key in keys
    ]
    more = len(told) - NAMED
    return ", and ".join([*told[:NAMED], *([f"{more} more"] if more > 0 else [])])


def _named(scenario: Scenario, key: str) -> str:
    first, *more = key.split(".")
    if first != "backend" or not more[0].isdigit() or int(more[0]) >= len(scenario.backends):
        return key
    what = "service" if more[-1] == "mean" else more[-1]
    return f"{what} of {scenario.backends[int(more[0])].label}"


def _range(low: object, high: object) -> str:
    if isinstance(low, str) and not low[:1].isdigit():
        return f"{low} or {high}"
    if isinstance(high, int) and high >= NO_END:
        return f"at least {low}"
    return f"{low} to {high}"
