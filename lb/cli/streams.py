"""Standard output and error that are closed, full, or that nobody reads any more."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

from lb.system import reason

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class _Stdout(io.FileIO):
    """Descriptor 1, whose errors say whose they are."""

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            raise OSError(error.errno, error.strerror, "stdout") from None


class _Stderr(io.FileIO):
    """Descriptor 2, which loses what it cannot take: a result is worth more than words about it."""

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


def prepare() -> None:
    """Give the three standard descriptors something to be.

    Else the next file or socket would take the number of a closed one. What is written to a
    closed stdout is refused like what a full one is given; a stderr that is closed or full swallows
    everything.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_WRONLY if number == 2 else os.O_RDONLY)
    if sys.stdout is sys.__stdout__:
        sys.stdout = io.TextIOWrapper(
            io.BufferedWriter(_Stdout(1, "w", closefd=False)),
            encoding=sys.stdout.encoding if sys.stdout else "utf-8",
            errors=sys.stdout.errors if sys.stdout else "replace",
            line_buffering=os.isatty(1),
        )
    if sys.stderr is sys.__stderr__:
        sys.stderr = io.TextIOWrapper(
            _Stderr(2, "w", closefd=False),
            encoding=sys.stderr.encoding if sys.stderr else "utf-8",
            errors="backslashreplace",
            write_through=True,
        )


def complain(line: str) -> None:
    """One line on stderr. If that fails, or takes long, there is nobody to tell."""
    from lb.proxy.logs.log import say

    say(line)


def failed(error: OSError) -> None:
    """Say what could not be read or written, unless it is that the reader of stdout has left."""
    if error.filename == "stdout":
        _abandon(sys.stdout)
        if error.errno == errno.EPIPE:
            return
    where = "" if error.filename is None else f"{error.filename}: "
    complain(f"lb: {where}{reason(error)}")


def all_written() -> bool:
    """Whether stdout has taken everything; if not, it is told."""
    try:
        sys.stdout.flush()
    except OSError as error:
        failed(error)
        return False
    return True


def _abandon(stream: TextIO) -> None:
    """Let what is left in `stream` go nowhere, or the interpreter would complain at its exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
