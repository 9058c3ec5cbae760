"""Backends and laws as a command line writes them."""

from __future__ import annotations

from pydantic import ValidationError

from lb.config.laws import LawTable
from lb.config.places import Origin
from lb.config.problems import problems
from lb.config.stations import Model
from lb.config.values import backend_row
from lb.errors import UsageError


def backend_flag(text: str) -> dict[str, object]:
    """`host:port` or `host:port*weight`, as given on a command line. Raises UsageError."""
    try:
        return backend_row(text)
    except ValueError as error:
        raise UsageError(f"backend {text!r}: {error}") from None


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
    try:
        return Model.model_validate({"service": text}, context=Origin()).service
    except ValidationError as error:
        raise UsageError(f"{text!r}: {problems(error, Model, Origin())[0]}") from None
