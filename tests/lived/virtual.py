"""An event loop whose time is its own: sockets are real, and waiting takes no time.

The clock stands still while anything can be read or written or is under way between two sockets,
and then jumps to the next timer. So a minute of proxy, backends and clients in one process takes as
long as their work, whatever the machine does beside it, and comes out the same every time.
"""

from __future__ import annotations

import asyncio
import selectors
import socket
import termios
from collections.abc import Coroutine, Iterable
from fcntl import ioctl
from typing import Any, TypeVar

T = TypeVar("T")
LONGEST = 20.0
"""Real seconds that a loop may wait for a thread while nothing is due."""
GLANCE, GLANCES = 0.0005, 40
"""Real seconds, and how often: the kernel delivers at once, unless the machine is busy."""


NOTHING = bytes(4)


class _Selector(selectors.DefaultSelector):
    loop: VirtualLoop

    def __init__(self) -> None:
        super().__init__()
        self._keys: dict[int, selectors.SelectorKey] = {}  # the map given is slow to go through

    def register(self, *arguments: Any) -> selectors.SelectorKey:
        key = super().register(*arguments)
        self._keys[key.fd] = key
        return key

    def modify(self, *arguments: Any) -> selectors.SelectorKey:
        key = super().modify(*arguments)
        self._keys[key.fd] = key
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        key = super().unregister(fileobj)
        self._keys.pop(key.fd, None)
        return key

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        for _ in range(GLANCES):
            if events or timeout == 0:
                return events
            if not self._under_way():
                break
            events = super().select(GLANCE)
        if events:
            return events
        if timeout is None:
            events = super().select(LONGEST)
            assert events, "nothing is due, and nothing comes"
            return events
        self.loop.clock += timeout
        return []

    def _under_way(self) -> bool:
        """Whether somebody connects, or has sent what is not there yet."""
        if any(key.events & selectors.EVENT_WRITE for key in self._keys.values()):
            return True
        sending = _unacknowledged(self._keys)
        if sending:
            for descriptor in self._keys:
                _acknowledge(descriptor)
        return bool(_unacknowledged(sending))


def _acknowledge(descriptor: int) -> None:
    """Say at once that what has come is here; else the kernel takes its time."""
    it = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, descriptor)
    try:
        it.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
    except OSError:
        pass  # no such connection
    finally:
        it.detach()


def _unacknowledged(descriptors: Iterable[int]) -> list[int]:
    """Those that have sent what their peer has not taken. Of hundreds, many times a request."""
    found = []
    for descriptor in descriptors:
        try:
            if ioctl(descriptor, termios.TIOCOUTQ, NOTHING) != NOTHING:
                found.append(descriptor)
        except OSError:
            pass  # no such connection
    return found


class VirtualLoop(asyncio.SelectorEventLoop):
    """`clock` is its time in seconds."""

    def __init__(self) -> None:
        selector = _Selector()
        super().__init__(selector)
        selector.loop = self
        self.clock = 0.0

    def time(self) -> float:
        return self.clock


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
