"""What a decision costs, counted instead of timed; C code such as `bisect` included."""

from __future__ import annotations

from typing import Any

import pytest

from lb import BUILD
from lb.laws.counting import operations

__all__ = ["CountingList", "counted", "operations"]

counted = pytest.mark.skipif(BUILD.compiled, reason="no instructions of compiled code are seen")
"""Marks a test that counts operations."""


class CountingList(list[Any]):
    """A list that counts what is read of it, by C code such as `bisect` too."""

    reads = 0

    def __getitem__(self, at: Any) -> Any:
        self.reads += 1
        return super().__getitem__(at)
