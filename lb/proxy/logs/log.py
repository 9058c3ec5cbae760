"""Structured logs: one line an event, logfmt on stderr.

Whatever becomes of stderr, an unread pipe, a closed one, a full disk, nobody waits for it and
nothing breaks: lines that find no place are counted, and the count is said when there is one again.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import UTC, datetime
from typing import Protocol

from lb.proxy.logs.writing import ATOMIC, Outlet, WriterThread

ROOM = 1 << 20
"""Bytes of lines that may wait: some 7,000 lines of an access log."""
PAUSE = 0.01
"""Seconds between two writes: under load many lines go out in one."""
LAST_WORDS = 1.0
"""Seconds that a stderr which takes nothing may delay the end of the process."""


class Log(Protocol):
    """Takes an event and what belongs to it."""

    def __call__(self, level: str, event: str, **fields: object) -> None: ...


class LineLog:
    """A `Log` on a file descriptor. To be called from one thread."""

    def __init__(self, descriptor: int, room: int = ROOM) -> None:
        self._outlet = Outlet(descriptor)
        self._refused = 0  # lines; only the caller's thread counts them
        self._lost = 0  # lines; this and the next belong to the writer's thread
        self._told = 0
        self._failing = False
        self._writer = WriterThread("log", self._write, room, PAUSE)

    def __call__(self, level: str, event: str, **fields: object) -> None:
        if not self._writer.put(_line(level, event, fields)):
            self._refused += 1

    def write(self, text: str) -> None:
        """Lines of another form."""
        self._writer.put(text.encode("utf-8", "backslashreplace") + b"\n")

    def close(self, within: float = LAST_WORDS) -> bool:
        """Write what there is; False when that could not be done in time."""
        return self._writer.close(within)

    # --- on the writer's thread

    def _write(self, lines: list[bytes]) -> bool:
        """Write whole lines; True while there is something left to say of those that were lost."""
        if self._failing and not self._say():
            self._lost += len(lines)
            return True
        at = 0
        while at < len(lines):
            end, size = at + 1, len(lines[at])
            while end < len(lines) and (size := size + len(lines[end])) <= ATOMIC:
                end += 1
            rest = self._outlet.put_out(b"".join(lines[at:end]))
            if rest:
                self._lost += rest.count(b"\n") + len(lines) - end
                self._failing = True
                return True
            at = end
        return not self._say()

    def _say(self) -> bool:
        """Say how many lines were lost, if any; False when that cannot be written either.

        Not exactly where they are missing: what waits was written down before them.
        """
        count = self._refused + self._lost - self._told
        self._failing = bool(
            count and self._outlet.put_out(_line("warning", "log lines dropped", {"count": count}))
        )
        if not self._failing:
            self._told += count
        return not self._failing


class Told(logging.Handler):
    """What libraries say through `logging`, which would else print it and wait."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """One line of it; of a traceback, only where it ended."""
        error = record.exc_info[1] if record.exc_info else None
        more = {} if error is None else {"reason": f"{type(error).__name__}: {error}"}
        text, _, _ = record.getMessage().partition("\n")
        self._log(record.levelname.lower(), text, source=record.name, **more)


def open_log() -> LineLog:
    """The log on stderr, or on nothing where the process was started without one."""
    descriptor = _stderr()
    if descriptor is None:
        # Descriptor 2 is anybody's then: a line must not go into a client's connection.
        descriptor = os.open(os.devnull, os.O_WRONLY)
    return LineLog(descriptor)


def say(text: str) -> None:
    """Print on stderr, but wait for that only a while: the last words of a process."""
    descriptor = _stderr()
    if descriptor is None:
        if sys.stderr is not None:
            print(text, file=sys.stderr)
        return
    log = LineLog(descriptor)
    log.write(text)
    log.close()


def _stderr() -> int | None:
    """Its descriptor, if it has one."""
    try:
        return sys.stderr.fileno()
    except (AttributeError, OSError):  # it is None, or no file
        return None


def _line(level: str, event: str, fields: dict[str, object]) -> bytes:
    """`time=... level=info event="backend up" backend=127.0.0.1:3001 reason="status 200"`."""
    stamp = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    pairs = {"time": stamp, "level": level, "event": event, **fields}
    text = " ".join(f"{key}={_value(value)}" for key, value in pairs.items())
    return text.encode("utf-8", "backslashreplace") + b"\n"


def _value(value: object) -> str:
    text = "" if value is None else str(value)
    plain = text and text.isprintable() and not any(ch in ' "=\\' for ch in text)
    return text if plain else json.dumps(text)
