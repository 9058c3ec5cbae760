"""How busy the machine is, second by second, as its kernel counts (/proc/stat).

Where there is no such file nobody looks.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sim.model.laws import Floats

STAT = Path("/proc/stat")
SINCE_FORK = getattr(os, "SCHED_RESET_ON_FORK", 0)
EVERY = 1.0
"""Seconds between two looks."""
FULL = 0.97
"""Share of the processors' time from which on they have nothing left."""
PRESSING = 0.7
"""Share that work at ordinary priority takes, from which on work that should give way to it is in
its way: it still gets some of the time."""
MOST_FULL, MOST_STOLEN = 0.5, 0.1
"""Share of the looks that may find them so, and of their time that may go to other guests of the
host, before nothing that was measured can be trusted."""


class Ticks(NamedTuple):
    """Time of all processors since the machine started, in the kernel's unit."""

    ordinary: int
    polite: int
    """Of work at low priority."""
    stolen: int
    whole: int


def ticks(text: str) -> Ticks:
    """From the first line of /proc/stat; see proc(5)."""
    user, nice, system, idle, waiting, hard, soft, stolen = map(int, text.split()[1:9])
    whole = user + nice + system + idle + waiting + hard + soft + stolen
    return Ticks(user + system + hard + soft + stolen, nice, stolen, whole)


class Machine:
    """Looks at the machine once a second; whoever has a clock calls `look`."""

    def __init__(
        self, stat: Path = STAT, *, polite: bool | None = None, ahead: bool | None = None
    ) -> None:
        """`polite`: this process has low priority itself; `ahead`: it runs in real time, and all
        others give way to it. The system says so unless given.
        """
        self._stat = stat
        self._polite = hasattr(os, "nice") and os.nice(0) > 0 if polite is None else polite
        self._ahead = _in_real_time() if ahead is None else ahead
        self._rows: list[Ticks] = []

    def look(self) -> None:
        """Take down what the kernel says now."""
        try:
            with self._stat.open(encoding="ascii") as file:
                self._rows.append(ticks(file.readline()))
        except (OSError, ValueError):
            pass  # another kernel

    @property
    def busy(self) -> Floats | None:
        """Share of the processors' time that was used between two looks; None without any.

        Work at low priority counts where it may be in our way. In real time nothing is: who is
        late then has himself to blame, which the load generator sees.
        """
        if self._ahead or (steps := self._steps()) is None:
            return None
        ordinary, polite, _, whole = steps.T
        pressed = (ordinary >= PRESSING * whole) | self._polite
        used: Floats = (ordinary + polite * pressed) / whole
        return used

    @property
    def stolen(self) -> Floats | None:
        """The share that the host gave to others."""
        if (steps := self._steps()) is None:
            return None
        shares: Floats = steps[:, 2] / steps[:, 3]
        return shares

    def _steps(self) -> Floats | None:
        steps = np.diff(np.array(self._rows, dtype=float).reshape(-1, 4), axis=0)
        steps = steps[steps[:, 3] > 0]
        return steps if len(steps) else None


def _in_real_time() -> bool:
    if not hasattr(os, "sched_getscheduler"):
        return False
    return os.sched_getscheduler(0) & ~SINCE_FORK in (os.SCHED_FIFO, os.SCHED_RR)


def saturated(busy: Floats | None, stolen: Floats | None) -> str:
    """Why a machine had too little left to measure on; nothing when it had enough."""
    if busy is not None and len(busy):
        full = int(np.count_nonzero(busy >= FULL))
        if full > MOST_FULL * len(busy):
            return (
                f"this machine was busy: its processors were in full use in {full} of {len(busy)} "
                f"looks, {float(busy.mean()):.0%} on average"
            )
    if stolen is not None and len(stolen) and float(stolen.mean()) > MOST_STOLEN:
        share = float(stolen.mean())
        return f"this machine was busy: its host gave {share:.0%} of its processors to others"
    return ""
