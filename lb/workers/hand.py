"""One worker process, from the side of the main process that has started it."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lb.measures import Report
from lb.workers.messages import (
    Begin,
    Channel,
    Departed,
    Done,
    Ended,
    Ping,
    Ready,
    Told,
)
from lb.workers.passing import AT_ONCE, Accepted, Passing

SILENT = 3
"""Questions without an answer, one a second, after which a worker gets no more connections."""
EXIT = 1.0
"""Seconds between the end of its channel and that of the process."""
LOST = 10
"""The same, after which it is ended."""
SHORT = 1.0
"""Seconds without connections for one that has no descriptor left, or until a client has left."""


def command_line() -> list[str]:
    """How a worker is started; two descriptors follow: of the channel, and of the way for clients.

    It looks for modules where we do: in the working directory only if we do so.
    """
    here = not {"", str(Path.cwd())}.isdisjoint(sys.path)
    return [sys.executable, *([] if here else ["-P"]), "-m", "lb.workers.worker"]


class Hand:
    """`start`, then `ended`."""

    def __init__(
        self,
        number: int,
        heard: Callable[[Hand, Any], None],
        returned: Callable[[Sequence[Accepted]], None],
    ) -> None:
        """`heard` takes what it says that is not for here, `returned` whom it could not take in."""
        self._loop = asyncio.get_running_loop()
        self.number = number
        self.pid = 0
        self.begun = False
        """It hears what is sent."""
        self.room = 0
        """For clients."""
        self.ready = self._loop.create_future()
        """Done when it serves; cancelled when it never will."""
        self.retiring = False
        """It shall end."""
        self.late = False
        """It was given up, for it did not serve in time."""
        self.in_time = True
        """Whether it has finished what was in flight."""
        self.report: Report | None = None
        """The last that is known."""
        self.silent = 0
        """Questions since it said something."""
        self._heard = heard
        self._returned = returned
        self._short_until = 0.0
        self._process: subprocess.Popen[bytes] | None = None
        self._passed = self._departed = 0
        self._number = 0
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._gone = asyncio.Event()
        self._channel = Channel(self._hear, self._lost)
        self._passing: Passing | None = None

    def __repr__(self) -> str:
        return f"<Hand {self.number} {self.pid} {self.clients} clients>"

    # --- life

    async def start(self, begin: Callable[[], Begin], command: Sequence[str] | None = None) -> None:
        """Start it; what it begins with is asked for once it can be told. Raises OSError."""
        command = command or command_line()
        ours: list[socket.socket] = []
        ends: list[socket.socket] = []
        try:
            for _ in range(2):
                here, there = socket.socketpair()
                here.setblocking(False)
                ours.append(here)
                ends.append(there)
            channel, way = ours
            await self._loop.create_unix_connection(lambda: self._channel, sock=channel)
            self._passing = Passing(way, self._come_back)
            self._channel.send(begin())
            self.begun = True
            descriptors = [one.fileno() for one in ends]
            self._process = await asyncio.to_thread(
                subprocess.Popen,
                [*command, *map(str, descriptors)],
                pass_fds=descriptors,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # what a terminal says is said to us
            )
            self.pid = self._process.pid
        except OSError:  # no process, or no descriptor, is to be had
            self._channel.close()
            self.unserved()
            for one in ours[1 if self._channel.made else 0 :]:
                one.close()
            self._lost()
            raise
        finally:
            for one in ends:
                one.close()

    async def ended(self) -> str:
        """Wait until it has, and how: "status 0", "signal SIGKILL"."""
        await self._gone.wait()
        self._channel.close()
        self._answer_nobody()
        if self._process is None:
            return "it was not started"
        try:
            status = await asyncio.to_thread(self._process.wait, EXIT)
        except subprocess.TimeoutExpired:
            self.kill()  # without a channel it is of no use
            status = await asyncio.to_thread(self._process.wait)
        return f"status {status}" if status >= 0 else f"signal {signal.Signals(-status).name}"

    def kill(self) -> None:
        """End it now."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()

    def unserved(self) -> list[Accepted]:
        """Connections that were on their way to it, and have not arrived."""
        return [] if self._passing is None else self._passing.close()

    # --- connections

    @property
    def clients(self) -> int:
        """How many it has."""
        return self._passed - self._departed

    @property
    def takes(self) -> bool:
        """Whether it may be given a connection: one beyond its room costs an idle one its place."""
        return (
            self.ready.done()
            and not (self.ready.cancelled() or self.retiring or self._gone.is_set())
            and self.silent < SILENT
            and self.clients <= self.room
            and self._loop.time() >= self._short_until
            and self._passing is not None
            and len(self._passing.held) < AT_ONCE
        )

    def pass_on(self, connections: Sequence[Accepted]) -> int:
        """How many of them it gets."""
        if self._passing is None:
            return 0
        count = self._passing.pass_on(connections)
        self._passed += count
        return count

    def _come_back(self, connections: Sequence[Accepted]) -> None:
        self._passed -= len(connections)
        self._short_until = self._loop.time() + SHORT
        self._returned(connections)

    @property
    def on_their_way(self) -> int:
        """Connections that it does not have yet."""
        return 0 if self._passing is None else len(self._passing.held)

    # --- talk

    def send(self, message: object) -> None:
        """Say this; nothing waits for an answer."""
        self._channel.send(message)

    def ping(self) -> bool:
        """Ask whether it hangs; False if that has been so for too long."""
        self.silent += 1
        if not self._channel.full:
            self._channel.send(Ping())
        if self.silent == SILENT:
            self._answer_nobody()
        return self.silent <= LOST

    async def ask(self, question: Callable[[int], object], seconds: float) -> Any:
        """The answer to a question that gets this number; None if it has not come by then.

        Nobody waits for one that hangs; it hears the question when it comes to itself.
        """
        self._number += 1
        number = self._number
        answer = self._asked[number] = self._loop.create_future()
        if self._gone.is_set():
            answer.set_result(None)
        elif not self._channel.full:
            self._channel.send(question(number))
        if self.silent >= SILENT and not answer.done():
            answer.set_result(None)
        try:
            async with asyncio.timeout(seconds):
                return await answer
        except TimeoutError:
            return None
        finally:
            del self._asked[number]

    def _lost(self) -> None:
        self._gone.set()
        if not self.ready.done():
            self.ready.cancel()

    def _hear(self, message: Any) -> None:
        self.silent = 0
        match message:
            case Departed(clients):
                self._departed = clients
                self._short_until = 0.0
            case Ready(room):
                self.room = room
                if not self.ready.done():
                    self.ready.set_result(None)
            case Told(number, report):
                self.report = report
                self._answered(number, report)
                return
            case Done(number, room):
                self.room = room
                self._answered(number, message)
                return
            case Ended(in_time, report):
                self.in_time, self.report = in_time, report
                self.retiring = True
        self._heard(self, message)

    def _answer_nobody(self) -> None:
        for future in self._asked.values():
            if not future.done():
                future.set_result(None)

    def _answered(self, number: int, answer: object) -> None:
        future = self._asked.get(number)
        if future is not None and not future.done():
            future.set_result(answer)
