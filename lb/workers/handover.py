"""A successor takes over: listening sockets go from one process to the next, and lose nobody.

Whoever serves waits at a Unix socket whose name is made of the address that it listens at. In
Linux that name belongs to the network namespace, as the port does, and there is no file. A
successor asks there, gets every listening socket and what operators want of backends, starts, and
says that it is ready; from then on the predecessor only finishes. Until then nothing has changed,
and if the successor dies, nothing will. Only the same user, or root, is spoken with.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from lb.errors import CannotListen

LINUX = sys.platform == "linux"
WAIT = 5.0
"""Seconds for the other one to say what it has to say, starting aside."""
START = 120.0
"""Seconds that a successor may take to start; another one may try then."""
TRIES = 50
"""How often a process that has another successor already is asked again meanwhile."""
MOST = 250
"""Descriptors in one message (SCM_MAX_FD of Linux is 253)."""
HEADER = struct.Struct("!I")
READY, GONE = b"r", b"g"


class _Busy(Exception):
    """Another successor is about to take over."""


@dataclass
class Estate:
    """What is handed over."""

    pid: int
    sockets: list[tuple[str, socket.socket]] = field(default_factory=list)
    """Each with the address that the file gives for it; the admin's too."""
    states: dict[str, str] = field(default_factory=dict)
    """What operators want of backends, by name."""
    found: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    """What sources of backends said last, see `lb.discovery.memory`."""
    activated: bool = False
    """Whether a service manager holds the sockets, too."""


class Predecessor:
    """The process that serves at present, from a successor's side."""

    def __init__(self, connection: socket.socket, estate: Estate) -> None:
        self._connection = connection
        self.estate = estate

    @classmethod
    def find(cls, addresses: Iterable[str]) -> Predecessor | None:
        """Who serves at one of these addresses; None if nobody does.

        Where another successor is about to take over, that one is waited for, a while. Raises
        CannotListen where somebody is there and does not answer.
        """
        for address in addresses:
            for _ in range(TRIES):
                try:
                    found = cls._at(address)
                except _Busy:
                    time.sleep(WAIT / TRIES)
                    continue
                if found is not None:
                    return found
                break
        return None

    @classmethod
    def _at(cls, address: str) -> Predecessor | None:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(WAIT)
        try:
            connection.connect(_name(address))
            if _trusted(connection):
                return cls(connection, _received(connection))
        except _Busy:
            connection.close()
            raise
        except TimeoutError:
            pid = _peer(connection)[0]
            connection.close()
            raise CannotListen(f"process {pid} listens on {address}, and does not answer") from None
        except (OSError, ValueError, KeyError, struct.error):
            pass  # nobody is there, or it ends at this moment
        connection.close()
        return None

    def relieve(self) -> bool:
        """We serve: it may finish. Returns when it waits no more; False if it does not answer."""
        try:
            self._connection.sendall(READY)
            return self._connection.recv(1) == GONE
        except OSError:
            return False
        finally:
            self._connection.close()


