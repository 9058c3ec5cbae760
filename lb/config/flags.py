"""Backends and laws as a command line writes them."""

from __future__ import annotations

import re

from pydantic import ValidationError

from lb.config.laws import LawTable
from lb.config.model import Model
from lb.config.problems import problems
from lb.config.values import address
from lb.errors import UsageError


def backend_flag(text: str) -> dict[str, object]:
    """`host:port` or `host:port*weight`, as given on a command line. Raises UsageError."""
    spec, star, weight = text.strip().partition("*")
    try:
        row: dict[str, object] = {"address": address(spec)}
    except ValueError as error:
        raise UsageError(f"backend {text!r}: {error}") from None
    if star:
        if not re.fullmatch(r"\d+(\.\d+)?", weight) or float(weight) == 0:
            raise UsageError(f"backend {text!r}: weight {weight!r} is not a number above zero")
        row["weight"] = float(weight) if "." in weight else int(weight)
    return row


def backend_flags(text: str) -> list[dict[str, object]]:
    """A comma-separated list of backends. Raises UsageError, also for one named twice."""
    rows = [backend_flag(part) for part in text.split(",") if part.strip()]
    if not rows:
        raise UsageError("no backends given: write host:port, separated by commas")
    seen = set()
    for row in rows:
        if row["address"] in seen:
            raise UsageError(f"backend {row['address']} is given twice")
        seen.add(row["address"])
    return rows


def law_flag(text: str) -> LawTable:
    """A law as given on a command line: `exponential:20ms`, `lognormal:20ms,cv=1`.

    A bare value is the mean. Raises UsageError.
    """
    name, _, rest = text.partition(":")
    table: dict[str, object] = {"law": name}
    for part in filter(None, rest.split(",")):
        key, equals, value = part.partition("=")
        table[key if equals else "mean"] = _number_or_text(value if equals else key)
    try:
        return Model.model_validate({"service": table}).service
    except ValidationError as error:
        whole = f'[backend.model]\nservice = "{text}"'
        first = problems(whole, "law", error, Model)[0]
        raise UsageError(f"{text!r}: {first.partition(' ')[2]}") from None


def _number_or_text(text: str) -> object:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
