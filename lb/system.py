"""What the operating system says, in its words, and whether it lets us write.

Not in `errors`, which pure rooms import.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile

from lb.errors import CannotWrite, ConfigError

_SCARCE = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EAGAIN}
_OURS = _SCARCE | {errno.EADDRNOTAVAIL}  # no port is left to connect from


def reason(error: OSError) -> str:
    """Why it failed; libraries add where and what, which the line that says it has already."""
    if error.errno is None or isinstance(error, socket.gaierror):
        return (error.strerror or str(error)).lower()
    return os.strerror(error.errno).lower()


def scarce(error: OSError) -> bool:
    """This process, or this machine, has no descriptor or memory left for a connection."""
    return error.errno in _SCARCE


def ours(error: OSError) -> bool:
    """It failed for a lack on this side: the other one is not to blame."""
    return error.errno in _OURS


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def open_to_others(path: str) -> bool:
    """Whether everybody may read or change a file. One that is not there is no secret."""
    try:
        return bool(Path(path).stat().st_mode & (stat.S_IROTH | stat.S_IWOTH))
    except OSError:
        return False


def text_of(path: Path) -> str:
    """What a file of UTF-8 says, without a mark at its beginning. Raises ConfigError."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError([f"{path}: cannot be read: not UTF-8 text"]) from None
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {reason(error)}"]) from None


@contextmanager
def writing(where: object) -> Iterator[None]:
    """What cannot be written inside is told as CannotWrite."""
    try:
        yield
    except OSError as error:
        raise CannotWrite(error.filename or where, reason(error)) from None


def try_directory(directory: Path, files: Iterable[str] = ()) -> None:
    """Whether `files` could be written into `directory`, which may be missing; leaves no trace.

    For the time before long work whose result would be lost. Raises CannotWrite, which names the
    one file where there is no more than one.
    """
    names = list(files)
    meant = directory / names[0] if len(names) == 1 else directory
    missing = [path for path in (directory, *directory.parents) if not os.path.lexists(path)]
    try:
        with writing(directory):
            if os.path.lexists(directory) and not directory.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, "", str(directory))
            directory.mkdir(parents=True, exist_ok=True)
            try:
                with TemporaryFile(dir=directory) as file:
                    file.write(b"room?")
            except OSError as error:  # which names a file that nobody has heard of
                error.filename = str(meant)
                raise
        for path in (directory / name for name in names):
            if os.path.lexists(path):
                with writing(path), path.open("ab"):
                    pass
    finally:
        for path in missing:
            with suppress(OSError):
                path.rmdir()
