"""Traces as tables: CSV with a header, and JSON, an object a line.

Both have a `time`, and may have a `size`, a `key` and a `balancer`, which numbers those that
requests came to, from 1 on; a file that gives one gives it in every line. Objects may hold more,
columns not: a name that is misspelt would pass for one that is not given.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from typing import Any

from lb.errors import nearest
from lb.traces.rows import Row, number_of, seconds_of, wrong

COLUMNS = ("time", "size", "key", "balancer")
MOST = 10_000
"""Balancers, as of any run."""


def comma_separated(source: str, lines: Iterable[str]) -> Iterator[Row]:
    """The rows below the header. Raises ConfigError."""
    reader = csv.reader(lines, strict=True)
    try:
        header = [name.strip() for name in next(reader)]
        for name in header:
            if name not in COLUMNS:
                raise wrong(source, 1, f"unknown column {name!r}; {nearest(name, COLUMNS)}")
            if header.count(name) > 1:
                raise wrong(source, 1, f"column {name!r} is given twice")
        if "time" not in header:
            raise wrong(source, 1, "column 'time' is missing")
        for cells in reader:
            if not any(map(str.strip, cells)):
                continue
            line = reader.line_num
            if len(cells) != len(header):
                why = f"holds {len(cells)} values, and the header {len(header)} names"
                raise wrong(source, line, why)
            given = dict(zip(header, cells, strict=True))
            row = _row(source, line, given, given.get("key"))
            if (balancer := given.get("balancer")) is not None:
                row = row._replace(balancer=_balancer(source, line, balancer))
            yield row
    except csv.Error as error:
        raise wrong(source, reader.line_num, f"not CSV: {error}") from None


def json_lines(source: str, lines: Iterable[str]) -> Iterator[Row]:
    """One row for each object. Raises ConfigError."""
    first: dict[str, Any] | None = None
    for line, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            given = json.loads(text)
        except (ValueError, RecursionError):
            raise wrong(source, line, "not a JSON object") from None
        if not isinstance(given, dict):
            raise wrong(source, line, "not a JSON object")
        if "time" not in given:
            raise wrong(source, line, f"time is missing; {nearest('time', given)}")
        first = given if first is None else first
        for name in COLUMNS[1:]:
            if (name in given) != (name in first):
                verb = "given" if name in given else "missing"
                raise wrong(source, line, f"{name} is {verb}, and in the first line it is not")
        key = given.get("key")
        if isinstance(key, dict | list):
            raise wrong(source, line, "key is neither a text nor a number")
        row = _row(source, line, given, None if "key" not in given else _text(key))
        if "balancer" in given:
            row = row._replace(balancer=_balancer(source, line, _text(given["balancer"])))
        yield row


def _balancer(source: str, line: int, text: str) -> int:
    number = int(text) if text.strip().isdecimal() else 0
    if not 1 <= number <= MOST:
        raise wrong(source, line, f"balancer {text!r} is no number from 1 to {MOST}")
    return number - 1


def _text(key: object) -> str:
    return "" if key is None else key if isinstance(key, str) else json.dumps(key)


def _row(source: str, line: int, given: dict[str, Any], key: str | None) -> Row:
    try:
        time = seconds_of(given["time"])
    except (ValueError, OverflowError):
        why = f"time {given['time']!r} is neither a number of seconds nor a date with a time"
        raise wrong(source, line, why) from None
    if "size" not in given:
        return Row(line, time, None, key)
    try:
        return Row(line, time, number_of(given["size"]), key)
    except (TypeError, ValueError, OverflowError):
        raise wrong(source, line, f"size {given['size']!r} is not a number") from None
