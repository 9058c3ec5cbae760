"""What rings at a time, and what comes first of what happens at one instant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

DEPARTURES_FIRST: Final = -1
LIMITS_NEXT: Final = 0
NORMAL: Final = 1
"""Of what happens at one instant, what makes room comes before what takes it. An answer that leaves
at the very end of its time is in time, and a place that a time limit clears is there for all else.
"""


class Alarm:
    """Calls `action(now)` at every time it is set to; setting it again does not unset it."""

    __slots__ = ("action",)

    def __init__(self, action: Callable[[float], object]) -> None:
        self.action = action
