"""The file of a live recording: what `lb serve --record` writes.

Blocks leave on the driver's tick, through a thread that may fall behind. A file that cannot grow,
or not fast enough, ends the recording, never the service; what it holds then is whole blocks.
"""

from __future__ import annotations

import os
import stat
import sys
from contextlib import suppress
from pathlib import Path
from random import Random, SystemRandom
from typing import Any

from lb.config import Scenario
from lb.errors import CannotRecord
from lb.proxy.logs.log import Log
from lb.proxy.logs.writing import WriterThread
from lb.recording.writer import RecordedBalancer
from lb.system import reason

if sys.platform != "win32":
    import fcntl

LIMIT = 256 * 2**20
"""Bytes after which a recording ends: some five million requests."""
BEHIND = 16 * 2**20
"""Bytes that the disk may lag behind: some 300,000 requests."""
LAST_BLOCKS = 2.0
"""Seconds that a disk which takes nothing may delay the end of the process."""


def _opened(path: Path) -> int:
    """The file, empty and ours. Raises BlockingIOError when another process records into it."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o666)
    try:
        if stat.S_ISREG(os.fstat(file).st_mode):  # not a pipe, not /dev/null
            if sys.platform != "win32":
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(file, 0)
    except OSError:
        os.close(file)
        raise
    return file


class Recorder:
    """Owns the file; makes the balancer that fills it."""

    def __init__(
        self,
        path: Path,
        log: Log,
        *,
        limit: int = LIMIT,
        behind: int = BEHIND,
        seed: int | None = None,
    ) -> None:
        """Replaces what was in the file. Raises CannotRecord."""
        self._path = path
        self._log = log
        self._limit = limit
        self._seed = SystemRandom().getrandbits(64) if seed is None else seed
        self._size = 0
        self._balancer: RecordedBalancer[Any] | None = None
        try:
            self._file = _opened(path)
        except BlockingIOError:
            raise CannotRecord(f"cannot record to {path}: another process does") from None
        except OSError as error:
            raise CannotRecord(f"cannot record to {path}: {reason(error)}") from None
        self._taking = True
        self._error: OSError | None = None  # set by the writer's thread
        self._writer = WriterThread("recorder", self._append, behind)

    def balancer(self, scenario: Scenario, now: float) -> RecordedBalancer[Any]:
        """The balancer that the scenario describes; what it is told goes to the file."""
        balancer: RecordedBalancer[Any] = RecordedBalancer(
            scenario.setup(), Random(self._seed), now, seed=self._seed, sink=self._take
        )
        self._balancer = balancer
        return balancer

    def flush(self) -> None:
        """Hand on what has been logged; say so when it cannot be written. Call it on every tick."""
        if self._balancer is not None:
            self._balancer.flush()
        if self._error is not None:
            self._end("error", reason(self._error))

    def close(self) -> None:
        if self._balancer is not None:
            self._balancer.close()
        if self._writer.close(LAST_BLOCKS):
            self.flush()
            os.close(self._file)
        else:  # the file stays the thread's
            self._end("error", "the file takes no more")

    def _take(self, block: bytes) -> None:
        if not self._taking:
            return
        self._size += len(block)
        if not self._writer.put(block):
            self._end("error", "the file takes less than there is to record")
        elif self._size >= self._limit and self._balancer is not None and self._balancer.recording:
            self._balancer.close()  # its last block is taken yet
            self._end("warning", f"the limit of {self._limit} bytes is reached")

    def _end(self, level: str, why: str) -> None:
        if self._taking:
            self._taking = False
            self._log(level, "recording ends", file=str(self._path), reason=why)
            if self._balancer is not None:
                self._balancer.close()

    # --- on the writer's thread

    def _append(self, blocks: list[bytes]) -> bool:
        for block in blocks:
            if self._error is not None:
                break
            at = 0
            try:
                while at < len(block):
                    at += os.write(self._file, block[at:])
            except OSError as error:
                with suppress(OSError):  # a pipe or a device keeps its piece of a block
                    os.ftruncate(self._file, os.lseek(self._file, -at, os.SEEK_CUR))
                self._error = error
        return False
