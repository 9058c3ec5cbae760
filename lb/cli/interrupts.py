"""SIGTERM ends long work as Ctrl-C does: what is done is kept, and other processes are let go."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from lb.errors import INTERRUPTED, TERMINATED


class Heard:
    """Which of the two it was."""

    status = INTERRUPTED
    """The exit status, once there has been a KeyboardInterrupt."""


@contextmanager
def terminable() -> Iterator[Heard]:
    """Inside, SIGTERM raises KeyboardInterrupt too."""
    heard = Heard()

    def hear(_number: int, _frame: FrameType | None) -> None:
        heard.status = TERMINATED
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, hear)
    try:
        yield heard
    finally:
        signal.signal(signal.SIGTERM, before)
