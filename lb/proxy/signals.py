"""Signals that would end the process and mean something else elsewhere: none of them ends ours."""

from __future__ import annotations

import asyncio
import signal
from functools import partial

from lb.proxy.logs.log import Log

NAMES = ("SIGHUP", "SIGUSR1", "SIGUSR2")
"""Other servers reload on the first, and reopen logs or show statistics on the others."""

_MINDED = [signal.Signals[name] for name in NAMES if name in signal.Signals.__members__]


def ignore_silently() -> None:
    """For while there is no loop to say anything from. Main thread only."""
    for number in _MINDED:
        signal.signal(number, signal.SIG_IGN)


def ignore_aloud(loop: asyncio.AbstractEventLoop, log: Log) -> None:
    """Say in the log that nothing comes of them."""
    for number in _MINDED:
        loop.add_signal_handler(number, partial(_say, log, number.name))


def _say(log: Log, name: str) -> None:
    log("warning", "signal ignored", signal=name, reason="reload is not available")
