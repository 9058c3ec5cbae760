"""What a decision costs, counted instead of timed; C code such as `bisect` included."""

from __future__ import annotations

from typing import Any

from lb.laws.counting import operations

__all__ = ["CountingList", "operations"]


class CountingList(list[Any]):
    """A list that counts what is read of it, by C code such as `bisect` too."""

    reads = 0

    def __getitem__(self, at: Any) -> Any:
        self.reads += 1
        return super().__getitem__(at)
