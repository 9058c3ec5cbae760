"""Signals: what each of them asks for.

SIGTERM and SIGINT end the process, in peace; the second time at once. SIGHUP reads the file again,
SIGUSR1 opens log files again, and SIGUSR2 starts a successor.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from functools import partial

ENDS = ("SIGTERM", "SIGINT")
MINDED = ("SIGHUP", "SIGUSR1", "SIGUSR2")
"""They would end a process that does not say otherwise."""


def _known(names: tuple[str, ...]) -> list[signal.Signals]:
    return [signal.Signals[name] for name in names if name in signal.Signals.__members__]


def ignore_silently() -> None:
    """For while there is no loop to do anything in. Main thread only."""
    for number in _known(MINDED):
        signal.signal(number, signal.SIG_IGN)


def listen(loop: asyncio.AbstractEventLoop, does: dict[str, Callable[[str], None]]) -> None:
    """Call what is to be done, by the name of a signal, with who asked for it."""
    for number in _known(tuple(does)):
        loop.add_signal_handler(number, partial(does[number.name], f"signal {number.name}"))
