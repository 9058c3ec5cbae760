"""Axes of a sweep as a command line writes them: lists, ranges, and keys of the file."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation

from lb.errors import UsageError

MOST = 10_000
"""Values of a range: a mistaken step makes more."""
KEYS = {
    "requests": ("run.requests", "run.duration"),
    "replications": ("run.replications",),
    "seed": ("run.seed",),
}
"""What options that are no axis give."""
EXACT = 2**53
"""From here on a number need not be one that counts something."""
_PART = re.compile(
    r"""(?: "(?:[^"\\]|\\.)*" | '[^']*' | \[[^\]]*\] | \{[^}]*\} | [^,"'\[{] )+""", re.VERBOSE
)
"""Up to the next comma outside of quotes and brackets."""


def axes_of(changes: Iterable[str], **lists: str | None) -> dict[str, tuple[object, ...]]:
    """What `--set` and the options named like an axis ask for, in that order. Raises UsageError.

    >>> axes_of(["p2c:choices=2,3"], load="0.5:0.7:0.1")
    {'p2c:choices': (2, 3), 'load': (0.5, 0.6, 0.7)}
    """
    axes: dict[str, tuple[object, ...]] = {}
    for text in changes:
        name, equals, values = text.partition("=")
        name = name.strip()
        if not equals or not name or not values.strip():
            raise UsageError(f"--set {text}: write KEY=VALUE,VALUE,...")
        if name in axes:
            raise UsageError(f"--set {name}: given twice; put all of its values behind one")
        axes[name] = tuple(value_of(part) for part in _PART.findall(values))
    for name, given in lists.items():
        if given is not None:
            axes[name] = numbers(f"--{name}", given)
    return axes


def set_once(axes: Iterable[str], **flags: object) -> None:
    """Raise UsageError where `--set` and an option that is given say how long or how often."""
    for name, value in flags.items():
        for key in KEYS[name]:
            if value is not None and key in axes:
                raise UsageError(f"--{name} and --set {key} are about the same; give one of them")


def numbers(flag: str, text: str) -> tuple[int | float, ...]:
    """`0.5,0.7` or `0.5:0.9:0.1`, both ends included. Raises UsageError."""
    found: list[int | float] = []
    for part in text.split(","):
        bounds = [_decimal(flag, bound) for bound in part.split(":")]
        match bounds:
            case [value]:
                found.append(_plain(value))
            case [low, high, step] if step > 0 and low <= high and (high - low) / step < MOST:
                count = int((high - low) / step) + 1
                found += [_plain(low + step * number) for number in range(count)]
            case _:
                raise UsageError(f"{flag}: {part!r} is not FROM:TO:STEP, such as 0.5:0.9:0.1")
    return tuple(found)


def _decimal(flag: str, text: str) -> Decimal:
    try:
        value = Decimal(text.strip())
    except InvalidOperation:
        raise UsageError(f"{flag}: {text.strip()!r} is not a number") from None
    if not math.isfinite(float(value)):
        raise UsageError(f"{flag}: {text.strip()!r} is not a number")
    return value


def _plain(value: Decimal) -> int | float:
    whole = abs(value) < EXACT and value == value.to_integral_value()
    return int(value) if whole else float(value)


def value_of(text: str) -> object:
    """As a file has it, quotes around a text left out where it is plain."""
    try:
        return tomllib.loads(f"value = {text.strip()}")["value"]
    except tomllib.TOMLDecodeError:
        return text.strip()
