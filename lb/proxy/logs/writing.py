"""Writing that never holds the caller: a thread does it, and may fall behind as far as a limit.

A pipe that nobody reads, a slow disk, a terminal that was stopped: they hold the thread. It is a
daemon, so that not even a write that never ends keeps the process from ending.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Event, Thread

from lb.system import reason

Write = Callable[[list[bytes]], bool]
"""Called on the thread with what has come, in order; True asks to be called again in a while."""

ATOMIC = 4096
"""Bytes that a pipe takes as one piece (PIPE_BUF of Linux), among other processes' lines."""
AT_ONCE = 1 << 16
"""Bytes handed to one call, unless the first item alone is larger."""
AGAIN = 0.5
"""Seconds until a `Write` that asked for it is called again, if nothing comes before."""


class WriterThread:
    """Hands what is `put` to `write`, in order; holds at most `limit` bytes.

    `put` and `close` are for one thread, the loop's; they never wait, but for `close` a while.
    """

    def __init__(self, name: str, write: Write, limit: int, pause: float = 0.0) -> None:
        """`pause`: seconds after each write, so that what comes meanwhile goes out together."""
        self._write = write
        self._limit = limit
        self._pause = pause
        self._queue: SimpleQueue[bytes] = SimpleQueue()
        self._put = 0  # bytes; only the caller's thread counts them
        self._written = 0  # bytes; only the writer's thread counts them
        self._closing = Event()
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, data: bytes) -> bool:
        """False, and nothing is kept, when there is no room."""
        size = len(data)
        if self._put - self._written + size > self._limit:
            return False
        self._put += size
        self._queue.put(data)
        return True

    def close(self, within: float) -> bool:
        """Write what there is; False when `within` seconds were not enough."""
        self._closing.set()
        self._queue.put(b"")  # wakes the thread
        self._thread.join(within)
        return not self._thread.is_alive()

    def _run(self) -> None:
        again = False
        while True:
            closing = self._closing.is_set()  # asked first: what was put before it is in the queue
            items = self._take(0.0 if closing else AGAIN if again else None)
            if items or again:
                again = self._write(items)
                self._written += sum(map(len, items))
            if closing and not items:
                return
            if self._pause:
                self._closing.wait(self._pause)

    def _take(self, seconds: float | None) -> list[bytes]:
        """Wait until there is something, for so long at most."""
        items = []
        size = 0
        try:
            item = self._queue.get(timeout=seconds)
            while True:
                if item:
                    items.append(item)
                    size += len(item)
                if size >= AT_ONCE:
                    break
                item = self._queue.get_nowait()
        except Empty:
            pass
        return items


class Outlet:
    """A descriptor that lines go to, whole ones as far as that can be."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.why = ""
        """What was wrong when something could not be written the last time."""
        self._torn = False  # the last line was written in part

    def put_out(self, data: bytes) -> bytes:
        """Write, for as long as it takes. Returns what cannot be written."""
        if self._torn:
            data = b"\n" + data
        at = 0
        while at < len(data):
            try:
                at += os.write(self.descriptor, data[at:])
            except BlockingIOError:
                patience = select.poll()
                patience.register(self.descriptor, select.POLLOUT)
                patience.poll()
            except OSError as error:
                self.why = reason(error)
                if at:
                    self._torn = data[at - 1 : at] != b"\n"
                return data[at:].removeprefix(b"\n")
        self._torn = False
        return b""
