"""Durations, shares and sizes as people write them: a number and a unit."""

from __future__ import annotations

import re
from decimal import Decimal

UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)")


def seconds(text: object) -> float:
    """`"250ms"` -> 0.25. Raises ValueError for anything that is not a number and a unit."""
    match = _DURATION.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None or match[2] not in UNITS:
        raise ValueError('a duration is a number and a unit (us, ms, s, m, h), such as "250ms"')
    return float(match[1]) * UNITS[match[2]]


def duration(value: float) -> str:
    """The shortest text that `seconds` reads as exactly this: 0.25 -> `"250ms"`."""
    exact = Decimal(repr(float(value)))
    texts = [
        f"{_tidy(f'{exact / Decimal(repr(UNITS[unit])):f}')}{unit}"
        for unit in ("s", "ms", "us", "m", "h")
    ]
    right = [text for text in texts if seconds(text) == value]
    return min(right, key=lambda text: (len(text), "." in text))


def _tidy(number: str) -> str:
    return number.rstrip("0").rstrip(".") if "." in number else number


def share(text: str) -> float:
    """`"2%"` and `"0.02"` -> 0.02. Raises ValueError."""
    number = text.strip()
    try:
        return float(number[:-1]) / 100 if number.endswith("%") else float(number)
    except ValueError:
        raise ValueError(f"{text.strip()!r} is not a share such as 2% or 0.02") from None


SIZES = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_SIZE = re.compile(r"(\d+)\s*([A-Za-z]*)")


def size(value: object) -> int:
    """`"8KiB"` -> 8192; a whole number is bytes. Raises ValueError for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is not None and match[2] in SIZES:
        return int(match[1]) * SIZES[match[2]]
    hint = ""
    if match is not None:
        first = match[2][:1].lower()
        meant = next((unit for unit in ("KiB", "MiB", "GiB") if unit[0].lower() == first), "B")
        hint = f'; did you mean "{match[1]}{meant}"?'
    units = ", ".join(SIZES)
    raise ValueError(f'a size is a whole number and a unit ({units}), such as "8KiB"{hint}')
