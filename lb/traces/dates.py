"""Times as logs write them: those of the common log format, ISO 8601, seconds of Unix."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache

CLF = re.compile(
    r"(\d{1,2})/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d)(\.\d+)?(?: ([+-])(\d\d)(\d\d))?"
)
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
LARGEST = 1e11
"""More seconds than that are thousandths of them, as often as it takes."""


def clf(text: str) -> float:
    """`29/Nov/2026:03:43:23.123 +0000`; without a zone it counts as UTC. Raises ValueError."""
    match = CLF.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no time")
    day, month, year, hour, minute, second, part, sign, hours, minutes = match.groups()
    return _second(day, month, year, hour, minute, second, sign, hours, minutes) + float(part or 0)


@lru_cache(maxsize=16)
def _second(
    day: str,
    month: str,
    year: str,
    hour: str,
    minute: str,
    second: str,
    sign: str | None,
    hours: str | None,
    minutes: str | None,
) -> float:
    """Many lines in a row say the same one."""
    if month not in MONTHS:
        raise ValueError(f"no month is called {month}")
    zone = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    east = timezone(-zone if sign == "-" else zone)
    leap = int(second) == 60
    at = datetime(
        int(year),
        MONTHS.index(month) + 1,
        int(day),
        int(hour),
        int(minute),
        59 if leap else int(second),
        tzinfo=east,
    )
    return at.timestamp() + leap


def moment(value: object) -> tuple[float, float]:
    """Seconds, and to how many of them it is exact. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{value!r} is no time")  # noqa: TRY004 - as of a text that is none
    if isinstance(value, str):
        text = value.strip()
        if CLF.fullmatch(text):
            return clf(text), 1e-3 if "." in text else 1.0
        try:
            number = float(text)
        except ValueError:
            at = _iso(text)
            exact = _exact(text) if "." in text else 1.0
            return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp(), exact
        whole = "." not in text
    else:
        text = repr(value)
        if isinstance(value, int) and abs(value) >= 10**300:
            raise ValueError("a number of so many digits is no time")
        number, whole = float(value), isinstance(value, int)
    if number != number or abs(number) == float("inf"):
        raise ValueError(f"{value!r} is no time")
    exact = 1.0 if whole else _exact(text)
    while abs(number) > LARGEST:
        number, exact = number / 1e3, exact / 1e3
    return number, exact


def _iso(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no time") from None


def _exact(text: str) -> float:
    """By the digits behind the point; a thousandth at least, for the last ones may be noughts."""
    digits = re.search(r"\.(\d+)", text)
    return min(1e-3, max(1e-6, 10.0 ** -len(digits[1]))) if digits else 1e-3
