"""What sources said last as plain values: for a successor, whose own sources may be silent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from lb.config import BackendTable
from lb.config.places import Origin
from lb.config.values import WRITTEN

Remembered = Mapping[str, list[dict[str, Any]]]
"""Rows as a file has them, by their source."""


def remembered(rows: Iterable[BackendTable]) -> list[dict[str, Any]]:
    """Rows as a file has them, but for what they are on paper."""
    return [row.model_dump(exclude_unset=True, exclude={"model"}, context=WRITTEN) for row in rows]


def recalled(values: Iterable[object]) -> tuple[BackendTable, ...]:
    """The rows again; none where another version wrote what this one does not know."""
    try:
        return tuple(BackendTable.model_validate(it, context=Origin()) for it in values)
    except ValidationError:
        return ()
