"""What goes on beside serving: a recording, and a shadow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lb.proxy.logs.recorder import emptied, removed
from lb.recording.parts import beside_workers
from lb.recording.wanted import Recording
from lb.workers.shadow import Shadow


@dataclass(frozen=True)
class Beside:
    """There may be neither."""

    record: Recording | None = None
    shadow: Shadow | None = None

    @property
    def path(self) -> str | None:
        """Where the shadow listens."""
        return None if self.shadow is None else self.shadow.path

    @property
    def told(self) -> Callable[[], Mapping[str, Any]] | None:
        """What the shadow has seen last."""
        return None if self.shadow is None else self.shadow.told

    def begin(self, workers: int) -> None:
        """Take away what so many workers are to record in place of: the recordings of all that
        went before, or those would be read as theirs. Raises CannotRecord.
        """
        if self.record is None:
            return
        asked = self.record.file
        wanted = [self.record.of_worker(number + 1).file for number in range(workers)]
        for file in wanted:
            emptied(file)
        for file in (asked, *beside_workers(asked)):
            if file not in wanted:
                removed(file)

    def of_worker(self, number: int) -> tuple[Recording | None, str | None]:
        """Where one of several workers, counted from 1, records, and whom it tells what it does."""
        return self.record and self.record.of_worker(number), self.path
