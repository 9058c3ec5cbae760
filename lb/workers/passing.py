"""Connections that pass from the process which accepts them to the one which serves them.

Descriptors go through a pair of sockets of their own, several in one message, each with the number
of its listener. Whoever passes one on keeps it until the other side says that it has it, which that
does before it reads anything: those on the way when a worker dies go to another one, and so do
those for which it has no descriptor left.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress

AT_ONCE = 100
"""Descriptors in one message, below SCM_MAX_FD of Linux, which is 253."""
NUMBER = struct.Struct("!H")
ARRIVED = struct.Struct("!BB")
"""Of one message: connections that have arrived, the first ones, and those that have not."""
Accepted = tuple[int, socket.socket]
"""A connection, after the number of the listener that it came to."""


class Passing:
    """The side of whoever accepts."""

    def __init__(self, way: socket.socket, returned: Callable[[Sequence[Accepted]], None]) -> None:
        """`way` does not block; `returned` takes those for whom there is no descriptor left.

        Must be made inside a running event loop.
        """
        self._loop = asyncio.get_running_loop()
        self._way = way
        self.held: deque[Accepted] = deque()
        """On the way."""
        self._returned = returned
        self._said = b""
        self._loop.add_reader(way, self._arrived)

    def pass_on(self, connections: Sequence[Accepted]) -> int:
        """How many of them, at most `AT_ONCE`, are on their way now, the first ones."""
        connections = connections[:AT_ONCE]
        numbers = b"".join(NUMBER.pack(number) for number, _ in connections)
        try:
            socket.send_fds(self._way, [numbers], [one.fileno() for _, one in connections])
        except OSError:  # it is full, or nobody is there any more
            return 0
        self.held.extend(connections)
        return len(connections)

    def close(self) -> list[Accepted]:
        """Those that have not arrived."""
        if self._way.fileno() < 0:
            return []
        self._arrived()
        self._loop.remove_reader(self._way)
        self._way.close()
        left = list(self.held)
        self.held.clear()
        return left

    def _arrived(self) -> None:
        try:
            said = self._way.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            said = b""
        if not said:
            self._loop.remove_reader(self._way)  # its end is noticed elsewhere
        said = self._said + said
        whole = len(said) - len(said) % ARRIVED.size
        self._said = said[whole:]
        back: list[Accepted] = []
        for arrived, missing in ARRIVED.iter_unpack(said[:whole]):
            for _ in range(min(arrived, len(self.held))):
                self.held.popleft()[1].close()
            back += [self.held.popleft() for _ in range(min(missing, len(self.held)))]
        if back:
            self._returned(back)


class Receiving:
    """The side of whoever serves."""

    def __init__(self, way: socket.socket, welcome: Callable[[int, socket.socket], None]) -> None:
        """`welcome` takes each, a socket that does not block."""
        self._loop = asyncio.get_running_loop()
        self._way = way
        self._welcome = welcome
        self._loop.add_reader(way, self._come)

    def close(self) -> None:
        """Take no more."""
        self._loop.remove_reader(self._way)
        self._way.close()

    def _come(self) -> None:
        try:
            numbers, descriptors, _, _ = socket.recv_fds(self._way, AT_ONCE * NUMBER.size, AT_ONCE)
        except BlockingIOError:
            return
        except OSError:
            numbers, descriptors = b"", []
        if not numbers:
            self._loop.remove_reader(self._way)
            return
        missing = len(numbers) // NUMBER.size - len(descriptors)
        with suppress(OSError):  # nobody is there any more
            self._way.send(ARRIVED.pack(len(descriptors), missing))
        for (number,), descriptor in zip(NUMBER.iter_unpack(numbers), descriptors, strict=False):
            connection = socket.socket(fileno=descriptor)
            connection.setblocking(False)
            self._welcome(number, connection)
