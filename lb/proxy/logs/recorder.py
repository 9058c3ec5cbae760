"""The file of a live recording: what `lb serve --record` writes.

Blocks leave twice a second, or when they are large, through a thread that may fall behind. A file
that cannot grow, or not fast enough, ends the recording, never the service; what it holds then is
whole blocks. One that is full ends it too, or goes beside as a part, of which the newest are kept.
"""

from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random, SystemRandom
from typing import Any

from lb.balancing import Setup
from lb.errors import CannotRecord
from lb.proxy.logs.feed import Feed
from lb.proxy.logs.log import Log
from lb.proxy.logs.writing import WriterThread
from lb.recording.format import Kind
from lb.recording.logged import sealed
from lb.recording.parts import part_of, replaceable, stale
from lb.recording.wanted import Recording
from lb.recording.writer import RecordedBalancer
from lb.system import reason

if sys.platform != "win32":
    import fcntl

BEHIND = 16 * 2**20
"""Bytes that the disk may lag behind: some 300,000 requests."""
LAST_BLOCKS = 2.0
"""Seconds that a disk which takes nothing may delay the end of the process."""
EVERY = 10
"""Ticks from block to block, half a second: each wakes a thread, which costs what ten requests do.
Larger ones go out at once."""
NEXT = b"the next part"


def _opened(path: Path) -> int:
    """The file, ours, with what it holds. Raises OSError, BlockingIOError when another process
    records into it, and CannotRecord where it holds anything but a recording.
    """
    file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o666)
    try:
        if _regular(file):
            if sys.platform != "win32":
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not replaceable(path):
                why = "it holds something else, which would be lost; give another name"
                raise CannotRecord(f"cannot record to {path}: {why}")
    except (OSError, CannotRecord):
        os.close(file)
        raise
    return file


def _regular(file: int) -> bool:
    """Not a pipe, not /dev/null."""
    return stat.S_ISREG(os.fstat(file).st_mode)


def writable(path: Path) -> None:
    """Raises CannotRecord where no recording can be made."""
    with _told(path):
        os.close(_opened(path))


def emptied(path: Path) -> None:
    """Without what it held, and its parts. Raises CannotRecord."""
    with _told(path):
        file = _opened(path)
        try:
            _empty(file, path)
        finally:
            os.close(file)


def removed(path: Path) -> None:
    """Not there any more, nor its parts. Raises CannotRecord."""
    if path.is_file():
        emptied(path)
        with _told(path):
            path.unlink()


def _empty(file: int, path: Path) -> None:
    if _regular(file):
        os.ftruncate(file, 0)
    for old in stale(path):
        old.unlink()


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except BlockingIOError:
        raise CannotRecord(f"cannot record to {path}: another process does") from None
    except OSError as error:
        raise CannotRecord(f"cannot record to {path}: {reason(error)}") from None


