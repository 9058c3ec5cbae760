"""The door: listening sockets, and who is let in while there is room.

Each newcomer beyond the limit costs the client that has been idle longest its place; when nobody is
idle, whoever comes waits in the kernel's queue until somebody leaves.

A loop's own server cannot do so: it accepts whoever comes, until no descriptor is left for anything
else. But it takes half the time, so it works here while all that may be in the kernel's queue would
find room. It has duplicates of the listening sockets, and when they are closed the queue stays.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from lb.config import Listener
from lb.proxy.exchange.clients import Clients
from lb.proxy.listening import BACKLOG, is_unix, place_of
from lb.proxy.logs.log import Log
from lb.system import scarce

AT_ONCE = 64
"""Connections accepted before others have their turn."""
CLOSING = 16
"""Connections that may be closing beyond the limit, and idle clients closed in an emergency."""
QUIET = 10.0
"""Seconds after a line of the log that another would tell nothing new."""


class Door:
    """Shut until `open`."""

    def __init__(
        self,
        enter: Callable[[Listener], asyncio.Protocol],
        clients: Clients,
        spare: Callable[[], bool],
        limit: int,
        log: Log,
    ) -> None:
        """`enter` makes the protocol of a connection that came to a listener.

        `spare` closes an idle client, if there is one.
        """
        self._loop = asyncio.get_running_loop()
        self._enter = enter
        self._clients = clients
        self._spare = spare
        self._limit = limit
        self._plenty = limit - BACKLOG
        """As long as there are fewer, the loop's own server may accept."""
        self._log = log
        self._listeners: dict[socket.socket, Listener] = {}
        self._entering: set[asyncio.Task[None]] = set()
        self._serving: asyncio.Task[None] | None = None
        self._servers: list[asyncio.Server] = []
        self._open = False
        self._full = False  # nobody is let in for the time being
        self._told = False  # the log knows
        self._told_at = -QUIET

    def adopt(self, listener: Listener, bound: socket.socket) -> None:
        """Listen here as well, on a socket that is bound and does so already."""
        self._listeners[bound] = listener

    def welcome(self, listener: Listener, connection: socket.socket) -> None:
        """Let in a client whom somebody else has accepted, on a socket that does not block."""
        self._let_in(listener, connection)
        if self._clients.present > self._limit:
            self._tell("as many clients as there may be")
            self._spare()

    @property
    def addresses(self) -> Sequence[str]:
        """Where it listens, as host:port or unix:/path."""
        return [place_of(bound) for bound in self._listeners]

    def allow(self, limit: int) -> None:
        """Let in so many from now on."""
        self._limit = limit
        self._plenty = limit - BACKLOG
        if self._serving is not None and self._clients.present >= self._plenty:
            self._take_over()

    def open(self) -> None:
        """Let clients in."""
        self._open = True
        self._listen()

    def look(self) -> None:
        """Whether there is room again. Call it on every tick."""
        if self._serving is None and self._clients.present < self._plenty * 3 // 4:
            self._full = False
            self._stop_listening()
            self._listen()
        elif self._full:
            for _ in range(self._clients.present - self._limit):
                if not self._spare():
                    break
            if self._clients.present <= self._limit:
                self._full = False
                self._listen()

    def make_room(self) -> None:
        """Descriptors are missing: close some clients that are idle, and accept with care."""
        self._tell("no descriptors")
        if self._serving is not None:
            self._plenty = 0
            self._take_over()
        for _ in range(CLOSING):
            if not self._spare():
                break

    async def shut(self) -> None:
        """Close, when the loop's own server has let in whom it has accepted."""
        self._stop_listening()
        for _ in range(2):  # rounds of the loop until that server is closed
            await asyncio.sleep(0)
        self.close()

    def close(self) -> None:
        """Listen no more. Whoever waits in the kernel's queue is let in."""
        self._stop_listening()
        for bound, listener in self._listeners.items():
            with suppress(OSError):  # until it would block, or no descriptor is left
                while self._open:
                    connection = bound.accept()[0]
                    connection.setblocking(False)
                    self._let_in(listener, connection)
            bound.close()
        self._open = False

    async def settled(self) -> None:
        """Wait until everybody who was let in is in."""
        if self._entering:
            await asyncio.wait(self._entering)

    # --- inside

    def _listen(self) -> None:
        if not self._open:
            return
        if self._clients.present < self._plenty:
            self._serving = self._loop.create_task(self._serve())
        else:
            self._watch()

    def _watch(self) -> None:
        for bound, listener in self._listeners.items():
            self._loop.add_reader(bound, self._accept, listener, bound)

    def _stop_listening(self) -> None:
        if self._open:
            for bound in self._listeners:
                self._loop.remove_reader(bound)
        self._serving = None
        for server in self._servers:
            # asyncio's server loses whom it has accepted and not made a connection of yet, so it
            # is closed when that is done.
            for twin in server.sockets:
                self._loop.remove_reader(twin)
            self._loop.call_soon(self._loop.call_soon, server.close)
        self._servers.clear()

    async def _serve(self) -> None:
        """Let the loop accept."""
        ours = asyncio.current_task()
        for bound, listener in list(self._listeners.items()):
            try:
                server = await self._server(bound.dup(), partial(self._counted, listener))
            except OSError:  # no descriptor for it, or the door has been closed
                if self._serving is ours:
                    self.make_room()
                return
            if self._serving is not ours:
                server.close()
                return
            self._servers.append(server)

    async def _server(
        self, twin: socket.socket, enter: Callable[[], asyncio.Protocol]
    ) -> asyncio.Server:
        if is_unix(twin):
            return await self._loop.create_unix_server(enter, sock=twin, backlog=BACKLOG)
        return await self._loop.create_server(enter, sock=twin, backlog=BACKLOG)

    def _counted(self, listener: Listener) -> asyncio.Protocol:
        if self._clients.present >= self._plenty and self._serving is not None:
            self._serving = None
            self._loop.call_soon(self._take_over)
        return self._enter(listener)

    def _take_over(self) -> None:
        """Accept with care from now on."""
        self._stop_listening()
        self._listen()

    def _accept(self, listener: Listener, bound: socket.socket) -> None:
        clients, limit = self._clients, self._limit
        for _ in range(AT_ONCE):
            if clients.present > limit + CLOSING:
                return  # and come again when they are closed, which is in a moment
            try:
                connection, _ = bound.accept()
            except OSError as error:
                if scarce(error) and error.errno != errno.EAGAIN:
                    self.make_room()
                    self._pause()
                return  # nobody waits, or somebody has left again
            connection.setblocking(False)
            self._let_in(listener, connection)
            if clients.present > limit:
                self._tell("as many clients as there may be")
                if not self._spare():
                    self._pause()
                    return
            elif self._told and clients.present < limit * 3 // 4:
                self._told = False

    def _pause(self) -> None:
        self._stop_listening()
        self._full = True

    def _tell(self, why: str) -> None:
        """Once an episode, of those that follow each other closely only the first."""
        now = self._loop.time()
        if not self._told and now - self._told_at >= QUIET:
            self._told_at = now
            self._log(
                "warning",
                "client limit",
                limit=self._limit,
                connections=self._clients.present,
                reason=why,
            )
        self._told = True

    def _let_in(self, listener: Listener, connection: socket.socket) -> None:
        self._clients.expect()
        task = self._loop.create_task(self._connect(listener, connection))
        self._entering.add(task)
        task.add_done_callback(self._entering.discard)

    async def _connect(self, listener: Listener, connection: socket.socket) -> None:
        try:
            enter = partial(self._enter, listener)
            await self._loop.connect_accepted_socket(enter, connection)
        except OSError:  # gone already
            self._clients.missed()
            connection.close()
