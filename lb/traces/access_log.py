"""Traces as access logs: the common and the combined log format of Apache, nginx and many others,
and the JSON of lb, which says when a request came to the millisecond.

A line says when a request came, from whom, and for what. It is written when the answer has ended,
so lines need not be in order.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta, timezone

from lb.traces.rows import Row, seconds_of, wrong

LINE = re.compile(
    r"(?P<host>\S+) \S+ [^\[]*\[(?P<time>(?P<day>\d{1,2})/(?P<month>[A-Z][a-z]{2})/(?P<year>\d{4})"
    r":(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)(?: (?P<sign>[+-])(?P<zone>\d{4}))?)\]"
)
TARGET = re.compile(r' "[A-Z]+ (?P<uri>(?P<path>[^\s?"]*)[^\s"]*)')
OURS = '"total_ms":'
"""What every line of lb in JSON has, and hardly anything else."""
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def access_log(source: str, lines: Iterable[str], key: str) -> Iterator[Row]:
    """One row a line. Raises ConfigError.

    `key` is what hash strategies see: path, uri, or else who asked; requests that are none have an
    empty one.
    """
    said, at = "", 0.0
    for line, text in enumerate(lines, 1):
        if not text.strip():
            continue
        match = LINE.match(text)
        if match is None:
            raise wrong(source, line, "not a line of the common or combined log format")
        if match["time"] != said:  # many in a row say the same
            said = match["time"]
            try:
                at = _seconds(match)
            except ValueError as error:
                raise wrong(source, line, f"time {said!r}: {error}") from None
        if key in ("path", "uri"):
            target = TARGET.match(text, match.end())
            yield Row(line, at, None, target[key] if target else "")
        else:
            yield Row(line, at, None, match["host"])


def json_access_log(source: str, lines: Iterable[str], key: str) -> Iterator[Row]:
    """The same for lines of lb in JSON. Raises ConfigError."""
    for line, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            told = json.loads(text)
            at = seconds_of(told["time"])
            target = told["target"] or ""
            who = told["client"] or ""
        except (ValueError, TypeError, KeyError, RecursionError):
            raise wrong(source, line, "not a line of an access log in JSON") from None
        asked = {"path": target.partition("?")[0], "uri": target}.get(key, who)
        yield Row(line, at, None, asked)


def _seconds(match: re.Match[str]) -> float:
    if match["month"] not in MONTHS:
        raise ValueError(f"no month is called {match['month']}")
    zone = timedelta()
    if match["zone"]:
        zone = timedelta(hours=int(match["zone"][:2]), minutes=int(match["zone"][2:]))
    day, hour, minute, second = (int(match[name]) for name in ("day", "hour", "minute", "second"))
    east = timezone(-zone if match["sign"] == "-" else zone)
    month = MONTHS.index(match["month"]) + 1
    return datetime(int(match["year"]), month, day, hour, minute, second, tzinfo=east).timestamp()