class Recorder:
    """Owns the file; makes the balancer that fills it, and feeds a shadow, if there is one."""

    def __init__(
        self,
        recording: Recording | None,
        log: Log,
        *,
        feed: Feed | None = None,
        behind: int = BEHIND,
        seed: int | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Raises CannotRecord. What is written first replaces what the file held, and its parts."""
        self._feed = feed
        self._seed = SystemRandom().getrandbits(64) if seed is None else seed
        self._wall = wall
        self._share = 1.0 if recording is None else recording.share
        self._ticks = 0
        self._balancer: RecordedBalancer[Any] | None = None
        self._file = None if recording is None else _File(recording, log, behind)

    @classmethod
    def of(cls, recording: Recording | None, log: Log, path: str | None) -> Recorder | None:
        """One that records, feeds the shadow at this path, or both; None for neither.

        Raises CannotRecord.
        """
        if recording is None and not path:
            return None
        return cls(recording, log, feed=Feed(path, log) if path else None)

    def balancer(self, setup: Setup, now: float) -> RecordedBalancer[Any]:
        """The balancer of this setup; what it is told goes to the file."""
        share = self._share
        balancer: RecordedBalancer[Any] = RecordedBalancer(
            setup,
            Random(self._seed),
            now,
            seed=self._seed,
            sink=self._take,
            at=self._wall(),
            share=share,
            draws=Random(self._seed) if share < 1.0 else None,
        )
        balancer.telling = True
        self._balancer = balancer
        return balancer

    def tick(self) -> None:
        """Hand on what has been logged, when it is time to. Call it on every tick."""
        self._begin()
        self._ticks += 1
        if self._ticks % EVERY == 0:
            self.flush()

    def flush(self) -> None:
        """Hand on what has been logged; say so when it cannot be written."""
        self._begin()
        balancer, file = self._balancer, self._file
        if balancer is not None:
            balancer.flush()
        if file is not None:
            file.look()
            if not file.open and balancer is not None and self._feed is None:
                balancer.close()  # for nobody
        if self._feed is not None:
            self._feed.flush()

    def close(self, *, served: bool = True) -> None:
        """Hand on the rest. With nothing `served` the file stays as it was."""
        if self._balancer is not None and served:
            self._begin()
            self._balancer.close()
        if self._file is not None:
            self._file.close()
        if self._feed is not None:
            self._feed.close()

    def _begin(self) -> None:
        if self._file is not None:
            self._file.begin(self._balancer)

    def _take(self, block: bytes) -> None:
        balancer = self._balancer
        if self._file is not None:
            self._file.take(block, balancer)
        if self._feed is not None and balancer is not None:
            self._feed.take(block, balancer)


class _File:
    """The file of a recording, in parts."""

    def __init__(self, recording: Recording, log: Log, behind: int) -> None:
        """Raises CannotRecord."""
        self._recording = recording
        self._path = path = recording.file
        self._log = log
        self._size = 0
        self._part = 1
        with _told(path):
            self._file = _opened(path)
            if recording.keep is not None and not _regular(self._file):
                os.close(self._file)
                raise CannotRecord(f"cannot record parts to {path}: not a regular file")
        self.open = True
        self._early: list[bytes] | None = []  # what is not written before anything is served
        self._error: OSError | None = None  # set by the writer's thread
        self._full = 1  # number of the part that the writer's thread fills
        self._writer = WriterThread("recorder", self._append, behind)

    def begin(self, balancer: RecordedBalancer[Any] | None) -> None:
        """From now on blocks are written: the file is replaced."""
        if self._early is not None:
            early, self._early = self._early, None
            try:
                _empty(self._file, self._path)
            except OSError as error:
                self._end("error", reason(error))
            for block in early:
                self.take(block, balancer)

    def take(self, block: bytes, balancer: RecordedBalancer[Any] | None) -> None:
        """Write a block, soon."""
        if not self.open:
            return
        if self._early is not None:
            self._early.append(block)
            return
        most, keep = self._recording.size, self._recording.keep
        self._size += len(block)
        if not self._writer.put(block):
            self._end("error", "the file takes less than there is to record")
        elif self._size < most or balancer is None or not balancer.recording:
            pass
        elif keep is None:
            self._writer.put(sealed(bytes([Kind.END])))
            self._end("warning", f"the limit of {most} bytes is reached")
        else:
            self._turn(balancer, keep)

    def _turn(self, balancer: RecordedBalancer[Any], keep: int) -> None:
        """Go on in another part."""
        full, gone = part_of(self._path, self._part), self._part - keep + 1
        self._part += 1
        header = balancer.header(self._part)
        self._size = len(header)
        turning = (sealed(bytes([Kind.CONTINUED])), NEXT, header)
        if not all(map(self._writer.put, turning)):
            self._end("error", "the file takes less than there is to record")
            return
        more = {"dropped": str(part_of(self._path, gone))} if gone > 0 else {}
        self._log("info", "recording goes on in another part", full=str(full), **more)

    def look(self) -> None:
        """Say so when it cannot be written."""
        if self._error is not None:
            self._end("error", reason(self._error))

    def close(self) -> None:
        if self._writer.close(LAST_BLOCKS):
            self.look()
            os.close(self._file)
        else:  # the file stays the thread's
            self._end("error", "the file takes no more")

    def _end(self, level: str, why: str) -> None:
        if self.open:
            self.open = False
            self._log(level, "recording ends", file=str(self._path), reason=why)

    # --- on the writer's thread

    def _append(self, blocks: list[bytes]) -> bool:
        for block in blocks:
            if self._error is not None:
                break
            at = 0
            try:
                if block is NEXT:
                    self._begin_file()
                    continue
                while at < len(block):
                    at += os.write(self._file, block[at:])
            except OSError as error:
                with suppress(OSError):  # a pipe or a device keeps its piece of a block
                    os.ftruncate(self._file, os.lseek(self._file, -at, os.SEEK_CUR))
                self._error = error
        return False

    def _begin_file(self) -> None:
        """Put the full one beside, and drop the oldest. Raises OSError."""
        keep = self._recording.keep
        assert keep is not None
        full = part_of(self._path, self._full)
        if full.exists() and not replaceable(full):
            raise OSError(f"where part {self._full} belongs is a file that is none")
        self._path.replace(full)
        file, self._file = self._file, _opened(self._path)
        os.close(file)
        if self._full >= keep:
            part_of(self._path, self._full - keep + 1).unlink(missing_ok=True)
        self._full += 1
