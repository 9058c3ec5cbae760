"""What has happened, newest last: kept for whoever looks later, told to whoever listens."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

KEPT = 500
"""Events that are remembered."""


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the log, before it is written."""

    number: int
    """Counted from 1; none is left out."""
    time: float
    """Seconds since 1970."""
    level: str
    event: str
    fields: Mapping[str, object] = field(default_factory=dict)


class Events:
    """The last of them. For one thread."""

    def __init__(self, kept: int = KEPT) -> None:
        self._last: deque[Event] = deque(maxlen=kept)
        self._number = 0
        self._listeners: set[Callable[[Event], None]] = set()

    def happened(self, time: float, level: str, event: str, fields: Mapping[str, object]) -> None:
        """One more."""
        self._number += 1
        told = Event(self._number, time, level, event, dict(fields))
        self._last.append(told)
        for listener in tuple(self._listeners):
            listener(told)

    def since(self, number: int = 0) -> Iterable[Event]:
        """Those after the event `number`, as far as they are remembered."""
        return [event for event in self._last if event.number > number]

    def listen(self, listener: Callable[[Event], None]) -> Callable[[], None]:
        """Call `listener`, which must not wait, with every event from now on; returns the end."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)
