"""Traces as recordings of lb: every call that a balancer was given, and its key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from lb.errors import BadRecording, ConfigError
from lb.recording.format import Kind
from lb.recording.reader import Log
from lb.traces.rows import Row

PIECE = 1 << 16


def recorded(source: str, file: BinaryIO) -> Iterator[Row]:
    """One row for each call, counted from the first. Raises ConfigError."""
    log = Log(iter(lambda: file.read(PIECE), b""))
    first, calls = 0.0, 0
    try:
        log.header()
        for entry in log.events():
            if entry.kind is Kind.ADMIT:
                first = first if calls else entry.now
                calls += 1
                key: bytes = entry.body[0]
                text = key.decode("utf-8", "backslashreplace")
                yield Row(calls, entry.now - first, None, text)
    except BadRecording as error:
        raise ConfigError([f"{source}: {error}"]) from None
