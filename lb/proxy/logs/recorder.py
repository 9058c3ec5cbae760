"""The file of a live recording: what `lb serve --record` writes.

Blocks go to the file on the driver's tick. Writing is to the page cache, so it takes microseconds;
a file that cannot grow ends the recording, never the service.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from random import Random, SystemRandom
from typing import Any

from lb.config import Scenario
from lb.errors import CannotRecord
from lb.proxy.logs.log import Log
from lb.recording.writer import RecordedBalancer
from lb.system import reason

LIMIT = 256 * 2**20
"""Bytes after which a recording ends: some five million requests."""


class Recorder:
    """Owns the file; makes the balancer that fills it."""

    def __init__(
        self, path: Path, log: Log, *, limit: int = LIMIT, seed: int | None = None
    ) -> None:
        """Replaces what was in the file. Raises CannotRecord."""
        self._path = path
        self._log = log
        self._limit = limit
        self._seed = SystemRandom().getrandbits(64) if seed is None else seed
        self._size = 0
        self._balancer: RecordedBalancer[Any] | None = None
        try:
            self._file = path.open("wb", buffering=0)
        except OSError as error:
            raise CannotRecord(f"cannot record to {path}: {reason(error)}") from None

    def balancer(self, scenario: Scenario, now: float) -> RecordedBalancer[Any]:
        """The balancer that the scenario describes; what it is told goes to the file."""
        make = partial(RecordedBalancer, seed=self._seed, sink=self._write)
        balancer = scenario.balancer(Random(self._seed), now, make=make)
        assert isinstance(balancer, RecordedBalancer)
        self._balancer = balancer
        if self._file.closed:  # not even the header found room
            balancer.close()
        return balancer

    def flush(self) -> None:
        """Write what has been logged. Call it on every tick."""
        if self._balancer is not None:
            self._balancer.flush()

    def close(self) -> None:
        if self._balancer is not None:
            self._balancer.close()
        self._file.close()

    def _write(self, block: bytes) -> None:
        if self._file.closed:
            return
        self._size += len(block)
        try:
            while block:
                block = block[self._file.write(block) :]
        except OSError as error:
            self._file.close()
            self._end("error", reason(error))
        if self._size >= self._limit and self._balancer is not None and self._balancer.recording:
            self._end("warning", f"the limit of {self._limit} bytes is reached")

    def _end(self, level: str, why: str) -> None:
        self._log(level, "recording ends", file=str(self._path), reason=why)
        self.close()
