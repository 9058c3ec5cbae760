"""Durations as people write them: a number and a unit."""

from __future__ import annotations

import re

UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)")


def seconds(text: object) -> float:
    """`"250ms"` -> 0.25. Raises ValueError for anything that is not a number and a unit."""
    match = _DURATION.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None or match[2] not in UNITS:
        raise ValueError('a duration is a number and a unit (us, ms, s, m, h), such as "250ms"')
    return float(match[1]) * UNITS[match[2]]
