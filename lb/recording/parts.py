"""The files of a recording: the last part has the name that was asked for, those before it stand
beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from lb.errors import BadRecording
from lb.recording.format import MAGIC
from lb.recording.header import Header
from lb.recording.reader import Log

PIECE = 1 << 18
_NUMBERED = re.compile(r"(.+)\.part(\d+)")


def part_of(file: Path, number: int) -> Path:
    """Where a part goes that is full: `run.rec` -> `run.part3.rec`."""
    return file.with_name(f"{file.stem}.part{number}{file.suffix}")


def beside(file: Path) -> dict[int, Path]:
    """Files that are named as parts of `file` are, by number."""
    named = {}
    for path in file.parent.iterdir() if file.parent.is_dir() else ():
        match = _NUMBERED.fullmatch(path.stem)
        if match is not None and path.suffix == file.suffix and match[1] == file.stem:
            named[int(match[2])] = path
    return dict(sorted(named.items()))


def parts(file: Path) -> list[Path]:
    """All of the recording that `file` is a part of, in order, as far as they are there.

    Only `file` where it is not to be read. Raises OSError.
    """
    match = _NUMBERED.fullmatch(file.stem)
    last = file if match is None else file.with_name(match[1] + file.suffix)
    ours = _header(file)
    if ours is None:
        return [file]
    found = []
    for path in {*beside(last).values(), last, file}:
        with suppress(OSError):
            header = ours if path == file else _header(path)
            if header is not None and (header.seed, header.now) == (ours.seed, ours.now):
                found.append((header.part, path))
    return [path for _, path in sorted(found)]


def of_workers(file: Path) -> list[Path]:
    """Recordings of several workers, where `file` is what was asked for and is none itself."""
    return [] if file.exists() else beside_workers(file)


def beside_workers(file: Path) -> list[Path]:
    """Files that are named as those of workers are for which `file` was asked."""
    named = re.compile(rf"{re.escape(file.stem)}\.worker\d+(\.\d+)?{re.escape(file.suffix)}")
    found: list[Path] = []
    with suppress(OSError):
        found = sorted(path for path in file.parent.iterdir() if named.fullmatch(path.name))
    return found


def stale(file: Path) -> list[Path]:
    """Parts beside `file` of a recording that a new one is to replace."""
    return [path for path in beside(file).values() if _is_recording(path)]


def replaceable(file: Path) -> bool:
    """Whether a new recording may take its place: it is one, or empty. Raises OSError."""
    with file.open("rb") as opened:
        return MAGIC.startswith(opened.read(len(MAGIC)))


def pieces(files: Sequence[Path]) -> Iterator[bytes]:
    """What they hold, one after the other. Raises OSError."""
    for path in files:
        with path.open("rb") as file:
            yield from iter(partial(file.read, PIECE), b"")


def place(files: Sequence[Path], offset: int) -> tuple[Path, int]:
    """In which of them, and at which byte of that, an offset lies in what they hold together."""
    for path in files[:-1]:
        size = path.stat().st_size
        if offset < size:
            return path, offset
        offset -= size
    return files[-1], offset


def _is_recording(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def _header(path: Path) -> Header | None:
    try:
        return Log(pieces([path])).header()
    except BadRecording:
        return None
