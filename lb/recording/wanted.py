"""What is to be recorded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

SIZE = 256 * 2**20
"""Bytes of a part: some three million requests."""


@dataclass(frozen=True)
class Recording:
    """Where to, and how much."""

    file: Path
    size: int = SIZE
    """Bytes of a part."""
    keep: int | None = None
    """Parts that are kept, the newest; None: it ends with the first."""
    share: float = 1.0
    """Of the requests."""

    def of_worker(self, number: int) -> Recording:
        """Of one of several workers, counted from 1: `run.rec` -> `run.worker1.rec`."""
        return replace(self, file=_named(self.file, f"worker{number}"))

    def unused(self) -> Recording:
        """The same, or the like with a number: what holds something is to be kept."""
        number, place = 0, self.file
        while _holds(place) or _holds(_named(place, "worker1")):
            number += 1
            place = _named(self.file, str(number))
        return replace(self, file=place)


def _holds(file: Path) -> bool:
    return file.exists() and file.stat().st_size > 0


def _named(file: Path, more: str) -> Path:
    return file.with_name(f"{file.stem}.{more}{file.suffix}")
