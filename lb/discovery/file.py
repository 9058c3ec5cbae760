"""A file that is watched: what it said last, in whole, stays in use until it says something right.

It is read again at every look, so a file of any kind of disk will do. Another file in its place is
taken at once. One that is written to may be half done, so it must be the same at two looks.
"""

from __future__ import annotations

import os
from pathlib import Path

from lb.config.found import backends_in
from lb.discovery.watching import Sighting
from lb.errors import ConfigError
from lb.system import reason

LARGEST = 16 << 20
"""Bytes; a list of 100,000 backends is less."""


class WatchedFile:
    """A source. TOML, or JSON where its name ends in .json."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._inode = -1  # of the file that was read last
        self._read: bytes | None = None
        self._seen: bytes | None = None  # and not taken yet
        self._trouble = ""

    def look(self) -> Sighting:
        """Read it. The trouble of a file that is wrong lasts until it is another one."""
        try:
            with Path(self._path).open("rb") as file:
                inode, data = os.fstat(file.fileno()).st_ino, file.read(LARGEST + 1)
        except OSError as error:
            self._inode = -1
            return Sighting(trouble=f"{self._path}: cannot be read: {reason(error)}")
        if data == self._read:
            self._inode, self._seen = inode, None
            return Sighting(trouble=self._trouble)
        if inode == self._inode and data != self._seen:
            self._seen = data
            return Sighting(trouble=self._trouble, holds=0.0)
        self._inode, self._read, self._seen = inode, data, None
        try:
            rows = backends_in(self._text(data), self._path)
        except ConfigError as error:
            self._trouble = _said(error)
            return Sighting(trouble=self._trouble)
        self._trouble = ""
        return Sighting(rows)

    def _text(self, data: bytes) -> str:
        if not data.strip():
            raise ConfigError([f"{self._path}:1 file: empty"])
        if len(data) > LARGEST:
            raise ConfigError([f"{self._path}: larger than {LARGEST >> 20} MiB"])
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise ConfigError([f"{self._path}:{line} file: not UTF-8 text"]) from None


def _said(error: ConfigError) -> str:
    first, *others = error.problems
    return f"{first} (and {len(others)} more)" if others else first
