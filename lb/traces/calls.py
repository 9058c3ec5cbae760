"""Traces as recordings of lb: every call that a balancer was given, and its key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lb.errors import BadRecording, ConfigError
from lb.recording.format import Kind
from lb.recording.parts import parts, pieces
from lb.recording.reader import Log
from lb.traces.rows import Row


def calls(source: str) -> Iterator[Row]:
    """One row for each call, counted from the first; of all parts that are there.

    Raises ConfigError, and OSError where there is nothing to read.
    """
    log = Log(pieces(parts(Path(source))))
    first, count = 0.0, 0
    try:
        share = log.header().share
        if share < 1.0:
            why = f"a sample of {share:.3g} of the requests does not tell when all of them came"
            raise ConfigError([f"{source}: {why}"])
        for entry in log.events():
            if entry.kind is Kind.ADMIT:
                first = first if count else entry.now
                count += 1
                key: bytes = entry.body[0]
                text = key.decode("utf-8", "backslashreplace")
                yield Row(count, entry.now - first, None, text)
    except BadRecording as error:
        raise ConfigError([f"{source}: {error}"]) from None
