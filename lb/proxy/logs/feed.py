"""A recording on its way to a shadow: another process, which may be slow, or gone.

What it does not take in time is dropped, and a new stream begins where it takes something again.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from time import monotonic
from typing import Any

from lb.proxy.logs.log import Log
from lb.proxy.logs.writing import WriterThread
from lb.recording.logged import Logged

ROOM = 8 << 20
"""Bytes that it may lag behind: some 100,000 requests."""
AGAIN = 1.0
"""Seconds until it is tried again."""
PATIENCE = 5.0
"""Seconds that the other process may take nothing, until it counts as gone."""
QUIET = 10.0
"""Seconds between two words on what was dropped."""
CONNECT = b"a new stream"
CLOSE = b"no more"


class Feed:
    """For one thread, the loop's, but for `_write`."""

    def __init__(
        self, path: str, log: Log, room: int = ROOM, now: Callable[[], float] = monotonic
    ) -> None:
        """`path` is that of the Unix socket at which the shadow listens."""
        self._path = path
        self._log = log
        self._now = now
        self._fresh = True  # it needs a header
        self._again_at = self._tell_at = 0.0
        self._setup: object = None
        self._dropped = 0
        self._broken = False  # set by the writer's thread, until a new stream begins
        self._socket: socket.socket | None = None
        self._writer = WriterThread("shadow feed", self._write, room)

    def take(self, block: bytes, balancer: Logged[Any]) -> None:
        """Pass on a block of the balancer's log, just handed out; never waits."""
        if self._broken:
            self._fresh = True
        elif balancer.setup is not self._setup:
            self._fresh, self._again_at = True, 0.0
        if self._fresh:
            self._begin(balancer)
        elif not self._writer.put(block):
            self._fresh = True
            self._dropped += 1

    def _begin(self, balancer: Logged[Any]) -> None:
        """A stream that goes on with the next block."""
        now = self._now()
        if now < self._again_at:
            self._dropped += not self._broken
            return
        self._again_at = now + AGAIN
        self._broken = False
        if self._writer.put(CONNECT) and self._writer.put(balancer.header(2)):
            self._fresh, self._setup = False, balancer.setup

    def flush(self) -> None:
        """Say what was dropped. Call it on every tick."""
        if self._dropped and self._now() >= self._tell_at:
            self._tell_at = self._now() + QUIET
            count, self._dropped = self._dropped, 0
            self._log("warning", "shadow falls behind", dropped=count)

    def close(self) -> None:
        self._writer.put(CLOSE)  # or the system does it, when the process ends
        self._writer.close(0.0)

    # --- on the writer's thread

    def _write(self, items: list[bytes]) -> bool:
        for item in items:
            try:
                if item is CONNECT:
                    self._connect()
                elif item is CLOSE:
                    self._leave()
                elif not self._broken and self._socket is not None:
                    self._socket.sendall(item)
            except OSError:
                self._leave()
                self._broken = True
        return False

    def _connect(self) -> None:
        self._leave()
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(PATIENCE)
        self._socket.connect(self._path)

    def _leave(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