class Succession:
    """The side of the process that serves."""

    def __init__(
        self,
        addresses: Sequence[str],
        estate: Callable[[], Estate],
        succeeded: Callable[[int], Awaitable[None]],
    ) -> None:
        """`succeeded` is called with the successor's process when that has said it is ready."""
        self._loop = asyncio.get_running_loop()
        self._estate = estate
        self._succeeded = succeeded
        self._waiting: list[socket.socket] = []
        self._talks: set[asyncio.Task[None]] = set()
        for address in filter(_its_own, addresses):
            with suppress(OSError):  # somebody else has the name; then nobody finds us by it
                self._waiting.append(_listening(_name(address)))
        for one in self._waiting:
            self._loop.add_reader(one, self._come, one)

    @property
    def waits(self) -> bool:
        """Whether a successor can find us."""
        return bool(self._waiting)

    @property
    def awaited(self) -> bool:
        """Whether a successor has our sockets, and is about to take over."""
        return bool(self._talks)

    def close(self) -> None:
        """Wait no more."""
        for one in self._waiting:
            self._loop.remove_reader(one)
            with suppress(OSError):
                if not LINUX:
                    Path(one.getsockname()).unlink()
            one.close()
        self._waiting.clear()

    def _come(self, one: socket.socket) -> None:
        try:
            connection, _ = one.accept()
        except OSError:
            return
        if self._talks:  # one is on its way already: two would serve side by side
            connection.close()
            return
        connection.setblocking(False)
        talk = self._loop.create_task(self._talk(connection))
        self._talks.add(talk)
        talk.add_done_callback(self._talks.discard)

    async def _send(self, connection: socket.socket, estate: Estate) -> None:
        sockets = estate.sockets[:MOST]
        told = json.dumps(
            {
                "pid": estate.pid,
                "addresses": [address for address, _ in sockets],
                "states": estate.states,
                "found": estate.found,
                "activated": estate.activated,
            }
        ).encode()
        descriptors = [one.fileno() for _, one in sockets]
        socket.send_fds(connection, [HEADER.pack(len(told))], descriptors)
        await self._loop.sock_sendall(connection, told)

    async def _talk(self, connection: socket.socket) -> None:
        with connection:
            if not _trusted(connection):
                return
            try:
                await self._send(connection, self._estate())
                async with asyncio.timeout(START):
                    said = await self._loop.sock_recv(connection, 1)
                if said != READY:
                    return  # it has failed, and we go on
                self.close()
                await self._succeeded(_peer(connection)[0])
                await self._loop.sock_sendall(connection, GONE)
            except OSError:  # it has gone, or takes too long
                return


def _its_own(address: str) -> bool:
    """Port 0 is another one each time: who asks for one has nobody to succeed."""
    return not address.endswith(":0")


def _name(address: str) -> str:
    if LINUX:
        return f"\0lb-handover/{sha256(address.encode()).hexdigest()[:32]}"
    place = Path(tempfile.gettempdir()) / f"lb-{os.geteuid()}"
    place.mkdir(mode=0o700, exist_ok=True)
    return str(place / sha256(address.encode()).hexdigest()[:32])


def _listening(name: str) -> socket.socket:
    it = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if not LINUX:
            with suppress(OSError):
                Path(name).unlink()  # whoever had it is gone, or is being succeeded
        it.bind(name)
        it.listen(8)
        it.setblocking(False)
    except OSError:
        it.close()
        raise
    return it


def _peer(connection: socket.socket) -> tuple[int, int]:
    """Process and user at the other end; -1 for what the system does not tell."""
    if not LINUX:
        return -1, os.geteuid()  # the directory is ours alone
    told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, user, _ = struct.unpack("3i", told)
    return pid, user


def _trusted(connection: socket.socket) -> bool:
    return _peer(connection)[1] in (0, os.geteuid())


def _received(connection: socket.socket) -> Estate:
    """Raises OSError, ValueError, KeyError for what is no estate."""
    data, descriptors, _, _ = socket.recv_fds(connection, 1 << 16, MOST)
    if not data:
        raise _Busy
    sockets = [socket.socket(fileno=descriptor) for descriptor in descriptors]
    try:
        for one in sockets:
            one.setblocking(False)
        (size,) = HEADER.unpack(data[: HEADER.size])
        while len(data) < HEADER.size + size:
            more = connection.recv(1 << 16)
            if not more:
                raise ValueError("it ends in the middle")
            data += more
        told = json.loads(data[HEADER.size :])
        handed_over = list(zip(told["addresses"], sockets, strict=True))
        found, activated = told.get("found", {}), told.get("activated", False)
        return Estate(told["pid"], handed_over, told["states"], found, activated)
    except BaseException:
        for one in sockets:
            one.close()
        raise
