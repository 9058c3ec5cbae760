"""Structured logs: one line an event, logfmt on stderr."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import Protocol


class Log(Protocol):
    def __call__(self, level: str, event: str, **fields: object) -> None: ...


def logfmt(level: str, event: str, **fields: object) -> None:
    """`time=... level=info event="backend up" backend=127.0.0.1:3001 reason="status 200"`."""
    stamp = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    pairs = {"time": stamp, "level": level, "event": event, **fields}
    print(
        " ".join(f"{key}={_value(value)}" for key, value in pairs.items()),
        file=sys.stderr,
        flush=True,
    )


def _value(value: object) -> str:
    text = "" if value is None else str(value)
    plain = text and not any(ch in ' "=\\' or ch < " " for ch in text)
    return text if plain else json.dumps(text)
